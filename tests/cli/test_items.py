"""``query-db``, ``add``, ``cancel`` and ``link``: looking at bookings and changing them by hand."""

from __future__ import annotations

import csv
import datetime as dt
import io
import sqlite3
from contextlib import closing
from typing import Any

import pytest
from tests.cli.conftest import CommandLine
from tests.worklist.bookings import booking, performed, reference

from pylantir.worklist.item import WorklistItem
from pylantir.worklist.status import ItemStatus, StepStatus
from pylantir.worklist.step import PerformedProcedureStep

BOOKED = ("--name", "Müller^Zoé", "--id", "P1", "--date", "2025-07-07", "--time", "08:30")


def put(run: CommandLine, *items: WorklistItem) -> None:
    with closing(run.worklist()) as worklist:
        worklist.items.put(items)


def begin(run: CommandLine, step: PerformedProcedureStep) -> None:
    with closing(run.worklist()) as worklist:
        worklist.steps.create(step)


def statuses(run: CommandLine) -> dict[int, str]:
    return {i["id"]: i["performed_procedure_step_status"] for i in run.json("query-db", "--all")}


# --- query-db ---


def test_items_are_shown_in_the_order_of_their_start(run: CommandLine) -> None:
    put(
        run,
        booking("1", patient_name="Late^Eve", scheduled_procedure_step_start_time="16:00"),
        booking("2", patient_name="山田^太郎", scheduled_procedure_step_start_time="07:15"),
    )

    assert run("query-db") == 0

    header, first, second = run.out.splitlines()
    assert header.split("  ")[0] == "ID"
    assert ["山田^太郎" in first, "07:15" in first, "2025-07-07" in first] == [True] * 3
    assert "Late^Eve" in second
    assert run.err == "2 of 2 items match\n"


def test_json_holds_every_field_under_its_published_name(run: CommandLine) -> None:
    put(run, booking("1", patient_name="Doe^Jane", patient_weight_lb="150"))

    [item] = run.json("query-db")

    assert item["patient_name"] == "Doe^Jane"
    assert item["scheduled_start_date"] == "2025-07-07"
    assert item["scheduled_start_time"] == "08:30"
    assert item["patient_weight_kg"] == pytest.approx(68.0, abs=0.1)
    assert (item["data_source"], item["source_record_id"]) == ("test", "1")


def test_csv_and_json_have_the_same_columns(run: CommandLine) -> None:
    put(run, booking("1"))
    columns = list(run.json("query-db")[0])

    assert run("query-db", "--csv") == 0
    assert next(csv.reader(io.StringIO(run.out))) == columns


def test_csv_has_a_header_even_without_rows(run: CommandLine) -> None:
    put(run)

    assert run("query-db", "--csv") == 0

    [header] = csv.reader(io.StringIO(run.out))
    assert {"patient_name", "study_instance_uid"} <= set(header)


def test_csv_opens_safely_in_a_spreadsheet(run: CommandLine) -> None:
    put(run, booking("1", patient_id="=1+1"))

    assert run("query-db", "--csv") == 0

    [row] = csv.DictReader(io.StringIO(run.out))
    assert row["patient_id"] == "'=1+1"
    assert "\r" not in run.out


def test_data_and_notes_go_to_different_places(run: CommandLine) -> None:
    put(run, booking("1"))

    for shape in ("--json", "--csv"):
        run("query-db", shape)
        assert "items match" not in run.out
        assert run.err == "1 of 1 items match\n"


@pytest.mark.parametrize(
    ("filters", "records"),
    [
        (["--date", "2025-07-07"], ["1", "2"]),
        (["--date", "2025-07-08.."], ["3"]),
        (["--status", "CANCELLED"], ["3"]),
        (["--status", "SCHEDULED", "--status", "CANCELLED"], ["1", "2", "3"]),
        (["--patient", "garcia*"], ["1"]),
        (["--patient", "PID-2"], ["2"]),
        (["--station", "MR2"], ["2"]),
        (["--modality", "ct"], ["3"]),
        (["--accession", "A*"], ["1"]),
        (["--date", "2025-07-07", "--station", "MR1"], ["1"]),
    ],
)
def test_filters_leave_what_was_meant(
    run: CommandLine, filters: list[str], records: list[str]
) -> None:
    station, day = "scheduled_station_ae_title", "scheduled_procedure_step_start_date"
    put(
        run,
        booking("1", patient_name="García^José", accession_number="A1"),
        booking("2", **{station: "MR2"}),
        booking("3", modality="CT", status="CANCELLED", **{day: "2025-07-09"}),
    )

    found = run.json("query-db", *filters)

    assert sorted(item["source_record_id"] for item in found) == records
    assert run.err == f"{len(records)} of 3 items match\n"


def test_a_long_list_is_cut_and_says_so(run: CommandLine) -> None:
    put(run, *(booking(str(number)) for number in range(103)))

    assert len(run.json("query-db")) == 100
    assert run.err == "100 of 103 matching items shown; --all shows them\n"
    assert len(run.json("query-db", "--all")) == 103
    assert len(run.json("query-db", "--limit", "3")) == 3
    assert run.err == "3 of 103 matching items shown; --all shows them\n"


