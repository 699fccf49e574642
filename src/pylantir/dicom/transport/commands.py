"""Command sets of N-CREATE and N-SET, read at once (PS3.7 6.3.1, 10.3).

Each names an instance, so none is like one that was read before. The library makes a data set of
it and an object of that, value by value, which takes longer than to keep what it says. It still
does for all that is in any way unusual.
"""

from __future__ import annotations

import re
import struct
from io import BytesIO
from typing import Any, NamedTuple

from pynetdicom.dimse_primitives import N_CREATE, N_SET

_NO_DATA_SET = 0x0101
_FIELD, _DATA_SET_TYPE = 0x0100, 0x0800
_HEADER = struct.Struct("<HHI")
_NUMBER = struct.Struct("<H")
_UID = re.compile(rb"(?:(?:0|[1-9][0-9]*)(?:\.(?!\Z)|\Z))+")
_MAX_UID = 64
_UIDS = frozenset({0x0002, 0x0003, 0x1000, 0x1001})


class _Kind(NamedTuple):
    """A request: its class in the library, and where that keeps its elements."""

    primitive: type
    fields: dict[int, str]


_MESSAGE_ID = {0x0110: "_message_id"}
_KINDS = {
    0x0140: _Kind(
        N_CREATE,
        {0x0002: "_affected_sop_class_uid", 0x1000: "_affected_sop_instance_uid", **_MESSAGE_ID},
    ),
    0x0120: _Kind(
        N_SET,
        {0x0003: "_requested_sop_class_uid", 0x1001: "_requested_sop_instance_uid", **_MESSAGE_ID},
    ),
}
"""By Command Field (PS3.7 E.1)."""


class InstanceRequest:
    """An N-CREATE or N-SET whose command set was read.

    Parameters
    ----------
    kind : type
        Its class in the library.
    fields : dict
        What an object of that class has, but for the data set.
    has_data_set : bool
        Whether a data set follows.
    """

    __slots__ = ("_fields", "_kind", "has_data_set")

    def __init__(self, kind: type, fields: dict[str, Any], has_data_set: bool) -> None:
        self._kind, self._fields, self.has_data_set = kind, fields, has_data_set

    def primitive(self, context_id: int, data_set: BytesIO) -> Any:
        """What the library would make of it; its values need no second look."""
        made = self._kind()
        vars(made).update(self._fields, _dataset=data_set, _context_id=context_id)
        return made


def read_request(command: bytes) -> InstanceRequest | None:
    """A usual N-CREATE or N-SET; nothing for any other command set."""
    try:
        elements = _elements(command)
        kind = _KINDS[elements.pop(_FIELD)]
        has_data_set = elements.pop(_DATA_SET_TYPE) != _NO_DATA_SET
        fields = {kind.fields[element]: value for element, value in elements.items()}
    except (KeyError, struct.error):
        return None
    return InstanceRequest(kind.primitive, fields, has_data_set)


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
    uid = value.removesuffix(b"\0")
    if len(uid) > _MAX_UID or not _UID.fullmatch(uid):
        raise KeyError(value)
    return uid.decode("ascii")
