"""Data sets that are none: identifiers and MPPS attribute lists, broken one way at a time."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import cache
from random import Random

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset
from tests.dicom.modality import encode
from tests.dicom.performing import begun, ended, reason, scheduled, series
from tests.faults.pdus import EXPLICIT, element

SEQUENCE, ITEM, ITEM_END, SEQUENCE_END = 0x0040_0100, 0xFFFE_E000, 0xFFFE_E00D, 0xFFFE_E0DD
UNDEFINED = 0xFFFF_FFFF
CHARACTER_SET, PATIENT_NAME, PATIENT_ID = 0x0008_0005, 0x0010_0010, 0x0010_0020
STUDY_UID, MODALITY, START_DATE = 0x0020_000D, 0x0008_0060, 0x0040_0002

WIDE_VRS = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT")
NARROW_VRS = tuple(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())

CHARACTER_SETS = (
    rb"ISO_IR 999",
    rb"ISO 2022 IR 87",
    rb"\ISO 2022 IR 87\ISO 2022 IR 159",
    rb"ISO 2022 IR 149\ISO 2022 IR 58",
    rb"GB18030\ISO_IR 192",
    rb"ISO_IR 192\ISO 2022 IR 87",
    rb"ISO_IR 13",
    rb"ISO 2022 IR 13\ISO 2022 IR 87",
    b"ISO_IR 100\\" * 500 + b"ISO_IR 100",
    b"\xff\xfe\x00\x1b",
    b"utf_7",
    b"../../etc/passwd",
    b"idna",
    b"latin_1\\unicode_escape",
)
ESCAPED = (
    b"\x1b$B",
    b"\x1b$B\x1b",
    b"\x1b$B\x25",
    b"\x1b(J\x1b$)C\xff",
    b"\x1b" * 300,
    b"\x1b$(D\x80\x80=\x1b",
    b"\x1b%/@utf",
    b"Yamada\x1b$)A\xc0",
    b"\x1b-A\xff^\x1b-B\xfe=\x1b",
    b"\xed\xa0\x80",
    b"\xff" * 64,
    b"\x00\x01\x02\n\r\x7f",
)
KEYS = (
    (START_DATE, b"20250230"),
    (START_DATE, b"-"),
    (START_DATE, b"99999999-00000000"),
    (START_DATE, b"20250101-20250102-20250103"),
    (STUDY_UID, b"../../../../etc/passwd"),
    (STUDY_UID, b"1.2;$(touch pwned)`id`"),
    (STUDY_UID, b"1." * 4000),
    (STUDY_UID, b"1.2\\" * 3000),
    (PATIENT_ID, b"../../../etc/passwd"),
    (PATIENT_ID, b"'; DROP TABLE worklist_items; --"),
    (PATIENT_ID, b"%s%s%s%n{0}${jndi:ldap://x}"),
    (PATIENT_ID, b"*a" * 2000),
    (PATIENT_ID, b"?" * 4000),
    (PATIENT_ID, b"P" * 60_000),
    (PATIENT_NAME, b"*?" * 2000),
    (PATIENT_NAME, b"^=" * 2000),
    (PATIENT_NAME, b"a" * 4000),
    (MODALITY, b"\\" * 5000),
    (0x0010_1030, b"1e999999999"),
    (0x0010_1030, b"nan"),
    (0x0010_21C0, b"\x01"),
    (0x0008_0005, b"\xff" * 10),
)


@cache
def identifier(syntax: str) -> bytes:
    """What a scanner asks, with something of everything."""
    step = Dataset()
    step.Modality = "MR"
    step.ScheduledStationAETitle = "MR1"
    step.ScheduledProcedureStepStartDate = "20250701-20250731"
    step.ScheduledProcedureStepStartTime = ""
    step.ScheduledProtocolCodeSequence = [Dataset()]
    step.ScheduledProtocolCodeSequence[0].CodeValue = "BRAIN"
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = "Nobody*"
    ds.PatientID = "NOBODY"
    ds.StudyInstanceUID = "1.2.3\\1.2.4"
    ds.PatientWeight = ""
    ds.PregnancyStatus = 4
    ds.ScheduledProcedureStepSequence = [step]
    return encode(ds, syntax)


@cache
def begun_step(syntax: str) -> bytes:
    """The attribute list of an N-CREATE."""
    return encode(begun(scheduled(), scheduled()), syntax)


@cache
def running_step(syntax: str) -> bytes:
    """The modification list of an N-SET that does not end the step."""
    changes = {"PerformedProcedureStepDiscontinuationReasonCodeSequence": reason()}
    return encode(ended("IN PROGRESS", PerformedSeriesSequence=[series()], **changes), syntax)


def lengths(data: bytes, syntax: str) -> list[tuple[int, int]]:
    """Place and width of every length field, those inside sequences too."""
    return list(_lengths(data, 0, len(data), syntax == EXPLICIT))


def _lengths(data: bytes, at: int, end: int, explicit: bool) -> Iterator[tuple[int, int]]:
    while at < end:
        tag, vr = data[at : at + 4], data[at + 4 : at + 6]
        is_item = tag[:2] == b"\xfe\xff"
        place, width = at + 4, 4
        if explicit and not is_item:
            place, width = (at + 8, 4) if vr in WIDE_VRS else (at + 6, 2)
        yield place, width
        length = int.from_bytes(data[place : place + width], "little")
        at = place + width
        inside = data[at : at + 4] == b"\xfe\xff\x00\xe0" or is_item
        if inside:
            yield from _lengths(data, at, at + length, explicit)
        at += length


def with_length(data: bytes, field: tuple[int, int], value: int) -> bytes:
    """A copy in which one length field says something else."""
    place, width = field
    value &= (1 << 8 * width) - 1
    return data[:place] + value.to_bytes(width, "little") + data[place + width :]


def wrong_lengths(right: int) -> tuple[int, ...]:
    """What a length field may say instead."""
    return (0, 1, max(right - 1, 0), right + 1, right * 2 + 7, 0x7FFF_FFFF, 0xFFFF_FFFE, UNDEFINED)


def mutated(rng: Random, data: bytes) -> bytes:
    """A copy with a few bytes changed, put in or taken out."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(found))
        change = rng.randrange(4)
        if change == 0:
            found[at] = rng.randrange(256)
        elif change == 1:
            found[at] ^= 1 << rng.randrange(8)
        elif change == 2 and len(found) > 8:
            del found[at : at + rng.choice((1, 2, 8))]
        else:
            found[at:at] = rng.randbytes(rng.choice((1, 2, 4, 40)))
    return bytes(found)