def test_nothing_that_matches_is_told_from_nothing_at_all(run: CommandLine) -> None:
    put(run)
    assert run("query-db") == 0
    assert (run.out, run.err) == ("", "0 of 0 items match\n")

    put(run, booking("1"))
    assert run("query-db", "--patient", "nobody") == 0
    assert (run.out, run.err) == ("", "0 of 1 items match; leave out a filter to see more\n")
    assert run.json("query-db", "--patient", "nobody") == []


def test_a_worklist_that_is_not_there_is_not_made_by_looking(run: CommandLine) -> None:
    assert run("query-db") == 2

    assert str(run.folder / "worklist.db") in run.err
    assert "start the server" in run.err
    assert not (run.folder / "worklist.db").exists()


def test_a_demonstration_that_is_not_there_names_how_to_start_it(run: CommandLine) -> None:
    assert run("query-db", "--demo-dir", str(run.folder / "demo")) == 2

    assert "pylantir start --demo" in run.err


@pytest.mark.parametrize(
    ("option", "value"),
    [("--date", "2025-02-30"), ("--date", "tomorow"), ("--status", "DONE")],
)
def test_a_filter_that_has_no_meaning_names_its_option(
    run: CommandLine, option: str, value: str
) -> None:
    put(run)

    assert run("query-db", option, value) == 2
    assert option in run.err
    assert value in run.err


def test_rows_that_cannot_be_served_are_shown_with_their_reason(run: CommandLine) -> None:
    put(run, booking("1"), booking("2"))
    with closing(sqlite3.connect(run.folder / "worklist.db")) as other, other:
        other.execute("UPDATE worklist_items SET scheduled_start_date = 'soon' WHERE id = 2")

    [row] = run.json("query-db", "--rejected")
    assert (row["id"], row["source"], row["record"]) == (2, "test", "2")
    assert "soon" in row["reason"]
    assert run.err.endswith("1 rejected rows\n")
    assert [item["id"] for item in run.json("query-db")] == [1]
    assert run("query-db", "--rejected") == 0
    assert run.out.splitlines()[0].split() == ["ID", "SOURCE", "RECORD", "REASON"]


def test_performed_steps_without_a_booking_are_listed_with_the_way_out(run: CommandLine) -> None:
    item = booking("1")
    put(run, item)
    begin(run, performed(reference(item), sop_instance_uid="1.2.3"))
    begin(run, performed(sop_instance_uid="1.2.4", patient_name="Walk^In"))

    assert [s["sop_instance_uid"] for s in run.json("query-db", "--unlinked")] == ["1.2.4"]
    assert "pylantir link STEP ITEM" in run.err
    assert len(run.json("query-db", "--steps")) == 2
    assert run("query-db", "--unlinked", "--csv") == 0
    [step] = csv.DictReader(io.StringIO(run.out))
    assert (step["status"], step["patient_name"]) == ("IN PROGRESS", "Walk^In")


# --- add ---


def test_a_walk_in_is_booked_for_now(run: CommandLine) -> None:
    before = dt.datetime.now(dt.UTC).replace(second=0, microsecond=0, tzinfo=None)

    assert run("add", "--name", "Müller^Zoé", "--id", "P1", "--station", "MR1") == 0

    words = run.out.split()
    [item] = run.json("query-db")
    assert words == ["item", str(item["id"]), "StudyInstanceUID", item["study_instance_uid"]]
    start = dt.datetime.fromisoformat(
        f"{item['scheduled_start_date']} {item['scheduled_start_time']}"
    )
    assert before <= start <= before + dt.timedelta(minutes=2)
    assert (item["modality"], item["scheduled_station_aetitle"]) == ("MR", ["MR1"])
    assert (item["data_source"], item["patient_name"]) == ("manual", "Müller^Zoé")


def test_a_phantom_needs_no_name_and_each_has_an_id_of_its_own(run: CommandLine) -> None:
    assert run("add", "--phantom") == 0
    assert run("add", "--phantom", "--name", "WATER^BALL", "--id", "BALL-1") == 0

    first, second = run.json("query-db")
    assert first["patient_name"] == "PHANTOM^QA"
    assert first["patient_id"].startswith("PHANTOM-2")
    assert (second["patient_name"], second["patient_id"]) == ("WATER^BALL", "BALL-1")
    assert first["study_instance_uid"] != second["study_instance_uid"]


def test_any_field_and_any_keyword_can_be_given(run: CommandLine) -> None:
    extra = ("PatientWeight=71.5", "patient_sex=f", "StudyDescription=Pilot = 1", "EthnicGroup=x")

    assert run("add", *BOOKED, *extra, "--accession", "A1", "--description", "Knee") == 0, run.err

    [item] = run.json("query-db")
    assert (item["patient_weight_kg"], item["patient_sex"]) == (71.5, "F")
    assert (item["study_description"], item["ethnic_group"]) == ("Pilot = 1", "x")
    assert (item["accession_number"], item["scheduled_start_time"]) == ("A1", "08:30")
    assert item["scheduled_procedure_step_description"] == "Knee"


