"""What a scanner sends, as prebuilt bytes: nothing is encoded while the clock runs.

Written by hand from PS3.7 and PS3.8, so that no library of the servers measured is measured along.
Data sets are implicit VR little endian.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence

from benchmarks.bookings import SCANNER, SERVER, Booking

VERIFICATION = "1.2.840.10008.1.1"
WORKLIST = "1.2.840.10008.5.1.4.31"
MPPS = "1.2.840.10008.3.1.2.3.3"
CONTEXTS = {1: VERIFICATION, 3: WORKLIST, 5: MPPS}
_CONTEXT_OF = {uid: number for number, uid in CONTEXTS.items()}
_IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
_LONGEST_PDU = 16_384
RELEASE = b"\x05\0\0\0\0\x04\0\0\0\0"

Values = dict[int, str | Sequence[bytes]]
Command = list[tuple[int, int | str]]

STEP = 0x0040_0100
PROTOCOL = 0x0040_0008
_ROOT_KEYS = (
    0x0008_0050,
    0x0008_0090,
    0x0010_0010,
    0x0010_0020,
    0x0010_0030,
    0x0010_0040,
    0x0010_1030,
    0x0020_000D,
    0x0032_1032,
    0x0032_1060,
    0x0040_1001,
    0x0040_1003,
)
_STEP_KEYS = (
    0x0008_0060,
    0x0040_0001,
    0x0040_0002,
    0x0040_0003,
    0x0040_0006,
    0x0040_0007,
    0x0040_0009,
    0x0040_0010,
    0x0040_0011,
)
_CODE_KEYS = (0x0008_0100, 0x0008_0102, 0x0008_0104)
ASKED = frozenset({*_ROOT_KEYS, *_STEP_KEYS, *_CODE_KEYS, STEP, PROTOCOL})
"""Every key that a console asks; an answer must hold them all."""

MODALITY, STATION, START_DATE, PATIENT_ID = 0x0008_0060, 0x0040_0001, 0x0040_0002, 0x0010_0020


def associate() -> bytes:
    """A-ASSOCIATE-RQ for verification, worklist and MPPS (PS3.8 9.3.2)."""
    items = _item(0x10, b"1.2.840.10008.3.1.1.1")
    for number, uid in CONTEXTS.items():
        syntaxes = _item(0x30, uid.encode()) + _item(0x40, _IMPLICIT_VR_LITTLE_ENDIAN.encode())
        items += _item(0x20, struct.pack(">BBBB", number, 0, 0, 0) + syntaxes)
    about = _item(0x51, struct.pack(">I", _LONGEST_PDU)) + _item(0x52, b"1.2.826.0.1.3680043.8.498")
    items += _item(0x50, about)
    titles = SERVER.ljust(16).encode() + SCANNER.ljust(16).encode()
    body = struct.pack(">HH", 1, 0) + titles + bytes(32) + items
    return struct.pack(">BBI", 1, 0, len(body)) + body


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(body)) + body


def echo() -> bytes:
    """C-ECHO-RQ (PS3.7 9.3.5.1)."""
    return _message(VERIFICATION, [(0x0100, 0x0030), (0x0110, 1), (0x0800, 0x0101)])


def find(step: Mapping[int, str]) -> bytes:
    """C-FIND-RQ with the keys of an MR console (PS3.7 9.3.2.1).

    Parameters
    ----------
    step : mapping
        Matching keys inside the Scheduled Procedure Step Sequence; none for universal matching.
    """
    code = data_set(_empty(_CODE_KEYS))
    inside: Values = {tag: step.get(tag, "") for tag in _STEP_KEYS}
    asked = data_set(_empty(_ROOT_KEYS) | {STEP: [data_set(inside | {PROTOCOL: [code]})]})
    command: Command = [(0x0100, 0x0020), (0x0110, 1), (0x0700, 0), (0x0800, 1)]
    return _message(WORKLIST, command, asked)


def _empty(tags: Iterable[int]) -> Values:
    """Keys that are asked and not matched."""
    return dict.fromkeys(tags, "")


def create(booking: Booking, instance_uid: str) -> bytes:
    """N-CREATE-RQ: the scanner has begun (PS3.4 Table F.7.2-1)."""
    scheduled = data_set(
        {
            0x0008_0050: booking.accession_number,
            0x0008_1110: [],
            0x0020_000D: booking.study_instance_uid,
            0x0032_1060: booking.procedure_description,
            0x0040_0007: booking.step_description,
            PROTOCOL: [],
            0x0040_0009: booking.step_id,
            0x0040_1001: booking.procedure_id,
        }
    )
    step: Values = {
        0x0008_0060: "MR",
        0x0008_1032: [],
        0x0010_0010: booking.patient_name,
        0x0010_0020: booking.patient_id,
        0x0010_0030: booking.patient_birth_date,
        0x0010_0040: booking.patient_sex,
        0x0008_1120: [],
        0x0020_0010: "",
        0x0040_0241: SCANNER,
        0x0040_0242: "",
        0x0040_0243: "",
        0x0040_0244: booking.start_date,
        0x0040_0245: "101500",
        0x0040_0250: "",
        0x0040_0251: "",
        0x0040_0252: "IN PROGRESS",
        0x0040_0253: booking.step_id,
        0x0040_0254: "",
        0x0040_0255: "",
        0x0040_0260: [],
        0x0040_0270: [scheduled],
        0x0040_0340: [],
    }
    command: Command = [(0x0100, 0x0140), (0x0110, 1), (0x0800, 1), (0x1000, instance_uid)]
    return _message(MPPS, command, data_set(step))


def complete(booking: Booking, instance_uid: str) -> bytes:
    """N-SET-RQ: the scanner is done (PS3.4 Table F.7.2-1)."""
    series: Values = {
        0x0008_0054: "",
        0x0008_103E: "T1",
        0x0008_1050: "",
        0x0008_1070: "",
        0x0008_1140: [],
        0x0018_1030: booking.protocol_code,
        0x0020_000E: f"{instance_uid}.1",
        0x0040_0220: [],
    }
    changes: Values = {
        0x0040_0250: booking.start_date,
        0x0040_0251: "104500",
        0x0040_0252: "COMPLETED",
        0x0040_0340: [data_set(series)],
    }
    command: Command = [(0x0100, 0x0120), (0x0110, 1), (0x0800, 1), (0x1001, instance_uid)]
    return _message(MPPS, command, data_set(changes), uid_element=0x0003)


def data_set(values: Values) -> bytes:
    """Elements in the order of their tags; a list is a sequence of encoded items."""
    encoded = b""
    for tag in sorted(values):
        value = values[tag]
        if isinstance(value, str):
            body = value.encode("ascii")
            is_uid = value.startswith("1.2.")
            body += (b"\0" if is_uid else b" ") * (len(body) % 2)
        else:
            body = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(i)) + i for i in value)
        encoded += struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(body)) + body
    return encoded


def _message(
    sop_class: str,
    command: Command,
    data: bytes = b"",
    *,
    uid_element: int = 0x0002,
) -> bytes:
    """Command set and data set, a P-DATA-TF PDU each (PS3.7 6.3, PS3.8 9.3.5)."""
    body = b"".join(_command_element(*element) for element in [(uid_element, sop_class), *command])
    context = _CONTEXT_OF[sop_class]
    group = struct.pack("<HHII", 0, 0, 4, len(body))
    return _pdu(context, 3, group + body) + (_pdu(context, 2, data) if data else b"")


def _command_element(element: int, value: int | str) -> bytes:
    if isinstance(value, int):
        return struct.pack("<HHIH", 0, element, 2, value)
    uid = value.encode("ascii") + b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(uid)) + uid


def _pdu(context: int, flags: int, fragment: bytes) -> bytes:
    length = len(fragment) + 2
    return struct.pack(">BBIIBB", 4, 0, length + 4, length, context, flags) + fragment
