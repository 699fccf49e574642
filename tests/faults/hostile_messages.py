"""Associations in which a peer says what no scanner does."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from random import Random

from tests.faults.datasets import WAYS, begun_step, deep, identifier, running_step, wrong_lengths
from tests.faults.datasets import mutated as with_changed_bytes
from tests.faults.hostile_openings import ASSOCIATE, ODD_UIDS, Maker
from tests.faults.pdus import (
    COMMAND,
    DATA_SET,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    LAST,
    MPPS,
    NO_DATA_SET,
    VERIFICATION,
    WORKLIST,
    abort,
    associate_rq,
    command_set,
    create_rq,
    echo_rq,
    element,
    find_rq,
    get_rq,
    message,
    number,
    p_data,
    pdv,
    release_rq,
    set_rq,
    uid,
)

MIB = 2**20
RUNNING_STEP = "2.25.1234567890"
"""SOP Instance UID of a step that a scanner has begun."""


def _second_associate(rng: Random, turn: int) -> tuple[bytes, bytes]:
    return ASSOCIATE, ASSOCIATE * rng.choice((1, 3))


def _pdu_in_association(rng: Random, turn: int) -> tuple[bytes, bytes]:
    body = rng.randbytes(rng.choice((0, 4, 10, 300)))
    return ASSOCIATE, struct.pack(">BBI", turn % 256, 0, len(body)) + body


_ECHO = message(1, command_set(*echo_rq()))


def _message_truncated(rng: Random, turn: int) -> tuple[bytes, bytes]:
    whole = message(3, command_set(*find_rq()), identifier(IMPLICIT))
    return ASSOCIATE, whole[: turn % len(whole)]


def _p_data_length(rng: Random, turn: int) -> tuple[bytes, bytes]:
    command = command_set(*echo_rq())
    value = pdv(1, command, COMMAND | LAST)
    if turn % 2:
        wrong = wrong_lengths(len(value))
        return ASSOCIATE, p_data(value, length=wrong[turn // 2 % len(wrong)])
    wrong = wrong_lengths(len(command) + 2)
    length = wrong[turn // 2 % len(wrong)]
    return ASSOCIATE, p_data(pdv(1, command, COMMAND | LAST, length=length))


def _p_data_mutated(rng: Random, turn: int) -> tuple[bytes, bytes]:
    whole = message(3, command_set(*find_rq()), identifier(IMPLICIT))
    return ASSOCIATE, with_changed_bytes(rng, whole)


def _pdv_header(rng: Random, turn: int) -> tuple[bytes, bytes]:
    """Presentation contexts that were never agreed, and control headers with odd bits."""
    command = command_set(*echo_rq())
    values = [
        pdv(rng.choice((0, 2, 1, 13, 255)), command, rng.choice((0, 1, 2, 3, 0x80, 0xFF)))
        for _ in range(rng.randrange(1, 6))
    ]
    return ASSOCIATE, p_data(*values)


def _interleaved(rng: Random, turn: int) -> tuple[bytes, bytes]:
    """A data set before its command, two messages in one another."""
    find = pdv(3, command_set(*find_rq()), COMMAND | LAST)
    create = pdv(5, command_set(*create_rq("1.2.3")), COMMAND | LAST)
    half, rest = pdv(3, identifier(IMPLICIT)[:20], 0), pdv(3, identifier(IMPLICIT)[20:], LAST)
    other = pdv(5, begun_step(IMPLICIT), LAST)
    parts = [find, half, rest, create, other, pdv(1, command_set(*echo_rq())[:9], COMMAND)]
    rng.shuffle(parts)
    return ASSOCIATE, b"".join(p_data(part) for part in parts[: rng.randrange(1, 7)])


def _endless_fragments(rng: Random, turn: int) -> tuple[bytes, bytes, int]:
    size = rng.choice((0, 1, 1000, 16_000))
    many = rng.choice((10, 400, 8 * MIB // 16_000))
    if turn % 3 == 0:
        return ASSOCIATE, p_data(pdv(1, b"\0" * size, COMMAND)), many
    start = p_data(pdv(3, command_set(*find_rq()), COMMAND | LAST))
    if turn % 3 == 1:
        return ASSOCIATE, start + p_data(pdv(3, b"\0" * size, 0)), many
    return ASSOCIATE, p_data(*[pdv(3, b"", 0)] * 2000), many // 8 + 1


def _long_p_data(rng: Random, turn: int) -> tuple[bytes, bytes, int]:
    """P-DATA longer than was announced, up to 4 GB."""
    length = rng.choice((20_000, 200_000, 0x4000_0000, 0xFFFF_FFFF))
    start = struct.pack(">BxI", 4, length) + struct.pack(">IBB", length - 4, 1, COMMAND)
    return ASSOCIATE, start + b"\0" * 16_000, rng.choice((1, 40, 300))


def _command_elements(rng: Random, turn: int) -> tuple[bytes, bytes]:
    """An element of the command set missing, twice, of another length or value."""
    context, elements = rng.choice(
        ((1, echo_rq()), (3, find_rq()), (5, create_rq("1.2.3")), (5, set_rq("1.2.3")))
    )
    at = turn % len(elements)
    change = turn // len(elements) % 6
    tag = struct.unpack("<HH", elements[at][:4])
    whole_tag = tag[0] << 16 | tag[1]
    if change == 0:
        del elements[at]
    elif change == 1:
        elements.insert(at, elements[at])
    elif change == 2:
        elements[at] = element(whole_tag, rng.randbytes(rng.choice((0, 1, 3, 4, 70))))
    elif change == 3:
        elements[at] = element(whole_tag, b"\xff\xff", length=rng.choice(wrong_lengths(2)))
    elif change == 4:
        rng.shuffle(elements)
    else:
        elements.append(element(rng.choice((0x0002_0010, 0x0010_0010, 0xFFFE_E000)), b"1.2 "))
    data = identifier(IMPLICIT) if rng.random() < 0.5 else None
    return ASSOCIATE, message(context, command_set(*elements), data)


def _command_field(rng: Random, turn: int) -> tuple[bytes, bytes]:
    """Requests that nobody offers, responses that nobody asked for."""
    fields = (
        0x0001,
        0x0010,
        0x0021,
        0x0100,
        0x0130,
        0x0150,
        0x0FFF,
        0x8001,
        0x8020,
        0x8030,
        0xFFFF,
    )
    field = fields[turn % len(fields)] if turn % 3 else rng.randrange(0x1_0000)
    context = rng.choice((1, 3, 5, 7))
    elements = [
        uid(0x0002, rng.choice((VERIFICATION, WORKLIST, MPPS, "1.2.840.10008.5.1.4.1.1.4"))),
        number(0x0100, field),
        number(rng.choice((0x0110, 0x0120)), rng.randrange(0x1_0000)),
        number(0x0800, rng.choice((NO_DATA_SET, DATA_SET, 0))),
        number(0x0900, rng.choice((0, 0xFF00, 0xA700))),
        uid(0x1000, "1.2.3"),
    ]
    data = identifier(IMPLICIT) if rng.random() < 0.5 else None
    return ASSOCIATE, message(context, command_set(*elements), data)


def _command_bytes(rng: Random, turn: int) -> tuple[bytes, bytes]:
    command = {
        0: rng.randbytes(rng.choice((1, 8, 100, 5000))),
        1: with_changed_bytes(rng, command_set(*find_rq())),
        2: deep(rng.choice((5, 300, 3000)), undefined=True),
        3: command_set(deep(rng.choice((5, 900)), undefined=turn % 8 < 4), *echo_rq()),
        4: b"",
        5: command_set(*echo_rq(), length=rng.choice((0, 3, 9999, 0xFFFF_FFFF))),
        6: b"".join(element(n, b"x" * 4) for n in range(3000)),
    }[turn % 7]
    return ASSOCIATE, message(rng.choice((1, 3, 5)), command)


def _odd_instance(rng: Random, turn: int) -> tuple[bytes, bytes]:
    odd = ODD_UIDS[turn % len(ODD_UIDS)]
    choice = turn // len(ODD_UIDS) % 4
    if choice == 0:
        return ASSOCIATE, message(5, command_set(*create_rq(odd)), begun_step(IMPLICIT))
    if choice == 1:
        return ASSOCIATE, message(5, command_set(*set_rq(odd)), running_step(IMPLICIT))
    if choice == 2:
        return ASSOCIATE, message(7, command_set(*get_rq(odd)))
    elements = [uid(0x0002, odd), *find_rq()[1:]]
    return ASSOCIATE, message(3, command_set(*elements), identifier(IMPLICIT))


def _cancels(rng: Random, turn: int) -> tuple[bytes, bytes]:
    cancel = command_set(number(0x0100, 0x0FFF), number(0x0120, turn), number(0x0800, NO_DATA_SET))
    return ASSOCIATE, message(3, cancel) * rng.choice((1, 11, 60))


def _deflate_bomb(rng: Random, turn: int) -> tuple[bytes, bytes]:
    """Ten megabytes in ten kilobytes, on a context that the server must not have accepted."""
    bomb = _bomb()
    opening = associate_rq(
        contexts=[
            (1, VERIFICATION, (IMPLICIT,)),
            (3, WORKLIST, (DEFLATED,)),
            (5, MPPS, (DEFLATED,)),
        ]
    ).encode()
    if turn % 2:
        return opening, message(5, command_set(*create_rq("1.2.3")), bomb)
    return opening, message(3, command_set(*find_rq()), bomb)


def _bomb() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(element(0x0010_4000, b"\0" * 10 * MIB)) + packer.flush()


def _release_then(rng: Random, turn: int) -> tuple[bytes, bytes]:
    return ASSOCIATE, rng.choice((release_rq() * 3, release_rq() + _ECHO, abort(9, 9) + _ECHO))


def _data_set(make: Callable[[Random, str], tuple[int, list[bytes], bytes]], way: str) -> Maker:
    def attack(rng: Random, turn: int) -> tuple[bytes, bytes]:
        syntax = rng.choice((IMPLICIT, EXPLICIT))
        context, elements, whole = make(rng, syntax)
        return ASSOCIATE, message(context, command_set(*elements), WAYS[way](rng, syntax, whole))

    return attack


def _find(rng: Random, syntax: str) -> tuple[int, list[bytes], bytes]:
    return (3 if syntax == IMPLICIT else 9), find_rq(), identifier(syntax)


def _create(rng: Random, syntax: str) -> tuple[int, list[bytes], bytes]:
    instance = f"2.25.{rng.getrandbits(120)}"
    return (5 if syntax == IMPLICIT else 11), create_rq(instance), begun_step(syntax)


def _set(rng: Random, syntax: str) -> tuple[int, list[bytes], bytes]:
    instance = rng.choice((RUNNING_STEP, RUNNING_STEP, "2.25.4242"))
    return (5 if syntax == IMPLICIT else 11), set_rq(instance), running_step(syntax)


KINDS: dict[str, Maker] = {
    "second A-ASSOCIATE-RQ": _second_associate,
    "any PDU in an association": _pdu_in_association,
    "message: truncated": _message_truncated,
    "message: mutated": _p_data_mutated,
    "P-DATA: wrong length": _p_data_length,
    "P-DATA: context and control header": _pdv_header,
    "P-DATA: interleaved": _interleaved,
    "P-DATA: endless fragments": _endless_fragments,
    "P-DATA: longer than announced": _long_p_data,
    "command set: elements": _command_elements,
    "command set: command field": _command_field,
    "command set: bytes": _command_bytes,
    "instance UID": _odd_instance,
    "C-CANCEL": _cancels,
    "deflate bomb": _deflate_bomb,
    "A-RELEASE and on": _release_then,
    **{f"C-FIND: {way}": _data_set(_find, way) for way in WAYS},
    **{f"N-CREATE: {way}": _data_set(_create, way) for way in WAYS},
    **{f"N-SET: {way}": _data_set(_set, way) for way in WAYS},
}