WRONG: tuple[tuple[tuple[str, ...], str], ...] = (
    (("add", "--id", "P1"), "--name (patient_name): required"),
    (("add", "--name", "Doe^Jane"), "--id (patient_id): required"),
    (("add", *BOOKED, "--station", "A TITLE THAT IS TOO LONG"), "--station"),
    (("add", *BOOKED[:4], "--date", "2025-02-30"), "--date"),
    (("add", *BOOKED[:4], "--time", "25:00"), "--time"),
    (("add", *BOOKED, "PatientWeight=heavy"), "patient_weight_kg"),
    (("add", *BOOKED, "NoSuchKeyword=1"), "NoSuchKeyword"),
    (("add", *BOOKED, "loose"), "loose: expected KEY=VALUE"),
)


@pytest.mark.parametrize(("argv", "named"), WRONG)
def test_a_value_that_cannot_be_kept_names_what_was_typed(
    run: CommandLine, argv: tuple[str, ...], named: str
) -> None:
    assert run(*argv) == 2

    assert named in run.err
    assert run.out == ""
    assert run.json("query-db") == []


def test_everything_that_is_wrong_is_told_at_once(run: CommandLine) -> None:
    assert run("add", "--name", "A^B", "--date", "soon", "--time", "late", "Nope=1") == 2

    assert [part in run.err for part in ("--id", "--date", "--time", "Nope")] == [True] * 4
    assert len(run.err.splitlines()) == 4


# --- cancel ---


@pytest.mark.parametrize("field", ["id", "study_instance_uid", "accession_number"])
def test_a_booking_is_cancelled_by_whatever_names_it(run: CommandLine, field: str) -> None:
    put(run, booking("1", accession_number="A1"), booking("2"))
    item = run.json("query-db", "--accession", "A1")[0]

    assert run("cancel", str(item[field])) == 0

    assert run.out == f"item {item['id']} cancelled\n"
    assert statuses(run) == {1: "CANCELLED", 2: "SCHEDULED"}


def test_what_names_nothing_changes_nothing(run: CommandLine) -> None:
    put(run, booking("1"))

    for name in ("99", "no-such-accession", "1.2.3", "9" * 30):
        assert run("cancel", name) == 1
        assert name in run.err
    assert statuses(run) == {1: "SCHEDULED"}


def test_what_names_two_bookings_changes_neither(run: CommandLine) -> None:
    put(run, booking("1", accession_number="A1"), booking("2", accession_number="A1"))

    assert run("cancel", "A1") == 2
    assert "items 1, 2" in run.err
    assert statuses(run) == {1: "SCHEDULED", 2: "SCHEDULED"}


def test_a_number_that_is_also_an_accession_number_is_not_guessed(run: CommandLine) -> None:
    put(run, booking("1"), booking("2", accession_number="1"))

    assert run("cancel", "1") == 2
    assert "items 1, 2" in run.err
    assert statuses(run) == {1: "SCHEDULED", 2: "SCHEDULED"}
    assert run("cancel", "2") == 0


def test_what_a_scanner_has_begun_is_not_cancelled(run: CommandLine) -> None:
    item = booking("1")
    put(run, item)
    begin(run, performed(reference(item)))

    assert run("cancel", "1") == 1
    assert "item 1 is IN_PROGRESS" in run.err


# --- link ---


def linkable(run: CommandLine) -> dict[str, Any]:
    put(run, booking("1"), booking("2"))
    begin(run, performed(sop_instance_uid="1.2.4", status=StepStatus.IN_PROGRESS))
    return {"step": "1.2.4"}


def test_a_step_is_tied_to_its_booking_which_follows_it(run: CommandLine) -> None:
    linkable(run)

    assert run("link", "1.2.4", "2") == 0

    assert run.out == "step 1.2.4 linked to item 2, now IN_PROGRESS\n"
    assert statuses(run) == {1: "SCHEDULED", 2: ItemStatus.IN_PROGRESS}
    assert run.json("query-db", "--unlinked") == []


def test_a_link_that_cannot_be_says_why(run: CommandLine) -> None:
    linkable(run)

    assert run("link", "1.2.5", "1") == 1
    assert "1.2.5" in run.err
    assert run("link", "1.2.4", "99") == 1
    assert "99" in run.err
    assert run("link", "1.2.4", "1", "--position", "3") == 1
    assert "not 3" in run.err
    assert run("link", "1.2.4", "1") == 0
    assert run("link", "1.2.4", "1") == 1
    assert "already" in run.err
    assert run("link", "1.2.4", "2", "--position", "0") == 0
    assert statuses(run) == {1: "SCHEDULED", 2: "IN_PROGRESS"}
