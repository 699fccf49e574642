"""Data sets that are none, over real associations: named, answered, and nothing of them is kept."""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from tests.dicom.modality import WORKLIST, Aborted, Modality, encode
from tests.dicom.performing import begun, ended, new_uid, series
from tests.dicom.serving import Server
from tests.faults.pdus import COMMAND, LAST, command_set, find_rq, p_data, pdv

STEPS, SERIES, STATUS = 0x00400270, 0x00400340, 0x00400252
PATIENT_ID, PATIENT_NAME, PREGNANCY = 0x00100020, 0x00100010, 0x001021C0
STUDY_UID, STEP_SEQUENCE, WEIGHT = 0x0020000D, 0x00400100, 0x00101030
ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
LONG = ("OB", "UN", "SQ", "UT")


def spelt(tag: int, vr: str, value: bytes) -> bytes:
    """An element in explicit VR little endian."""
    start = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in LONG:
        return start + struct.pack("<HI", 0, len(value)) + value
    return start + struct.pack("<H", len(value)) + value


def with_element(ds: Dataset, tag: int, vr: str, value: bytes) -> bytes:
    """An encoded data set in which one attribute is written in this way."""
    rest = {element.tag: element for element in ds if element.tag != tag}
    before, after = Dataset(), Dataset()
    for number, element in rest.items():
        (before if number < tag else after).add(element)
    parts = encode(before, ExplicitVRLittleEndian), encode(after, ExplicitVRLittleEndian)
    return parts[0] + spelt(tag, vr, value) + parts[1]


@pytest.fixture
def scanner(server: Server) -> Iterator[Modality]:
    """A scanner that speaks explicit VR, in which everything can be written wrongly."""
    with server.scanner(syntax=ExplicitVRLittleEndian) as modality:
        yield modality


# --- Performed steps ---

WRONG = [
    pytest.param(STEPS, "LO", b"text", 0x0106, id="text in place of a sequence"),
    pytest.param(STEPS, "UN", ITEM, 0x0106, id="bytes in place of a sequence"),
    pytest.param(SERIES, "OB", b"\xff\xd8", 0x0106, id="an image in place of the series"),
    pytest.param(PATIENT_ID, "SQ", ITEM, 0x0106, id="a sequence in place of a text"),
    pytest.param(PATIENT_ID, "FD", b"\0" * 8, 0x0106, id="a number in place of a text"),
    pytest.param(PREGNANCY, "US", b"\1", 0x0106, id="half a number"),
    pytest.param(WEIGHT, "DS", b"1e999", 0x0106, id="a weight without end"),
    pytest.param(STATUS, "CS", b"../../..", 0x0106, id="a status that is a path"),
    pytest.param(STEPS, "SQ", b"", 0x0121, id="no item"),
]


@pytest.mark.parametrize(("tag", "vr", "value", "status"), WRONG)
def test_a_wrong_value_in_a_create_is_named_and_nothing_is_kept(
    server: Server, scanner: Modality, tag: int, vr: str, value: bytes, status: int
) -> None:
    answer = scanner.create(with_element(begun(), tag, vr, value), new_uid())
    assert (answer.status, answer.tags) == (status, [tag])
    assert server.steps.all() == []


@pytest.mark.parametrize(
    ("tag", "vr", "value", "status"), [case for case in WRONG if case.values[0] in (SERIES, STATUS)]
)
def test_a_wrong_value_in_a_set_is_named_and_changes_nothing(
    server: Server, scanner: Modality, tag: int, vr: str, value: bytes, status: int
) -> None:
    uid = new_uid()
    scanner.create(begun(), uid)
    before = server.steps.get(uid)
    assert scanner.set(uid, with_element(ended(), tag, vr, value)).status == status
    assert server.steps.get(uid) == before
    assert scanner.set(uid, ended()).status == 0x0000


def test_every_beginning_of_a_create_is_refused(server: Server, scanner: Modality) -> None:
    whole = encode(begun(), ExplicitVRLittleEndian)
    for length in range(0, len(whole), 7):
        status = scanner.create(whole[:length], new_uid()).status
        assert status in (0x0110, 0x0120), length
    assert server.steps.all() == []


def test_a_scan_of_thousands_of_images_is_kept(server: Server) -> None:
    """A functional scan has 300 volumes of 40 slices, each an image of its own on some consoles."""
    images = []
    for number in range(5000):
        image = Dataset()
        image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
        image.ReferencedSOPInstanceUID = f"1.2.3.{number}"
        images.append(image)
    uid = new_uid()
    server.mr1.create(begun(), uid)
    whole = ended(PerformedSeriesSequence=[series(ReferencedImageSequence=images)])
    assert server.mr1.set(uid, whole).status == 0x0000
    (kept,) = server.steps.get(uid).step.attributes["00400340"]["Value"]
    assert len(kept["00081140"]["Value"]) == 5000


