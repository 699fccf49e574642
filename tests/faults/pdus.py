"""PDUs and DIMSE messages out of their fields, so that a test can break one field at a time.

A PDU here is a flat list of fields (PS3.8 section 9.3). Those that state a length know what they
measure; encoding fills them in, unless a test has put something else there.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from tests.dicom.modality import MPPS, RETRIEVE, VERIFICATION, WORKLIST

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
A_ASSOCIATE_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, P_DATA_TF = 1, 2, 3, 4
A_RELEASE_RQ, A_RELEASE_RP, A_ABORT = 5, 6, 7
COMMAND, LAST = 0x01, 0x02

CONTEXTS: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (1, VERIFICATION, (IMPLICIT,)),
    (3, WORKLIST, (IMPLICIT,)),
    (5, MPPS, (IMPLICIT,)),
    (7, RETRIEVE, (IMPLICIT,)),
    (9, WORKLIST, (EXPLICIT,)),
    (11, MPPS, (EXPLICIT,)),
)
"""What a scanner proposes: presentation context id, abstract syntax, transfer syntaxes."""


@dataclass(frozen=True)
class Item:
    """A type, a length and what it measures: a PDU, or an item inside one."""

    kind: int
    parts: tuple[bytes | Item, ...]
    long: bool = False
    length: int | None = None

    def encode(self) -> bytes:
        """The bytes; a length that is not set by hand is the right one."""
        body = b"".join(p.encode() if isinstance(p, Item) else p for p in self.parts)
        length = len(body) if self.length is None else self.length
        if self.long:
            return struct.pack(">BxI", self.kind, length & 0xFFFF_FFFF) + body
        return struct.pack(">BxH", self.kind, length & 0xFFFF) + body

    @property
    def right_length(self) -> int:
        """The length of the body."""
        return len(self.encode()) - (6 if self.long else 4)

    def inner(self) -> Iterator[tuple[int, ...]]:
        """Paths of this item and of every item in it; its own is empty."""
        yield ()
        for number, part in enumerate(self.parts):
            if isinstance(part, Item):
                yield from ((number, *path) for path in part.inner())

    def at(self, path: Sequence[int]) -> Item:
        """The item at a path."""
        found = self
        for number in path:
            part = found.parts[number]
            assert isinstance(part, Item)
            found = part
        return found

    def changed(self, path: Sequence[int], change: Callable[[Item], Item]) -> Item:
        """A copy in which the item at a path is another."""
        if not path:
            return change(self)
        parts = list(self.parts)
        part = parts[path[0]]
        assert isinstance(part, Item)
        parts[path[0]] = part.changed(path[1:], change)
        return replace(self, parts=tuple(parts))


def associate_rq(
    *,
    called: bytes = b"MWL_SERVER",
    calling: bytes = b"HOSTILE",
    contexts: Iterable[tuple[int, str | bytes, Sequence[str | bytes]]] = CONTEXTS,
    application_context: bytes = APPLICATION_CONTEXT.encode(),
    user: tuple[bytes | Item, ...] | None = None,
    version: int = 1,
) -> Item:
    """An A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
    fixed = struct.pack(">HH16s16s32x", version, 0, called.ljust(16), calling.ljust(16))
    proposed = tuple(
        Item(
            0x20,
            (
                bytes((number & 0xFF, 0, 0, 0)),
                Item(0x30, (_uid(abstract),)),
                *(Item(0x40, (_uid(syntax),)) for syntax in syntaxes),
            ),
        )
        for number, abstract, syntaxes in contexts
    )
    if user is None:
        user = (
            Item(0x51, (struct.pack(">I", 16_384),)),
            Item(0x52, (b"2.25.1",)),
            Item(0x55, (b"HOSTILE",)),
        )
    items = (Item(0x10, (application_context,)), *proposed, Item(0x50, user))
    return Item(A_ASSOCIATE_RQ, (fixed, *items), long=True)


def _uid(given: str | bytes) -> bytes:
    return given.encode() if isinstance(given, str) else given