def spelt(tag: int, value: bytes, syntax: str, length: int | None = None, vr: bytes = b"") -> bytes:
    """One element in a transfer syntax; in explicit VR with the dictionary's VR or another."""
    if syntax != EXPLICIT:
        return element(tag, value, length)
    vr = vr or dictionary_VR(tag).encode()
    length = len(value) if length is None else length
    start = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr)
    if vr in WIDE_VRS:
        return start + struct.pack("<HI", 0, length) + value
    return start + struct.pack("<H", length & 0xFFFF) + value


def deep(levels: int, *, undefined: bool, ended: bool = True) -> bytes:
    """Sequences in sequences, in implicit VR little endian."""
    if undefined:
        start = _header(SEQUENCE, UNDEFINED) + _header(ITEM, UNDEFINED)
        end = _header(ITEM_END, 0) + _header(SEQUENCE_END, 0)
        return start * levels + end * (levels if ended else 0)
    headers: list[bytes] = []
    length = 0
    for _ in range(levels):
        headers.append(_header(SEQUENCE, length + 8) + _header(ITEM, length))
        length += 16
    return b"".join(reversed(headers))


def _header(tag: int, length: int) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def _wrong_length(rng: Random, syntax: str, whole: bytes) -> bytes:
    field = rng.choice(lengths(whole, syntax))
    right = int.from_bytes(whole[field[0] : sum(field)], "little")
    return with_length(whole, field, rng.choice(wrong_lengths(right)))