def test_a_step_does_not_grow_without_end(server: Server, scanner: Modality) -> None:
    """An N-SET may bring attributes that the step did not have, and so may the next one."""
    uid = new_uid()
    scanner.create(begun(), uid)
    statuses = [
        scanner.set(uid, spelt(0x00091000 + number, "UT", b"x" * 800_000)).status
        for number in range(7)
    ]
    assert statuses == [0x0000] * 5 + [0x0213] * 2
    assert len(server.steps.get(uid).step.attributes) == len(begun()) + 5
    assert scanner.set(uid, ended()).status == 0x0000


def test_a_step_has_a_number_of_attributes_and_no_more(server: Server, scanner: Modality) -> None:
    uid = new_uid()
    scanner.create(begun(), uid)

    def some(start: int) -> bytes:
        return b"".join(spelt(0x00091000 + n, "LO", b"x ") for n in range(start, start + 300))

    assert [scanner.set(uid, some(start)).status for start in (0, 300)] == [0x0000, 0x0213]
    assert scanner.set(uid, some(0) + some(300)).status == 0x0110


# --- Identifiers ---


@pytest.mark.parametrize(
    ("identifier", "said"),
    [
        (b"", "no attribute of the Modality Worklist model"),
        (b"\xff" * 400, "not a data set"),
        (spelt(PATIENT_ID, "LO", b"P1") * 2, "not a data set: an attribute that stands twice"),
        (spelt(PATIENT_ID, "FD", b"\0" * 8), "PatientID: expected a value of VR LO"),
        (spelt(PATIENT_ID, "OB", b"P1"), "PatientID: expected a value of VR LO"),
        (spelt(PREGNANCY, "SH", b"12"), "PregnancyStatus: expected a value of VR US"),
        (spelt(PATIENT_ID, "SQ", ITEM), "PatientID: expected a value, not a sequence"),
        (spelt(STEP_SEQUENCE, "LO", b"MR"), "expected a sequence"),
        (spelt(STEP_SEQUENCE, "SQ", ITEM * 2), "ScheduledProcedureStepSequence: expected one"),
        (spelt(STUDY_UID, "UI", b"../../.."), "StudyInstanceUID: expected a UID"),
        (spelt(STUDY_UID, "UI", b"1.2;$(x)"), "StudyInstanceUID: expected a UID"),
        (spelt(PATIENT_NAME, "PN", b"*a" * 200), "PatientName: expected at most 256"),
        (spelt(PATIENT_ID, "LO", b"a\\" * 100), "PatientID: expected at most 64 values"),
        (spelt(WEIGHT, "DS", b"1_0 "), "PatientWeight: expected a number"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_malformed_identifier_is_answered_with_a_reason_and_without_items(
    server: Server, scanner: Modality, identifier: bytes, said: str
) -> None:
    server.book("1")
    answer = scanner.find(identifier)
    assert (answer.status, answer.items) == (0xA900, [])
    assert said[:40] in answer.comment


@pytest.mark.parametrize("title", ["../OTHER", "..", "/etc/passwd", "$(reboot)", "*"])
def test_a_called_ae_title_is_only_a_name(server: Server, title: str) -> None:
    server.book("1")
    with server.scanner(called=title) as modality:
        assert len(modality.find(spelt_id()).items) == 1


def spelt_id() -> bytes:
    """An identifier in implicit VR that asks for the Patient ID."""
    return struct.pack("<HHI", 0x0010, 0x0020, 0)


# --- Messages ---

FIND = command_set(*find_rq())
OUT_OF_ORDER = {
    "a command in the middle of a data set": [(3, FIND, COMMAND | LAST), (3, FIND, COMMAND | LAST)],
    "a data set without a command": [(3, b"", LAST)],
    "a data set on another context": [(3, FIND, COMMAND | LAST), (5, b"", LAST)],
    "a command set without end": [(3, b"\0" * 9000, COMMAND)] * 2,
}


@pytest.mark.parametrize("values", OUT_OF_ORDER.values(), ids=OUT_OF_ORDER.keys())
def test_a_fragment_out_of_order_ends_the_association(
    server: Server, values: list[tuple[int, bytes, int]]
) -> None:
    scanner = server.scanner()
    scanner.open()
    sent = [pdv(*value) for value in values]
    scanner._socket.sendall(b"".join(map(p_data, sent)))
    with pytest.raises(Aborted):
        scanner.wait_for_the_end()


def test_values_out_of_order_in_one_pdu_end_the_association_too(server: Server) -> None:
    scanner = server.scanner()
    scanner.open()
    scanner._socket.sendall(p_data(*[pdv(3, FIND, COMMAND | LAST)] * 9))
    with pytest.raises(Aborted):
        scanner.wait_for_the_end()


def test_values_of_one_message_may_share_a_pdu(server: Server) -> None:
    server.book("1")
    with server.scanner() as scanner:
        key = spelt_id()
        values = pdv(3, FIND[:9], COMMAND), pdv(3, FIND[9:], COMMAND | LAST)
        rest = pdv(3, key[:3], 0), pdv(3, key[3:], LAST)
        scanner._message_id = 1
        scanner._socket.sendall(p_data(*values, *rest))
        assert scanner._answer(WORKLIST).status == 0xFF00
        assert scanner._answer(WORKLIST).status == 0x0000
