"""Requests that were read before: a scanner sends the same command set all day.

The library makes data sets of a command set, which takes longer than to answer it. So what it made
is kept by the bytes that it was made of, all but the Message ID, the one thing that changes.
"""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

from pynetdicom.dimse_primitives import C_ECHO, C_FIND

_MESSAGE_ID = struct.pack("<HHI", 0x0000, 0x0110, 2)
"""Tag and length of a Message ID in implicit VR little endian (PS3.7 E.1)."""

_NUMBER = struct.Struct("<H")
_LONGEST = 256
_MOST = 64
_KINDS = (C_ECHO, C_FIND)
"""Those whose command set names no instance."""


class KnownRequest:
    """A request that was read before, with another Message ID.

    Parameters
    ----------
    kind : class
        Class of the library's primitive.
    fields : dict
        What that consists of.
    message_id : int
        Of this one.
    has_data_set : bool
        Whether a data set follows.
    """

    __slots__ = ("_fields", "_kind", "has_data_set", "message_id")

    def __init__(
        self, kind: Any, fields: dict[str, Any], message_id: int, has_data_set: bool
    ) -> None:
        self._kind, self._fields = kind, fields
        self.message_id, self.has_data_set = message_id, has_data_set

    def primitive(self, context_id: int, data_set: BytesIO) -> Any:
        """What the library would make of it."""
        made = self._kind.__new__(self._kind)
        own = vars(made)
        own.update(self._fields)
        own["_message_id"], own["_context_id"] = self.message_id, context_id
        if "_dataset" in own:
            own["_dataset"] = data_set
        return made


class KnownRequests:
    """What the library made of command sets, kept by their bytes."""

    def __init__(self) -> None:
        self._known: dict[bytes, tuple[type, dict[str, Any], bool]] = {}

    def find(self, command: bytes) -> KnownRequest | None:
        """The request, if one like it was read before."""
        place = _place(command)
        kept = self._known.get(_apart_from(command, place)) if place else None
        if kept is None:
            return None
        kind, fields, has_data_set = kept
        return KnownRequest(kind, fields, _NUMBER.unpack_from(command, place)[0], has_data_set)

    def keep(self, command: bytes, primitive: Any, *, has_data_set: bool) -> None:
        """Keep what the library made of a command set, unless it is one that does not come again.

        The Message ID must be where it is looked for, and nowhere else.
        """
        place = _place(command)
        if not place or type(primitive) not in _KINDS:
            return
        if primitive.MessageID != _NUMBER.unpack_from(command, place)[0]:
            return
        if len(self._known) >= _MOST:
            self._known = {}  # somebody sends all sorts of them
        fields = dict(vars(primitive))
        if "_dataset" in fields:
            fields["_dataset"] = None
        self._known[_apart_from(command, place)] = type(primitive), fields, has_data_set


def _place(command: bytes) -> int:
    """Where the Message ID begins; 0 where that is not certain."""
    at = command.find(_MESSAGE_ID) + len(_MESSAGE_ID)
    certain = (
        len(_MESSAGE_ID) <= at <= len(command) - _NUMBER.size <= _LONGEST
        and command.find(_MESSAGE_ID, at) < 0
    )
    return at if certain else 0


def _apart_from(command: bytes, place: int) -> bytes:
    return command[:place] + command[place + _NUMBER.size :]
