"""Connections that go wrong before there is an association."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace
from random import Random

from tests.faults.datasets import mutated as with_changed_bytes
from tests.faults.datasets import wrong_lengths
from tests.faults.pdus import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    MPPS,
    VERIFICATION,
    WORKLIST,
    Item,
    associate_rq,
    command_set,
    echo_rq,
    message,
)

Maker = Callable[[Random, int], tuple[bytes, bytes] | tuple[bytes, bytes, int]]
ASSOCIATE = associate_rq().encode()
PATHS = (b"../../../etc", b"..\\..\\win", b"/etc/passwd", b"$(reboot)", b"`id`;ls", b"A\r\nB: C")
ODD_UIDS = (
    b"../../../../tmp/x",
    b"1.2;$(touch pwned)",
    b"1.2.3`id`",
    b"1." * 200,
    b"",
    b"\xff\xfe1.2",
    b"1.2.3\\1.2.4",
    b"abc",
    b"1..2",
    b"0" * 64,
    b"1.2\n1.3",
)
PROTOCOLS = (
    b"GET / HTTP/1.1\r\nHost: scanner\r\nUser-Agent: curl/8\r\n\r\n",
    b"POST /worklist HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 900,
    b"OPTIONS * HTTP/1.0\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0",
    bytes.fromhex("16030100f8010000f40303") + bytes(range(200)),
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"\x00\x00\x00\x85\xffSMBr\x00\x00\x00\x00\x18\x53\xc8" + b"\0" * 60,
    b"\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00\x01\x00\x08\x00\x03\x00\x00\x00",
    b"*1\r\n$4\r\nPING\r\n",
    b"OPTIONS sip:nm SIP/2.0\r\n\r\n",
    b"\x80\x80\x01\x03\x01\x00\x57\x00\x00\x00\x20",
    b"\0" * 300,
    b"\xff" * 300,
)


def _random_bytes(rng: Random, turn: int) -> tuple[bytes, bytes]:
    return rng.randbytes(rng.choice((1, 5, 6, 7, 74, 300, 5000))), b""


def _other_protocol(rng: Random, turn: int) -> tuple[bytes, bytes]:
    return PROTOCOLS[turn % len(PROTOCOLS)], b""


def _random_pdu(rng: Random, turn: int) -> tuple[bytes, bytes]:
    body = rng.randbytes(rng.choice((0, 4, 68, 300)))
    return struct.pack(">BBI", turn % 256, rng.choice((0, 255)), len(body)) + body, b""


_PATHS_TO_LENGTHS = list(associate_rq().inner())


def _associate_length(rng: Random, turn: int) -> tuple[bytes, bytes]:
    right = associate_rq()
    path = _PATHS_TO_LENGTHS[turn % len(_PATHS_TO_LENGTHS)]
    wrong = wrong_lengths(right.at(path).right_length)
    length = wrong[turn // len(_PATHS_TO_LENGTHS) % len(wrong)]
    return right.changed(path, lambda item: replace(item, length=length)).encode(), b""


def _associate_truncated(rng: Random, turn: int) -> tuple[bytes, bytes]:
    return ASSOCIATE[: turn % len(ASSOCIATE)], b""


def _associate_mutated(rng: Random, turn: int) -> tuple[bytes, bytes]:
    return with_changed_bytes(rng, ASSOCIATE), message(1, command_set(*echo_rq()))


def _associate_items(rng: Random, turn: int) -> tuple[bytes, bytes]:
    """Items in another order, missing, twice, or of a kind that nobody knows."""
    fixed, *items = associate_rq().parts
    rng.shuffle(items)
    some = items[: rng.randrange(len(items) + 1)]
    some += rng.choices(items, k=rng.randrange(3))
    kinds = (0x00, 0x11, 0x21, 0x31, 0x40, 0x50, 0x51, 0x99, 0xFF)
    some += [Item(rng.choice(kinds), (rng.randbytes(rng.randrange(40)),)) for _ in range(turn % 3)]
    return Item(1, (fixed, *some), long=True).encode(), message(1, command_set(*echo_rq()))


def _associate_contexts(rng: Random, turn: int) -> tuple[bytes, bytes]:
    contexts: list[tuple[int, str | bytes, tuple[str | bytes, ...]]] = {
        0: [],
        1: [(n, VERIFICATION, (IMPLICIT,)) for n in range(256)],
        2: [(1, VERIFICATION, ())],
        3: [(1, VERIFICATION, (IMPLICIT,))] * 40,
        4: [(0, WORKLIST, (IMPLICIT,)), (2, MPPS, (IMPLICIT,)), (255, MPPS, (EXPLICIT,))],
        5: [(1, rng.choice(ODD_UIDS), (IMPLICIT,)), (3, VERIFICATION, (rng.choice(ODD_UIDS),))],
        6: [(1, VERIFICATION, (IMPLICIT,) * 900)],
        7: [(2 * n + 1, WORKLIST, (DEFLATED, BIG_ENDIAN)) for n in range(128)],
    }[turn % 8]
    return associate_rq(contexts=contexts).encode(), message(1, command_set(*echo_rq()))


def _associate_user(rng: Random, turn: int) -> tuple[bytes, bytes]:
    """User information of the wrong form (PS3.7 Annex D.3)."""
    longest = Item(0x51, (struct.pack(">I", rng.choice((0, 1, 6, 7, 2**32 - 1))),))
    body = rng.randbytes(rng.randrange(30))
    odd = {
        0: Item(0x51, (b"\0",)),
        1: Item(0x52, (rng.choice(ODD_UIDS),)),
        2: Item(0x53, (body,)),
        3: Item(0x54, (struct.pack(">H", 60_000) + body,)),
        4: Item(0x56, (struct.pack(">H", 3) + body,)),
        5: Item(0x57, (struct.pack(">H", 0xFFFF) + body,)),
        6: Item(0x58, (b"\x02\x01" + struct.pack(">H", 0xFFF0) + body,)),
        7: Item(0x55, (b"\xff\n\x1b[2J" * 8,)),
        8: Item(0x58, (b"\x07\x00\x00\x00\x00\x00",)),
    }[turn % 9]
    user = associate_rq(user=(longest, Item(0x52, (b"2.25.1",)), odd))
    return user.encode(), message(1, command_set(*echo_rq()))


def _associate_titles(rng: Random, turn: int) -> tuple[bytes, bytes]:
    titles = (*PATHS, b"", b" " * 16, b"\0" * 16, b"\xff" * 16, b"\x1b[2J\x07", b"%s%n{0}", b"\\")
    called, calling = titles[turn % len(titles)], rng.choice((b"HOSTILE", *titles))
    opening = associate_rq(called=called[:16], calling=calling[:16]).encode()
    return opening, message(1, command_set(*echo_rq()))


def _associate_header(rng: Random, turn: int) -> tuple[bytes, bytes]:
    version = rng.choice((0, 2, 0xFFFF))
    context = rng.choice((b"", b"1.2.3", *ODD_UIDS))
    return associate_rq(version=version, application_context=context).encode(), b""


def _endless_pdu(rng: Random, turn: int) -> tuple[bytes, bytes, int]:
    """A length of up to 4 GB, and bytes without end."""
    kind = rng.choice((1, 1, 2, 3, 4, 5, 7, 9))
    length = rng.choice((0xFFFF_FFFF, 0x8000_0000, 0x7FFF_FFFF, 200_000))
    opening = struct.pack(">BxI", kind, length)
    opening += ASSOCIATE[6:] if turn % 2 else b""
    return opening, rng.randbytes(4096), rng.choice((4, 64, 1024))


def _many_items(rng: Random, turn: int) -> tuple[bytes, bytes]:
    fixed = associate_rq().parts[0]
    items = tuple(Item(rng.choice((0x20, 0x10, 0x50)), ()) for _ in range(20_000))
    return Item(1, (fixed, *items), long=True).encode(), b""


# --- In an association ---


KINDS: dict[str, Maker] = {
    "random bytes": _random_bytes,
    "another protocol": _other_protocol,
    "any PDU first": _random_pdu,
    "A-ASSOCIATE-RQ: wrong length": _associate_length,
    "A-ASSOCIATE-RQ: truncated": _associate_truncated,
    "A-ASSOCIATE-RQ: mutated": _associate_mutated,
    "A-ASSOCIATE-RQ: items": _associate_items,
    "A-ASSOCIATE-RQ: contexts": _associate_contexts,
    "A-ASSOCIATE-RQ: user information": _associate_user,
    "A-ASSOCIATE-RQ: AE titles": _associate_titles,
    "A-ASSOCIATE-RQ: header": _associate_header,
    "A-ASSOCIATE-RQ: many items": _many_items,
    "endless PDU": _endless_pdu,
}
