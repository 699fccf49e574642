"""Table F.7.2-1 of PS3.4, row by row: what N-CREATE and N-SET must hold, over the wire.

The table is written down here a second time, from the standard, and compared with the one that
the server reads; then every row is broken in every way that it forbids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from tests.dicom.modality import Answer
from tests.dicom.performing import begun, ended, new_uid, only, scheduled, series
from tests.dicom.serving import Server

from pylantir.dicom.mpps_rules import FINAL, RULES, Rule

STEP, SERIES = "ScheduledStepAttributesSequence", "PerformedSeriesSequence"

# Attribute, type at N-CREATE and at N-SET ("-": not allowed).
TABLE = """
    ScheduledStepAttributesSequence                     1 -
    ScheduledStepAttributesSequence.StudyInstanceUID                    1 -
    ScheduledStepAttributesSequence.ReferencedStudySequence             2 -
    ScheduledStepAttributesSequence.AccessionNumber                     2 -
    ScheduledStepAttributesSequence.RequestedProcedureID                2 -
    ScheduledStepAttributesSequence.RequestedProcedureDescription       2 -
    ScheduledStepAttributesSequence.ScheduledProcedureStepID            2 -
    ScheduledStepAttributesSequence.ScheduledProcedureStepDescription   2 -
    ScheduledStepAttributesSequence.ScheduledProtocolCodeSequence       2 -
    PatientName                                         2 -
    PatientID                                           2 -
    PatientBirthDate                                    2 -
    PatientSex                                          2 -
    ReferencedPatientSequence                           2 -
    IssuerOfPatientID                                   3 -
    OtherPatientIDsSequence                             3 -
    AdmissionID                                         3 -
    ServiceEpisodeID                                    3 -
    PerformedProcedureStepID                            1 -
    PerformedStationAETitle                             1 -
    PerformedStationName                                2 -
    PerformedLocation                                   2 -
    PerformedProcedureStepStartDate                     1 -
    PerformedProcedureStepStartTime                     1 -
    PerformedProcedureStepStatus                        1 1
    PerformedProcedureStepDescription                   2 3
    PerformedProcedureTypeDescription                   2 3
    ProcedureCodeSequence                               2 3
    PerformedProcedureStepEndDate                       2 3
    PerformedProcedureStepEndTime                       2 3
    Modality                                            1 -
    StudyID                                             2 -
    PerformedProtocolCodeSequence                       2 3
    PerformedSeriesSequence                             2 3
    PerformedSeriesSequence.SeriesInstanceUID                               1 1
    PerformedSeriesSequence.ProtocolName                                    1 1
    PerformedSeriesSequence.PerformingPhysicianName                         2 2
    PerformedSeriesSequence.OperatorsName                                   2 2
    PerformedSeriesSequence.SeriesDescription                               2 2
    PerformedSeriesSequence.RetrieveAETitle                                 2 2
    PerformedSeriesSequence.ReferencedImageSequence                         2 2
    PerformedSeriesSequence.ReferencedNonImageCompositeSOPInstanceSequence  2 2
