"""MPPS over real associations: N-CREATE, N-SET, N-GET and the bookings (PS3.4 F.7, F.8)."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from tests.dicom.modality import (
    C_ECHO,
    C_FIND,
    MPPS,
    N_ACTION,
    N_DELETE,
    N_SET,
    RETRIEVE,
    WORKLIST,
    Answer,
)
from tests.dicom.performing import begun, ended, new_uid, only, reason, scheduled, series
from tests.dicom.serving import Server, query

from pylantir.worklist.item import WorklistItem
from pylantir.worklist.values import uid as checked_uid

MakeServer = Callable[..., Server]

FINAL = "Performed Procedure Step Object may no longer be updated"


def begin(server: Server, *items: WorklistItem, uid: str = "") -> str:
    """Begin a step for these bookings and return its SOP Instance UID."""
    uid = uid or new_uid()
    assert server.mr1.create(begun(*map(scheduled, items)), uid).status == 0x0000
    return uid


def status_of(server: Server, item: WorklistItem) -> str:
    assert item.item_id is not None
    return server.items.get(item.item_id).status.value


# --- The course of a step ---


def test_a_step_takes_its_booking_from_scheduled_to_completed(server: Server) -> None:
    item = server.book("1")
    uid = begin(server, item)
    assert status_of(server, item) == "IN_PROGRESS"
    assert server.mr1.set(uid, ended()).status == 0x0000
    assert status_of(server, item) == "COMPLETED"
    assert server.ids(query()) == []


def test_the_first_start_fills_study_date_and_time(server: Server) -> None:
    """F.7.2.1.3, note."""
    begin(server, server.book("1"))
    (item,) = server.find(query(StudyDate="", StudyTime="")).items
    assert (item.StudyDate, item.StudyTime) == ("20250707", "083512")


def test_a_step_may_be_updated_while_it_runs(server: Server) -> None:
    item = server.book("1")
    uid = begin(server, item)
    for protocol in ("localizer", "t1"):
        update = only(
            PerformedProcedureStepStatus="IN PROGRESS",
            PerformedSeriesSequence=[series(ProtocolName=protocol)],
        )
        assert server.mr1.set(uid, update).status == 0x0000
    (kept,) = server.steps.get(uid).step.attributes["00400340"]["Value"]
    assert kept["00181030"]["Value"] == ["t1"]
    assert status_of(server, item) == "IN_PROGRESS"


def test_a_discontinued_step_discontinues_its_booking(server: Server) -> None:
    item = server.book("1")
    uid = begin(server, item)
    why = {"PerformedProcedureStepDiscontinuationReasonCodeSequence": reason("110513")}
    assert server.mr1.set(uid, ended("DISCONTINUED", **why)).status == 0x0000
    assert status_of(server, item) == "DISCONTINUED"


def test_a_wrongly_chosen_booking_goes_back_to_the_list(server: Server) -> None:
    item = server.book("1")
    uid = begin(server, item)
    why = {"PerformedProcedureStepDiscontinuationReasonCodeSequence": reason("110514")}
    assert server.mr1.set(uid, ended("DISCONTINUED", **why)).status == 0x0000
    assert status_of(server, item) == "SCHEDULED"
    assert server.ids(query()) == ["PID-1"]


def test_a_discontinued_booking_may_be_done_again(server: Server) -> None:
    item = server.book("1")
    server.mr1.set(begin(server, item), ended("DISCONTINUED"))
    again = begin(server, item)
    assert status_of(server, item) == "IN_PROGRESS"
    server.mr1.set(again, ended())
    assert status_of(server, item) == "COMPLETED"


def test_a_later_step_may_append_to_a_completed_booking(server: Server) -> None:
    item = server.book("1")
    server.mr1.set(begin(server, item), ended())
    server.mr1.set(begin(server, item), ended("DISCONTINUED"))
    assert status_of(server, item) == "COMPLETED"


def test_one_step_may_perform_several_bookings(server: Server) -> None:
    first, second = server.book("1"), server.book("2")
    uid = begin(server, first, second)
    assert server.steps.get(uid).item_ids == (first.item_id, second.item_id)
    server.mr1.set(uid, ended())
    assert status_of(server, first) == status_of(server, second) == "COMPLETED"


def test_a_step_of_nothing_scheduled_is_kept(server: Server) -> None:
    item = server.book("1")
    uid = begin(server)
    assert server.steps.get(uid).is_unlinked
    assert [linked.step.sop_instance_uid for linked in server.steps.all(unlinked=True)] == [uid]
    assert status_of(server, item) == "SCHEDULED"


# --- Instance UID ---


def test_a_missing_instance_uid_is_assigned(server: Server) -> None:
    """PS3.7 10.1.5.1.4."""
    answer = server.mr1.create(begun())
    assert (answer.status, answer.data) == (0x0000, None)
    assert checked_uid(answer.uid).startswith("2.25.")
    assert server.mr1.set(answer.uid, ended()).status == 0x0000


def test_the_given_instance_uid_comes_back(server: Server) -> None:
    uid = new_uid()
    answer = server.mr1.create(begun(), uid)
    assert (answer.uid, answer.command.AffectedSOPClassUID) == (uid, MPPS)


def test_the_same_instance_again_is_a_duplicate(server: Server) -> None:
    uid = begin(server)
    before = server.steps.get(uid)
    answer = server.mr1.create(begun(PerformedProcedureStepID="OTHER"), uid)
    assert answer.status == 0x0111
    assert server.steps.get(uid) == before


@pytest.mark.parametrize("uid", ["1.2.03", "one", "1..2", "1"])
def test_a_uid_that_breaks_the_rules_is_no_instance(server: Server, uid: str) -> None:
    answer = server.mr1.create(begun(), uid)
    assert answer.status == 0x0117
    assert server.steps.all() == []


def test_an_unknown_instance_can_be_neither_set_nor_got(server: Server) -> None:
    assert server.mr1.set(new_uid(), ended()).status == 0x0112
    assert server.mr1.get(new_uid()).status == 0x0112
    assert server.steps.all() == []


# --- The final states ---


@pytest.mark.parametrize("status", ["COMPLETED", "DISCONTINUED"])
@pytest.mark.parametrize("next_status", ["IN PROGRESS", "COMPLETED", "DISCONTINUED"])
def test_a_final_step_may_no_longer_be_updated(
    server: Server, status: str, next_status: str
) -> None:
    uid = begin(server, server.book("1"))
    server.mr1.set(uid, ended(status))
    before = server.steps.get(uid)
    answer = server.mr1.set(uid, ended(next_status))
    assert (answer.status, answer.command.ErrorID) == (0x0110, 0xA710)
    assert answer.comment == FINAL
    assert server.steps.get(uid) == before


# --- Operations of another class ---


def test_the_retrieve_class_neither_creates_nor_sets(server: Server) -> None:
    uid = begin(server)
    assert server.mr1.create(begun(), new_uid(), RETRIEVE).status == 0x0211
    assert server.mr1.set(uid, ended(), RETRIEVE).status == 0x0211
    assert server.steps.get(uid).step.status == "IN PROGRESS"


def test_the_mpps_class_gives_nothing_back(server: Server) -> None:
    uid = begin(server)
    answer = server.mr1.get(uid, sop_class=MPPS)
    assert (answer.status, answer.data) == (0x0211, None)


def test_an_operation_that_mpps_does_not_have_is_not_recognised(server: Server) -> None:
    """PS3.7 C.5.24; the library would abort, or say nothing when a parameter is missing."""
    with server.scanner() as scanner:
        asked = {"RequestedSOPClassUID": MPPS, "RequestedSOPInstanceUID": new_uid()}
        assert scanner.ask(MPPS, N_ACTION, ActionTypeID=1, **asked).status == 0x0211
        assert scanner.ask(MPPS, N_ACTION).status == 0x0211
        assert scanner.ask(MPPS, N_DELETE, **asked).status == 0x0211
        assert scanner.ask(WORKLIST, C_ECHO, AffectedSOPClassUID=WORKLIST).status == 0x0211
        assert scanner.echo().status == 0x0000


def test_a_request_that_lacks_a_parameter_is_answered(server: Server) -> None:
    with server.scanner() as scanner:
        assert scanner.ask(MPPS, N_SET, RequestedSOPInstanceUID=new_uid()).status == 0x0212
        assert scanner.ask(WORKLIST, C_FIND, Priority=0).status == 0xC000
        assert scanner.echo().status == 0x0000


# --- What is no data set ---


def test_garbage_is_a_processing_failure_and_nothing_is_kept(server: Server) -> None:
    uid = begin(server)
    assert server.mr1.create(b"\xff" * 400, new_uid()).status == 0x0110
    assert server.mr1.set(uid, b"\xff" * 400).status == 0x0110
    assert [linked.step.status for linked in server.steps.all()] == ["IN PROGRESS"]


def test_a_create_without_a_data_set_misses_everything(server: Server) -> None:
    answer = server.mr1.create(None, new_uid())
    assert answer.status == 0x0120
    assert 0x00400270 in answer.tags


# --- N-SET is all or nothing ---


@pytest.mark.parametrize(
    "faulty",
    [
        ended(PatientName="Somebody^Else"),
        ended(PerformedProcedureStepStatus="DONE"),
        ended(PerformedSeriesSequence=[series(), series(ProtocolName="")]),
        ended(PerformedSeriesSequence=[series(RetrieveAETitle=None)]),
    ],
    ids=["0105", "0106", "0121", "0120"],
)
def test_an_n_set_that_fails_changes_nothing(server: Server, faulty: Dataset) -> None:
    item = server.book("1")
    uid = begin(server, item)
    before = server.steps.get(uid)
    assert server.mr1.set(uid, faulty).status in (0x0105, 0x0106, 0x0120, 0x0121)
    assert server.steps.get(uid) == before
    assert status_of(server, item) == "IN_PROGRESS"
    assert server.mr1.set(uid, ended()).status == 0x0000


def test_an_n_set_never_creates_an_instance(server: Server) -> None:
    assert server.mr1.set(new_uid(), begun()).status == 0x0112
    assert server.steps.all() == []


# --- N-GET of the Retrieve class (F.8) ---


def test_n_get_without_a_list_gives_the_whole_step(server: Server) -> None:
    uid, ds = new_uid(), begun(PatientName="Doe^Jane", PatientID="P1")
    server.mr1.create(ds, uid)
    answer = server.mr1.get(uid)
    assert (answer.status, answer.data) == (0x0000, ds)


def test_n_get_of_one_attribute(server: Server) -> None:
    uid = begin(server)
    answer = server.mr1.get(uid, [0x00400252])
    assert (answer.status, answer.data) == (
        0x0000,
        only(PerformedProcedureStepStatus="IN PROGRESS"),
    )


def test_n_get_of_several_attributes(server: Server) -> None:
    uid = begin(server)
    answer = server.mr1.get(uid, [0x00080060, 0x00400253])
    assert (answer.status, answer.data) == (
        0x0000,
        only(Modality="MR", PerformedProcedureStepID="PPS1"),
    )


def test_n_get_of_an_attribute_that_the_step_has_not_is_a_warning(server: Server) -> None:
    uid = begin(server)
    answer = server.mr1.get(uid, [0x00080060, 0x00101010])
    assert (answer.status, answer.tags) == (0x0001, [0x00101010])
    assert answer.data == only(Modality="MR")
    nothing = server.mr1.get(uid, [0x00101010])
    assert (nothing.status, nothing.data) == (0x0001, None)


def test_n_get_follows_the_n_set(server: Server) -> None:
    uid = begin(server)
    server.mr1.set(uid, ended())
    data = server.mr1.get(uid, [0x00400252, 0x00400340]).data
    assert data is not None
    assert data.PerformedProcedureStepStatus == "COMPLETED"
    assert data.PerformedSeriesSequence[0].ProtocolName == "t1_mprage"


# --- The whole data set ---


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian]
)
def test_the_whole_data_set_is_kept_and_given_back(server: Server, syntax: str) -> None:
    ds = begun(
        PerformedSeriesSequence=[series(), series(SeriesDescription="second")],
        CommentsOnThePerformedProcedureStep="moved a lot",
        PatientWeight="72.5",
        PregnancyStatus=4,
        TotalNumberOfExposures=0,
        ExposedArea=[3, 4],
    )
    uid = new_uid()
    with server.scanner(syntax=syntax) as scanner:
        assert scanner.create(ds, uid).status == 0x0000
        assert scanner.get(uid).data == ds


def test_private_attributes_are_kept_too(server: Server) -> None:
    ds = begun()
    block = ds.private_block(0x0019, "MAKER 1.0", create=True)
    block.add_new(0x08, "LO", "something of its own")
    uid = new_uid()
    with server.scanner(syntax=ExplicitVRLittleEndian) as scanner:
        assert scanner.create(ds, uid).status == 0x0000
        assert scanner.get(uid).data == ds


@pytest.mark.parametrize(
    ("at_create", "at_set"),
    [
        ("ISO_IR 100", "ISO_IR 192"),
        ("ISO_IR 192", "ISO_IR 100"),
        (None, "ISO_IR 100"),
        (["", "ISO 2022 IR 87"], "ISO_IR 192"),
    ],
)
def test_create_and_set_may_differ_in_their_character_set(
    server: Server, at_create: str | None, at_set: str
) -> None:
    name = "山田^太郎" if isinstance(at_create, list) else "Müller^Zoë" if at_create else "Doe^Jane"
    uid, extra = new_uid(), {"SpecificCharacterSet": at_create} if at_create else {}
    assert server.mr1.create(begun(PatientName=name, **extra), uid).status == 0x0000
    last = ended(PerformedSeriesSequence=[series(OperatorsName="Großmann^Jörg")])
    last.SpecificCharacterSet = at_set
    assert server.mr1.set(uid, last).status == 0x0000
    assert server.steps.get(uid).step.patient_name == name
    data = server.mr1.get(uid).data
    assert data is not None
    assert str(data.PatientName) == name
    assert str(data.PerformedSeriesSequence[0].OperatorsName) == "Großmann^Jörg"


# --- Several at once ---


def in_parallel(server: Server, uids: list[str], item: WorklistItem) -> list[int]:
    """Status of an N-CREATE for each UID, sent at the same time over associations of their own."""

    def create(uid: str) -> Answer:
        with server.scanner() as scanner:
            return scanner.create(begun(scheduled(item)), uid)

    with ThreadPoolExecutor(len(uids)) as threads:
        return [answer.status for answer in threads.map(create, uids)]


def test_of_four_creates_of_one_instance_one_succeeds(server: Server) -> None:
    item = server.book("1")
    statuses = in_parallel(server, [new_uid()] * 4, item)
    assert sorted(statuses) == [0x0000, 0x0111, 0x0111, 0x0111]
    assert len(server.steps.all()) == 1


def test_four_instances_for_one_booking_are_all_kept(server: Server) -> None:
    item = server.book("1")
    assert in_parallel(server, [new_uid() for _ in range(4)], item) == [0x0000] * 4
    assert len(server.steps.all()) == 4
    assert status_of(server, item) == "IN_PROGRESS"
