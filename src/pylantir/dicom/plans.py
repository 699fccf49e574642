"""What an identifier means for one scanner: put together once, for it asks the same all day."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from functools import lru_cache

from pydicom.uid import UID

from pylantir.dicom import answers
from pylantir.dicom.elements import Encoding
from pylantir.dicom.identifiers import FindRequest, read_identifier
from pylantir.dicom.kept import Alike
from pylantir.dicom.scanners import Elsewhere, Scanner
from pylantir.dicom.stream import Cut
from pylantir.worklist.query import STATION, SingleValue, WorklistQuery

SHORT_IDENTIFIER = 4096
"""Bytes of an identifier whose plan is remembered; what a console sends has some hundred."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How a query is answered.

    Parameters
    ----------
    asked : WorklistQuery
        What the scanner asks for.
    query : WorklistQuery
        The same, within what this scanner may see today.
    alike : Alike
        What the bytes of the answer depend on.
    pending : int
        Status of responses with an identifier: 0xFF01 when some optional key is not supported.
    """

    asked: WorklistQuery
    query: WorklistQuery
    alike: Alike
    pending: int


def make_plan(
    identifier: bytes,
    transfer_syntax: str,
    cut: Cut,
    scanner: Scanner,
    today: dt.date,
    elsewhere: Elsewhere = (),
) -> Plan:
    """Read an identifier.

    Parameters
    ----------
    identifier : bytes
        Of the C-FIND request, encoded.
    transfer_syntax : str
        UID of its transfer syntax.
    cut : Cut
        How the association wants its PDUs.
    scanner : Scanner
        Who asks.
    today : date
        The site's day.
    elsewhere : tuple of (str, date)
        The day where sources have another zone than the site.

    Raises
    ------
    InvalidQuery
        See :func:`~pylantir.dicom.identifiers.read_identifier`.
    """
    syntax = UID(transfer_syntax)
    encoding = Encoding(syntax.is_implicit_VR, syntax.is_little_endian)
    request = read_identifier(identifier, encoding)
    asked = request.query()
    alike = Alike(
        asked=request.asked,
        encoding=encoding,
        station=_station(request, scanner),
        character_set=request.character_set,
        preferred=scanner.character_set,
        cut=cut,
    )
    pending = answers.PENDING_UNSUPPORTED if request.unsupported else answers.PENDING
    return Plan(asked, scanner.limit(asked, today, elsewhere), alike, pending)


plan_again = lru_cache(maxsize=64)(make_plan)


def _station(request: FindRequest, scanner: Scanner) -> str:
    """The AE title that stands for "whichever scanner asks": the one it asked for, else its own."""
    for key in request.keys:
        if key.attribute is STATION and isinstance(key.match, SingleValue):
            return str(key.match.value)
    return scanner.ae_title