"""
ROWS = [tuple(line.split()) for line in TABLE.strip().splitlines()]

VALUES = {
    "AE": "MR2",
    "CS": "F",
    "DA": "20240101",
    "LO": "another",
    "PN": "Another^Name",
    "SH": "another",
    "TM": "010203",
    "UI": "1.2.3",
}


def rows(at: str, kinds: str) -> list[str]:
    """Attributes of these types at N-CREATE or N-SET."""
    return [path for path, create, set_ in ROWS if (create if at == "create" else set_) in kinds]


def last(path: str) -> str:
    return path.rpartition(".")[2]


def tag_of(path: str) -> int:
    tag = tag_for_keyword(last(path))
    assert tag is not None
    return tag


def is_sequence(path: str) -> bool:
    return dictionary_VR(last(path)) == "SQ"


def leave_out(ds: Dataset, path: str) -> None:
    delattr(level_of(ds, path), last(path))


def empty(ds: Dataset, path: str) -> None:
    setattr(level_of(ds, path), last(path), [] if is_sequence(path) else "")


def level_of(ds: Dataset, path: str) -> Dataset:
    """The data set, or the item of its sequence, in which the attribute stands."""
    sequence = path.rpartition(".")[0]
    found = ds[sequence].value[0] if sequence else ds
    assert isinstance(found, Dataset)
    return found


def flattened(rules: tuple[Rule, ...], above: str = "") -> Iterator[tuple[str, str, str]]:
    for rule in rules:
        path = above + keyword_for_tag(rule.tag)
        yield path, rule.create, rule.set
        yield from flattened(rule.items, path + ".")


def test_the_table_is_that_of_the_standard() -> None:
    assert sorted(flattened(RULES)) == sorted(ROWS)


def test_the_final_state_needs_an_end_and_a_series() -> None:
    final = ("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime", SERIES)
    assert set(map(tag_of, final)) == set(FINAL)


# --- N-CREATE ---


def create_with(server: Server, change: Callable[[Dataset, str], None], path: str) -> Answer:
    """N-CREATE of a complete data set with one attribute changed."""
    ds = begun(PerformedSeriesSequence=[series()])
    change(ds, path)
    return server.mr1.create(ds, new_uid())


def test_a_complete_data_set_is_accepted(server: Server) -> None:
    assert server.mr1.create(begun(), new_uid()).status == 0x0000


@pytest.mark.parametrize(
    "path", [p for p in rows("create", "12") if not is_sequence(p) or p == STEP]
)
def test_an_attribute_of_type_1_or_2_may_not_be_missing(server: Server, path: str) -> None:
    answer = create_with(server, leave_out, path)
    assert (answer.status, answer.tags) == (0x0120, [tag_of(path)])
    assert answer.comment == f"{last(path)} missing"[:64]
    assert server.steps.all() == []


@pytest.mark.parametrize("path", [p for p in rows("create", "2") if is_sequence(p)])
def test_an_absent_sequence_of_type_2_says_what_an_empty_one_says(
    server: Server, path: str
) -> None:
    """See the decision on how strict MPPS is."""
    assert create_with(server, leave_out, path).status == 0x0000


@pytest.mark.parametrize("path", rows("create", "1"))
def test_an_attribute_of_type_1_may_not_be_empty(server: Server, path: str) -> None:
    answer = create_with(server, empty, path)
    assert (answer.status, answer.tags) == (0x0121, [tag_of(path)])
    assert server.steps.all() == []


@pytest.mark.parametrize("path", rows("create", "2"))
def test_an_attribute_of_type_2_may_be_empty(server: Server, path: str) -> None:
    assert create_with(server, empty, path).status == 0x0000


def test_every_fault_of_a_kind_is_named(server: Server) -> None:
    ds = begun(PatientName=None, StudyID=None, Modality="")
    answer = server.mr1.create(ds, new_uid())
    assert answer.status == 0x0120
    assert answer.tags == [tag_of("PatientName"), tag_of("StudyID")]


def test_every_item_of_a_sequence_is_checked(server: Server) -> None:
    faulty = scheduled(StudyInstanceUID="")
    answer = server.mr1.create(begun(scheduled(), faulty), new_uid())
    assert (answer.status, answer.tags) == (0x0121, [tag_of("StudyInstanceUID")])


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PerformedProcedureStepStatus", "COMPLETED"),
        ("PerformedProcedureStepStatus", "DISCONTINUED"),
        ("PerformedProcedureStepStatus", "STARTED"),
        ("PerformedProcedureStepStartDate", "20250230"),
        ("PerformedProcedureStepStartTime", "2575"),
        ("PatientBirthDate", "1970"),
    ],
)
def test_a_value_that_nobody_can_use_is_invalid(server: Server, keyword: str, value: str) -> None:
    answer = server.mr1.create(with_bytes(begun(), keyword, value.encode("ascii")), new_uid())
    assert (answer.status, answer.tags) == (0x0106, [tag_of(keyword)])
    assert server.steps.all() == []


def test_an_invalid_uid_inside_a_sequence_names_the_sequence(server: Server) -> None:
    ds = begun()
    ds.ScheduledStepAttributesSequence = [
        with_bytes(scheduled(), "StudyInstanceUID", b"1.2.../etc")
    ]
    answer = server.mr1.create(ds, new_uid())
    assert (answer.status, answer.tags) == (0x0106, [tag_of(STEP)])


def test_text_that_its_character_set_does_not_explain_is_invalid(server: Server) -> None:
    ds = with_bytes(begun(SpecificCharacterSet="ISO_IR 192"), "PatientName", b"M\xfcller")
    answer = server.mr1.create(ds, new_uid())
    assert (answer.status, answer.tags) == (0x0106, [tag_of("PatientName")])


def test_a_text_longer_than_allowed_is_kept_as_it_came(server: Server) -> None:
    uid, description = new_uid(), "x" * 80
    ds = with_bytes(begun(), "PerformedProcedureStepDescription", description.encode("ascii"))
    assert server.mr1.create(ds, uid).status == 0x0000
    kept = server.steps.get(uid).step.attributes["00400254"]["Value"]
    assert kept == [description]


def with_bytes(ds: Dataset, keyword: str, value: bytes) -> Dataset:
    """A value that pydicom would refuse; in implicit VR nobody sees its representation."""
    ds[keyword] = DataElement(tag_of(keyword), "OB", value)
    return ds


# --- N-SET ---


@pytest.fixture
def uid(server: Server) -> str:
    """A step that runs."""
    made = new_uid()
    assert server.mr1.create(begun(), made).status == 0x0000
    return made


@pytest.mark.parametrize("keyword", [p for p in rows("set", "-") if "." not in p])
def test_an_attribute_that_may_not_be_set_is_refused(
    server: Server, uid: str, keyword: str
) -> None:
    value = [Dataset()] if is_sequence(keyword) else VALUES[dictionary_VR(keyword)]
    before = server.steps.get(uid)
    answer = server.mr1.set(uid, only(**{keyword: value}))
    assert (answer.status, answer.tags) == (0x0105, [tag_of(keyword)])
    assert server.steps.get(uid) == before


@pytest.mark.parametrize(
    "keyword", [p for p, create, set_ in ROWS if set_ == "-" and create in "12" and "." not in p]
)
def test_repeating_what_is_stored_is_no_change(server: Server, keyword: str) -> None:
    """Many consoles send the whole step again."""
    uid, ds = new_uid(), begun()
    assert server.mr1.create(ds, uid).status == 0x0000
    assert server.mr1.set(uid, only(**{keyword: ds[keyword].value})).status == 0x0000


@pytest.mark.parametrize("keyword", [p for p in rows("set", "3") if "." not in p])
def test_an_attribute_of_type_3_may_be_absent_or_empty(
    server: Server, uid: str, keyword: str
) -> None:
    value: object = [] if is_sequence(keyword) else ""
    assert server.mr1.set(uid, only(**{keyword: value})).status == 0x0000


def test_the_status_may_be_absent_and_not_empty(server: Server, uid: str) -> None:
    assert server.mr1.set(uid, only(PerformedProcedureStepDescription="Spine")).status == 0x0000
    answer = server.mr1.set(uid, only(PerformedProcedureStepStatus=""))
    assert (answer.status, answer.tags) == (0x0121, [tag_of("PerformedProcedureStepStatus")])


@pytest.mark.parametrize("status", ["SCHEDULED", "DONE", "IN_PROGRESS"])
def test_a_status_that_the_standard_does_not_know_is_invalid(
    server: Server, uid: str, status: str
) -> None:
    answer = server.mr1.set(uid, only(PerformedProcedureStepStatus=status))
    assert (answer.status, answer.tags) == (0x0106, [tag_of("PerformedProcedureStepStatus")])


@pytest.mark.parametrize("path", [p for p in rows("set", "12") if "." in p])
def test_the_items_of_a_series_are_checked_at_the_end_too(
    server: Server, uid: str, path: str
) -> None:
    ds = ended()
    leave_out(ds, path)
    answer = server.mr1.set(uid, ds)
    if is_sequence(path):
        assert answer.status == 0x0000
    else:
        assert (answer.status, answer.tags) == (0x0120, [tag_of(path)])
        assert server.steps.get(uid).step.status == "IN PROGRESS"


@pytest.mark.parametrize("path", [p for p in rows("set", "1") if "." in p])
def test_a_series_needs_its_uid_and_its_protocol(server: Server, uid: str, path: str) -> None:
    ds = ended()
    empty(ds, path)
    answer = server.mr1.set(uid, ds)
    assert (answer.status, answer.tags) == (0x0121, [tag_of(path)])


@pytest.mark.parametrize("status", ["COMPLETED", "DISCONTINUED"])
def test_what_the_final_state_lacks_is_recorded_and_not_refused(
    server: Server, uid: str, status: str
) -> None:
    answer = server.mr1.set(uid, only(PerformedProcedureStepStatus=status))
    step = server.steps.get(uid).step
    assert (answer.status, step.status) == (0x0000, status)
    assert set(step.violations) == {f"{keyword_for_tag(t)} empty in a final state" for t in FINAL}
