"""From an error to a DIMSE status: the one table beside this door (PS3.7 Annex C, PS3.4 K, F)."""

from __future__ import annotations

from collections.abc import Sequence

from pydicom.dataset import Dataset

SUCCESS = 0x0000
PENDING = 0xFF00
PENDING_UNSUPPORTED = 0xFF01
CANCELLED = 0xFE00

OUT_OF_RESOURCES = 0xA700
IDENTIFIER_DOES_NOT_MATCH = 0xA900
UNABLE_TO_PROCESS = 0xC000

NO_SUCH_ATTRIBUTE = 0x0105
INVALID_ATTRIBUTE_VALUE = 0x0106
ATTRIBUTE_LIST_ERROR = 0x0107
PROCESSING_FAILURE = 0x0110
DUPLICATE_SOP_INSTANCE = 0x0111
NO_SUCH_SOP_INSTANCE = 0x0112
INVALID_SOP_INSTANCE = 0x0117
MISSING_ATTRIBUTE = 0x0120
MISSING_ATTRIBUTE_VALUE = 0x0121
UNRECOGNISED_OPERATION = 0x0211
RESOURCE_LIMITATION = 0x0213
OPTIONAL_NOT_SUPPORTED = 0x0001

MAY_NO_LONGER_BE_UPDATED = 0xA710
"""Error ID beside 0x0110 (PS3.4 Table F.7.2-2)."""

_MAX_COMMENT = 64


def status(
    code: int, comment: str = "", *, error_id: int | None = None, attributes: Sequence[int] = ()
) -> Dataset:
    """A status with what explains it.

    Parameters
    ----------
    code : int
        Status (0000,0900).
    comment : str
        Error Comment (0000,0902); cut to the 64 characters of LO, ASCII only.
    error_id : int, optional
        Error ID (0000,0903).
    attributes : sequence of int
        Attribute Identifier List (0000,1005).
    """
    ds = Dataset()
    ds.Status = code
    if comment:
        printable = comment.encode("ascii", "replace").decode("ascii").replace("\\", "/")
        ds.ErrorComment = printable[:_MAX_COMMENT]
    if error_id is not None:
        ds.ErrorID = error_id
    if attributes:
        ds.AttributeIdentifierList = list(attributes)
    return ds
