"""The status of a DIMSE response, in numbers and in words (PS3.7 Annex C)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

SUCCESS, WARNING, PENDING, CANCEL, FAILURE = "Success", "Warning", "Pending", "Cancel", "Failure"

# fmt: off
_MEANINGS: dict[int, tuple[str, str]] = {
    0x0000: (SUCCESS, ""),
    0x0001: (WARNING, "Requested optional Attributes are not supported"),
    0x0105: (FAILURE, "No such Attribute"),
    0x0106: (FAILURE, "Invalid Attribute value"),
    0x0107: (WARNING, "Attribute list error"),
    0x0110: (FAILURE, "Processing failure"),
    0x0111: (FAILURE, "Duplicate SOP Instance"),
    0x0112: (FAILURE, "No such SOP Instance"),
    0x0116: (WARNING, "Attribute value out of range"),
    0x0117: (FAILURE, "Invalid SOP Instance"),
    0x0118: (FAILURE, "No such SOP class"),
    0x0119: (FAILURE, "Class-Instance conflict"),
    0x0120: (FAILURE, "Missing Attribute"),
    0x0121: (FAILURE, "Missing Attribute value"),
    0x0122: (FAILURE, "SOP class not supported"),
    0x0124: (FAILURE, "Not authorized"),
    0x0210: (FAILURE, "Duplicate invocation"),
    0x0211: (FAILURE, "Unrecognized operation"),
    0x0212: (FAILURE, "Mistyped argument"),
    0x0213: (FAILURE, "Resource limitation"),
    0xA900: (FAILURE, "Identifier does not match SOP class"),
    0xFE00: (CANCEL, "Matching terminated due to Cancel request"),
    0xFF00: (PENDING, ""),
    0xFF01: (PENDING, "one or more Optional Keys were not supported for matching"),
}
_RANGES: tuple[tuple[int, int, str, str], ...] = (
    (0xA700, 0xA7FF, FAILURE, "Out of resources"),
    (0xB000, 0xBFFF, WARNING, "specific to the service"),
    (0xC000, 0xCFFF, FAILURE, "Unable to process"),
)
_ERROR_IDS = {
    # PS3.4 Table F.7.2-2
    0xA710: "Performed Procedure Step Object may no longer be updated",
}
# fmt: on


def _meaning(code: int) -> tuple[str, str]:
    for low, high, category, text in _RANGES:
        if low <= code <= high:
            return category, text
    return _MEANINGS.get(code, (FAILURE, "of no kind that the standard names"))


@dataclass(frozen=True)
class Status:
    """What the peer answered.

    Parameters
    ----------
    code : int
        Status (0000,0900).
    error_comment : str
        Error Comment (0000,0902), the peer's own words; empty when there are none.
    error_id : int, optional
        Error ID (0000,0903).
    attributes : tuple of str
        Keywords of the attributes that the answer names: Attribute Identifier List (0000,1005)
        and Offending Element (0000,0901).
    """

    code: int
    error_comment: str = ""
    error_id: int | None = None
    attributes: tuple[str, ...] = ()

    @property
    def category(self) -> str:
        """Success, Warning, Pending, Cancel or Failure."""
        return _meaning(self.code)[0]

    @property
    def is_success(self) -> bool:
        """Done as asked."""
        return self.category == SUCCESS

    @property
    def is_warning(self) -> bool:
        """Done, but not quite as asked."""
        return self.category == WARNING

    @property
    def is_pending(self) -> bool:
        """More responses follow."""
        return self.category == PENDING

    @property
    def is_failure(self) -> bool:
        """Not done."""
        return self.category == FAILURE

    @property
    def words(self) -> str:
        """The status for people: ``0xA900 Failure: Identifier does not match SOP class``."""
        category, meaning = _meaning(self.code)
        if self.error_id is not None:
            meaning = _ERROR_IDS.get(self.error_id, meaning)
        said = [meaning] if meaning else []
        if self.error_comment and self.error_comment.casefold() != meaning.casefold():
            said.append(self.error_comment)
        named = [", ".join(self.attributes)] if self.attributes else []
        if self.error_id is not None:
            named.append(f"Error ID 0x{self.error_id:04X}")
        text = f"0x{self.code:04X} {category}"
        if said:
            text += ": " + ": ".join(said)
        return f"{text} ({'; '.join(named)})" if named else text


def status_of(command: Dataset) -> Status:
    """The status that the command set of a response carries."""
    return Status(
        code=int(command.Status),
        error_comment=str(command.get("ErrorComment") or "").strip(),
        error_id=command.get("ErrorID"),
        attributes=tuple(
            _keyword(tag)
            for name in ("AttributeIdentifierList", "OffendingElement")
            for tag in _tags(command.get(name))
        ),
    )


def _tags(value: int | Iterable[int] | None) -> tuple[int, ...]:
    # A single tag comes without its list.
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else tuple(value)


def _keyword(tag: int) -> str:
    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
