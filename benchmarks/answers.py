"""Reading what came back, after the clock has stopped: messages, elements, and what is wrong."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Set
from dataclasses import dataclass

from benchmarks.requests import ASKED, PATIENT_ID, PROTOCOL, STEP

_SEQUENCES = frozenset({STEP, PROTOCOL, 0x0008_1110, 0x0008_1120})
_UNDEFINED = 0xFFFF_FFFF
_ITEM, _DELIMITERS = 0xFFFE_E000, (0xFFFE_E00D, 0xFFFE_E0DD)
_P_DATA, _ABORT = 4, 7
_PENDING = (0xFF00, 0xFF01)
_NO_DATA_SET = 0x0101
_STATUS, _DATA_SET_TYPE = 0x0900, 0x0800


class WrongAnswer(Exception):
    """The server refused, hung up, or said something else than what is right."""


@dataclass(frozen=True, slots=True)
class Message:
    """One response: its status and its data set, empty when there is none."""

    status: int
    data: bytes


def messages(received: memoryview) -> Iterator[Message]:
    """The complete messages at the beginning of what was received.

    Raises
    ------
    WrongAnswer
        The server ended the association.
    """
    command = data = b""
    start = 0
    while start + 6 <= len(received):
        kind, length = struct.unpack_from(">BxI", received, start)
        end = start + 6 + length
        if kind != _P_DATA:
            raise WrongAnswer(f"aborted, PDU {kind}" if kind == _ABORT else f"PDU {kind}")
        if end > len(received):
            return
        start += 6
        while start < end:
            (size,) = struct.unpack_from(">I", received, start)
            flags = received[start + 5]
            fragment = bytes(received[start + 6 : start + 4 + size])
            start += 4 + size
            if flags & 1:
                command += fragment
            else:
                data += fragment
            if flags & 2 and (not flags & 1 or _number(command, _DATA_SET_TYPE) == _NO_DATA_SET):
                yield Message(_number(command, _STATUS), data)
                command = data = b""


def _number(command: bytes, element: int) -> int:
    """A 16 bit value of a command set."""
    found = command.find(struct.pack("<HHI", 0, element, 2))
    if found < 0:
        raise WrongAnswer(f"a command set without (0000,{element:04X})")
    (value,) = struct.unpack_from("<H", command, found + 8)
    return int(value)


def check_answer(received: memoryview, expected: Set[str]) -> None:
    """Whether these are the expected patients, each once, with every key that was asked.

    Raises
    ------
    WrongAnswer
        With what is wrong.
    """
    pending, final = [], None
    for message in messages(received):
        if message.status in _PENDING:
            pending.append(message)
        else:
            final = message.status
    if final != 0:
        raise WrongAnswer("no final response" if final is None else f"status {final:04X}")
    patients = []
    for message in pending:
        values = dict(elements(message.data))
        patients.append(values.get(PATIENT_ID, b"").decode("ascii").strip())
        missing = ASKED - values.keys()
        if missing:
            raise WrongAnswer(f"{len(missing)} keys missing, such as {min(missing):08X}")
    if len(patients) != len(expected):
        raise WrongAnswer(f"{len(patients)} items instead of {len(expected)}")
    if set(patients) != expected:
        raise WrongAnswer("other items than asked for")


def elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tags and values of a data set, those inside sequences too; implicit VR little endian."""
    at = 0
    while at + 8 <= len(data):
        group, element, length = struct.unpack_from("<HHI", data, at)
        tag = group << 16 | element
        at += 8
        if tag == _ITEM or tag in _DELIMITERS:
            continue
        if tag in _SEQUENCES or length == _UNDEFINED:
            yield tag, b""
            continue
        yield tag, data[at : at + length]
        at += length