def release_rq() -> bytes:
    """An A-RELEASE-RQ."""
    return struct.pack(">BxII", A_RELEASE_RQ, 4, 0)


def abort(source: int = 0, reason: int = 0) -> bytes:
    """An A-ABORT."""
    return struct.pack(">BxIxxBB", A_ABORT, 4, source, reason)


def pdv(context: int, data: bytes, control: int, length: int | None = None) -> bytes:
    """One presentation data value with its header (PS3.8 9.3.5.1, E.2)."""
    length = len(data) + 2 if length is None else length
    return struct.pack(">IBB", length & 0xFFFF_FFFF, context & 0xFF, control & 0xFF) + data


def p_data(*values: bytes, length: int | None = None) -> bytes:
    """A P-DATA-TF PDU."""
    body = b"".join(values)
    length = len(body) if length is None else length
    return struct.pack(">BxI", P_DATA_TF, length & 0xFFFF_FFFF) + body


def message(context: int, command: bytes, data: bytes | None = None) -> bytes:
    """A DIMSE message as a scanner sends it: command and data set in a PDU each."""
    sent = p_data(pdv(context, command, COMMAND | LAST))
    return sent if data is None else sent + fragments(context, data)


def fragments(context: int, data: bytes, size: int = 16_000) -> bytes:
    """A data set in as many PDUs as it needs."""
    starts = range(0, max(len(data), 1), size)
    return b"".join(
        p_data(pdv(context, data[at : at + size], LAST if at + size >= len(data) else 0))
        for at in starts
    )


def element(tag: int, value: bytes, length: int | None = None) -> bytes:
    """One element in implicit VR little endian."""
    length = len(value) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length & 0xFFFF_FFFF) + value


def number(tag: int, value: int) -> bytes:
    """An element of VR US."""
    return element(tag, struct.pack("<H", value & 0xFFFF))


def uid(tag: int, value: str | bytes) -> bytes:
    """An element of VR UI."""
    encoded = _uid(value)
    return element(tag, encoded + b"\0" * (len(encoded) & 1))


def command_set(*elements: bytes, length: int | None = None) -> bytes:
    """A command set with its group length (PS3.7 6.3.1)."""
    body = b"".join(elements)
    length = len(body) if length is None else length
    return element(0x0000_0000, struct.pack("<I", length & 0xFFFF_FFFF)) + body


NO_DATA_SET, DATA_SET = 0x0101, 0x0001


def echo_rq() -> list[bytes]:
    """The elements of a C-ECHO-RQ."""
    return [
        uid(0x0002, VERIFICATION),
        number(0x0100, 0x0030),
        number(0x0110, 1),
        number(0x0800, NO_DATA_SET),
    ]


def find_rq() -> list[bytes]:
    """The elements of a C-FIND-RQ."""
    return [
        uid(0x0002, WORKLIST),
        number(0x0100, 0x0020),
        number(0x0110, 1),
        number(0x0700, 0),
        number(0x0800, DATA_SET),
    ]


def create_rq(instance: str | bytes) -> list[bytes]:
    """The elements of an N-CREATE-RQ."""
    return [
        uid(0x0002, MPPS),
        number(0x0100, 0x0140),
        number(0x0110, 1),
        number(0x0800, DATA_SET),
        uid(0x1000, instance),
    ]


def set_rq(instance: str | bytes) -> list[bytes]:
    """The elements of an N-SET-RQ."""
    return [
        uid(0x0003, MPPS),
        number(0x0100, 0x0120),
        number(0x0110, 1),
        number(0x0800, DATA_SET),
        uid(0x1001, instance),
    ]


def get_rq(instance: str | bytes) -> list[bytes]:
    """The elements of an N-GET-RQ."""
    return [
        uid(0x0003, MPPS),
        number(0x0100, 0x0110),
        number(0x0110, 1),
        number(0x0800, NO_DATA_SET),
        uid(0x1001, instance),
    ]
