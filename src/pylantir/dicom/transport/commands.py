"""Command sets of N-CREATE and N-SET, read and written at once (PS3.7 6.3.1, 10.3).

Each names an instance, so none is like one that was read before. The library makes a data set of
it and an object of that, which takes longer than to keep what it says. It still does for all that
is in any way unusual.
"""

from __future__ import annotations

import re
import struct
from io import BytesIO
from types import SimpleNamespace
from typing import Any, NamedTuple

from pynetdicom.dimse_primitives import N_CREATE, N_SET

_NO_DATA_SET = 0x0101
_FIELD, _ANSWERED, _DATA_SET_TYPE, _STATUS = 0x0100, 0x0120, 0x0800, 0x0900
_SOP_CLASS, _INSTANCE = 0x0002, 0x1000
_HEADER = struct.Struct("<HHI")
_NUMBER = struct.Struct("<H")
_UID = re.compile(rb"[0-9.]{1,64}\0?")
_UIDS = frozenset({_SOP_CLASS, 0x0003, _INSTANCE, 0x1001})


class _Kind(NamedTuple):
    """A request: its class in the library, its elements, and what its data set is called there."""

    primitive: type
    keywords: dict[int, str]
    data_set: str


_KINDS = {
    0x0140: _Kind(
        N_CREATE,
        {
            _SOP_CLASS: "AffectedSOPClassUID",
            0x0110: "MessageID",
            _INSTANCE: "AffectedSOPInstanceUID",
        },
        "AttributeList",
    ),
    0x0120: _Kind(
        N_SET,
        {0x0003: "RequestedSOPClassUID", 0x0110: "MessageID", 0x1001: "RequestedSOPInstanceUID"},
        "ModificationList",
    ),
}
"""By Command Field (PS3.7 E.1)."""

_RESPONSES: dict[type, int] = {N_CREATE: 0x8140, N_SET: 0x8120}
"""Their Command Field."""


class InstanceRequest:
    """An N-CREATE or N-SET whose command set was read.

    Parameters
    ----------
    kind : _Kind
        Which of them.
    values : dict
        Its elements by keyword.
    has_data_set : bool
        Whether a data set follows.
    """

    __slots__ = ("_kind", "_values", "has_data_set")

    def __init__(self, kind: _Kind, values: dict[str, Any], has_data_set: bool) -> None:
        self._kind, self._values, self.has_data_set = kind, values, has_data_set

    def primitive(self, context_id: int, data_set: BytesIO) -> Any:
        """What the library would make of it.

        Raises
        ------
        ValueError
            The library does not take a value.
        """
        made = self._kind.primitive()
        for keyword, value in self._values.items():
            setattr(made, keyword, value)
        setattr(made, self._kind.data_set, data_set)
        made._context_id = context_id
        return made


def read_request(command: bytes) -> InstanceRequest | None:
    """A usual N-CREATE or N-SET; nothing for any other command set."""
    try:
        elements = _elements(command)
        kind = _KINDS[elements.pop(_FIELD)]
        has_data_set = elements.pop(_DATA_SET_TYPE) != _NO_DATA_SET
        values = {kind.keywords[element]: value for element, value in elements.items()}
    except (KeyError, struct.error):
        return None
    return InstanceRequest(kind, values, has_data_set)


def _elements(command: bytes) -> dict[int, Any]:
    """Numbers and UIDs by element.

    Raises
    ------
    KeyError, struct.error
        It holds something else, or is no command set.
    """
    if command[:8] != _HEADER.pack(0, 0, 4):
        raise KeyError(0)
    values: dict[int, Any] = {}
    at, last = 12, 0
    while at < len(command):
        group, element, length = _HEADER.unpack_from(command, at)
        value = command[at + 8 : at + 8 + length]
        if group or element <= last or len(value) != length:
            raise KeyError(element)
        values[element] = _uid(value) if element in _UIDS else _NUMBER.unpack(value)[0]
        at, last = at + 8 + length, element
    return values


def _uid(value: bytes) -> str:
    if not _UID.fullmatch(value):
        raise KeyError(value)
    return value.rstrip(b"\0").decode("ascii")


def success(response: Any) -> SimpleNamespace | None:
    """Elements of a response that says nothing but success; nothing for any other response."""
    field = _RESPONSES.get(type(response))
    if field is None or response.MessageIDBeingRespondedTo is None or response.Status != 0:
        return None
    more = (response.AttributeList, response.ErrorComment, response.ErrorID)
    if any(said is not None for said in more):
        return None
    return SimpleNamespace(
        AffectedSOPClassUID=response.AffectedSOPClassUID,
        CommandField=field,
        MessageIDBeingRespondedTo=response.MessageIDBeingRespondedTo,
        CommandDataSetType=_NO_DATA_SET,
        Status=0,
        AffectedSOPInstanceUID=response.AffectedSOPInstanceUID,
    )


def success_bytes(command: SimpleNamespace) -> bytes:
    """The command set of :func:`success` in implicit VR little endian, with its group length."""
    numbers = (
        (_FIELD, command.CommandField),
        (_ANSWERED, command.MessageIDBeingRespondedTo),
        (_DATA_SET_TYPE, command.CommandDataSetType),
        (_STATUS, command.Status),
    )
    body = _uid_element(_SOP_CLASS, command.AffectedSOPClassUID)
    body += b"".join(struct.pack("<HHIH", 0, element, 2, value) for element, value in numbers)
    body += _uid_element(_INSTANCE, command.AffectedSOPInstanceUID)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _uid_element(element: int, uid: str | None) -> bytes:
    if uid is None:
        return b""
    value = uid.encode("ascii")
    value += b"\0" * (len(value) & 1)
    return _HEADER.pack(0, element, len(value)) + value