def _random_bytes(rng: Random, syntax: str, whole: bytes) -> bytes:
    return rng.randbytes(rng.choice((1, 8, 40, 400, 4000)))


def _deep(rng: Random, syntax: str, whole: bytes) -> bytes:
    levels = rng.choice((9, 64, 900, 3000))
    start = b"" if syntax != EXPLICIT else spelt(SEQUENCE, b"", syntax, UNDEFINED, b"UN")
    return start + deep(levels, undefined=rng.random() < 0.7, ended=rng.random() < 0.5)


def _open_end(rng: Random, syntax: str, whole: bytes) -> bytes:
    opened = spelt(SEQUENCE, b"", syntax, UNDEFINED, b"SQ")
    return whole + opened + _header(ITEM, UNDEFINED) * rng.randrange(1, 40)


def _wrong_vr(rng: Random, syntax: str, whole: bytes) -> bytes:
    """The same bytes under another value representation, or with none at all."""
    if syntax != EXPLICIT:
        return whole[: rng.randrange(4, len(whole))].replace(b"\x10\x00", b"\x40\x00", 1)
    found = bytearray(whole)
    places = [at for at in range(4, len(whole) - 2) if whole[at : at + 2] in NARROW_VRS]
    at = rng.choice(places)
    found[at : at + 2] = rng.choice((*NARROW_VRS, *WIDE_VRS, b"ZZ", b"\0\0", b"??"))
    return bytes(found)


def _many_elements(rng: Random, syntax: str, whole: bytes) -> bytes:
    value, many = rng.choice((b"", b"MR", b"x" * 60)), rng.choice((90, 6000))
    return b"".join(spelt(0x0009_1000 + n, value, syntax, vr=b"LO") for n in range(many))


def _repeated(rng: Random, syntax: str, whole: bytes) -> bytes:
    return spelt(PATIENT_NAME, b"Doe*", syntax) * rng.choice((2, 4000))


def _huge_value(rng: Random, syntax: str, whole: bytes) -> bytes:
    tag = rng.choice((PATIENT_NAME, PATIENT_ID, STUDY_UID, START_DATE, CHARACTER_SET, 0x0010_4000))
    return spelt(tag, rng.choice((b"A", b"1.", b"\\", b"*?", b"\x1b$B")) * 20_000, syntax)


def _character_set(rng: Random, syntax: str, whole: bytes) -> bytes:
    terms, value = rng.choice(CHARACTER_SETS), rng.choice(ESCAPED)
    pairs = ((CHARACTER_SET, terms), (PATIENT_NAME, value), (PATIENT_ID, value))
    return b"".join(spelt(tag, part, syntax) for tag, part in pairs)


def _key(rng: Random, syntax: str, whole: bytes) -> bytes:
    tag, value = rng.choice(KEYS)
    key = spelt(tag, value, syntax)
    return spelt(SEQUENCE, element(ITEM, key), syntax) if tag >> 16 == 0x0040 else key


WAYS: dict[str, Callable[[Random, str, bytes], bytes]] = {
    "random bytes": _random_bytes,
    "wrong length": _wrong_length,
    "mutated": lambda rng, syntax, whole: mutated(rng, whole),
    "truncated": lambda rng, syntax, whole: whole[: rng.randrange(len(whole))],
    "deep sequences": _deep,
    "sequences without end": _open_end,
    "wrong VR": _wrong_vr,
    "too many elements": _many_elements,
    "repeated element": _repeated,
    "huge value": _huge_value,
    "character set": _character_set,
    "key without meaning": _key,
}
"""How a data set may be broken: takes the dice, the transfer syntax and a right one."""
