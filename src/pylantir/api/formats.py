"""Which form a client wants its items in, and what a request may rely on having seen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from fastapi import Header
from starlette.exceptions import HTTPException

from pylantir.worklist.item import WorklistItem

JSON, DICOM_JSON, CSV = "application/json", "application/dicom+json", "text/csv"
FORMATS = (JSON, DICOM_JSON, CSV)

Accept = Annotated[str, Header(description="application/json, application/dicom+json or text/csv")]
IfMatch = Annotated[str | None, Header(description="ETag of the version that the change is about")]
IfNoneMatch = Annotated[str | None, Header(description="ETag of the version that is known")]


def wanted(accept: str) -> str:
    """The media type to answer in (RFC 9110 section 12.5.1).

    Raises
    ------
    HTTPException
        406: nothing the client takes.
    """
    best, best_quality = "", 0.0
    for media in FORMATS:
        quality = max((_quality(part, media) for part in accept.split(",")), default=0.0)
        if quality > best_quality:
            best, best_quality = media, quality
    if not best:
        raise HTTPException(406, f"expected an Accept header with one of {', '.join(FORMATS)}")
    return best


def _quality(part: str, media: str) -> float:
    """How much a client likes a media type; 0 when it does not take it."""
    range_, *parameters = (piece.strip().lower() for piece in part.split(";"))
    kind = media.partition("/")[0]
    if range_ not in (media, f"{kind}/*", "*/*"):
        return 0.0
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            return _number(value)
    # The more exactly it is named, the more it is meant.
    return {media: 1.0, f"{kind}/*": 0.99}.get(range_, 0.98)


def _number(shown: str) -> float:
    try:
        return min(max(float(shown), 0.0), 1.0)
    except ValueError:
        return 0.0


def etag(item: WorklistItem) -> str:
    """The entity tag of a version of an item."""
    return f'"{item.item_id}.{item.version}"'


def names(tags: str | None, item: WorklistItem) -> bool:
    """Whether a list of entity tags names the present version, or any."""
    shown = [tag.strip().removeprefix("W/") for tag in (tags or "").split(",")]
    return "*" in shown or etag(item) in shown


def require_unchanged(if_match: str | None, item: WorklistItem) -> None:
    """Refuse a change of a version that is not there any more.

    Raises
    ------
    HTTPException
        412.
    """
    if if_match is not None and not names(if_match, item):
        raise HTTPException(412, f"item {item.item_id} was changed meanwhile; read it again")


def as_text(items: Sequence[WorklistItem], media: str) -> bytes:
    """Items as CSV or as DICOM JSON."""
    if media == CSV:
        from pylantir.worklist.textfiles import write_csv

        return write_csv(items).encode()
    from pylantir.dicom.worklist_files import write_dicom_json

    return write_dicom_json(items).encode()
