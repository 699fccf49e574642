"""``pylantir audit``: reading, checking and exporting, which is audited itself."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from tests.cli.conftest import CommandLine

ADD = ("add", "--name", "DOE^JANE", "--accession", "A1", "--id")


def shown(run: CommandLine, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = run.json("audit", *words)
    return found


def test_what_a_person_changes_and_looks_at_is_told_with_their_name(run: CommandLine) -> None:
    assert run(*ADD, "P1") == 0
    assert run("query-db", "--patient", "DOE*") == 0
    assert run("cancel", "1") == 0

    created, looked, cancelled, _ = shown(run)
    assert [e["event"] for e in (created, looked, cancelled)] == ["created", "query", "deleted"]
    assert looked["subjects"][0]["asked"] == "query-db --patient DOE*"
    assert looked["subjects"][0]["details"] == {"NumberOfItems": "1"}
    assert cancelled["reason"] == "cancelled"
    for event in (created, cancelled):
        assert event["subjects"][1]["id"] == "P1"
        assert event["subjects"][0]["details"]["Item"] == "1"
    assert len({event["actors"][0]["user"] for event in (created, looked, cancelled)}) == 1


def test_reading_is_audited_before_anything_is_shown(run: CommandLine) -> None:
    run(*ADD, "P1")
    run("audit", "--event", "query")
    used = shown(run, "--event", "audit-used")

    assert [e["subjects"][0]["details"]["Selection"] for e in used] == [
        "show --event ['query']",
        "show --event ['audit-used']",
    ]


def test_an_import_names_every_booking_that_it_made_or_changed(
    run: CommandLine, tmp_path: Path
) -> None:
    run(*ADD, "P1")
    run(*ADD, "P2")
    run("export", "--output", str(tmp_path / "items.json"))
    text = (tmp_path / "items.json").read_text(encoding="utf-8")
    (tmp_path / "worklist.db").unlink()
    assert run("import", str(tmp_path / "items.json"), "--keep-source") == 0
    (tmp_path / "items.json").write_text(text.replace("DOE^JANE", "DOE^JO", 1), encoding="utf-8")
    assert run("import", str(tmp_path / "items.json"), "--keep-source") == 0

    found = [(e["event"], e["subjects"][-1]["id"]) for e in shown(run, "--patient", "P*")]
    assert sorted(found[:2]) == sorted(found[2:4]) == [("created", "P1"), ("created", "P2")]
    assert [event for event, _ in found[4:]] == ["updated"]


def test_the_table_shows_the_newest_events(run: CommandLine) -> None:
    for number in range(5):
        run(*ADD, f"P{number}")

    assert run("audit", "--limit", "2", "--event", "created") == 0
    lines = run.out.splitlines()
    assert lines[0].split() == ["N", "TIME", "EVENT", "OUTCOME", "WHO", "FROM", "WHAT"]
    assert ["P3" in lines[1], "P4" in lines[2], len(lines)] == [True, True, 3]
    assert "2 events" in run.err


def test_a_trail_that_was_changed_ends_with_1(run: CommandLine, tmp_path: Path) -> None:
    run(*ADD, "P1")
    run(*ADD, "P2")
    assert run("audit", "verify") == 0
    assert "OK    nothing was changed" in run.out
    last = run.out.splitlines()[1].removeprefix("last  ")
    assert run("audit", "verify", "--known", last) == 0
    (path,) = (tmp_path / "worklist.audit").glob("trail-*")
    path.write_bytes(path.read_bytes().replace(b"P1", b"P9"))

    assert run("audit", "verify") == 1
    assert "event 1, the one before, was edited" in run.err
    assert "OK" not in run.out


def test_exports_say_the_same_in_three_forms(run: CommandLine, tmp_path: Path) -> None:
    run(*ADD, "P1")
    run("query-db")
    for suffix in ("json", "csv", "xml"):
        path = tmp_path / f"trail.{suffix}"
        assert run("audit", "export", "--output", str(path), "--until", "2999-01-01") == 0
        if os.name == "posix":
            assert path.stat().st_mode & 0o777 == 0o600

    as_json = json.loads((tmp_path / "trail.json").read_text(encoding="utf-8"))
    as_csv = list(csv.DictReader(io.StringIO((tmp_path / "trail.csv").read_text("utf-8"))))
    as_xml = ET.fromstring((tmp_path / "trail.xml").read_bytes())
    assert [e["event"] for e in as_json] == ["created", "query", "audit-used"]
    assert [row["event"] for row in as_csv][:3] == ["created", "query", "audit-used"]
    assert (as_csv[0]["patients"], as_csv[1]["asked"]) == ("P1", "query-db")
    codes = [e.attrib["csd-code"] for e in as_xml.iter("EventID")]
    assert codes[:3] == ["110111", "110112", "110101"]


def test_no_cell_of_the_csv_is_a_formula(run: CommandLine) -> None:
    run(*ADD, "=1+1")

    assert run("audit", "export", "--format", "csv", "--event", "created") == 0
    assert "'=1+1" in run.out


def test_an_export_of_nothing_is_still_json(run: CommandLine) -> None:
    run(*ADD, "P1")

    assert run("audit", "export", "--event", "login") == 0
    assert json.loads(run.out) == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--event", "quarry"), "expected one of start, stop"),
        (("--since", "soon"), "--since: expected YYYY-MM-DD"),
        (("verify", "--known", "12"), "expected NUMBER:HASH"),
        (("export", "--output", "no/such/folder/x.csv"), "cannot write no/such/folder/x.csv"),
    ],
)
def test_a_wrong_option_is_told_with_what_is_expected(
    run: CommandLine, words: tuple[str, ...], told: str
) -> None:
    run(*ADD, "P1")

    assert run("audit", *words) == 2
    assert told in run.err


def test_days_are_those_of_the_site(run: CommandLine) -> None:
    run(*ADD, "P1")

    assert len(shown(run, "--since", "today", "--until", "today", "--event", "created")) == 1
    assert shown(run, "--until", "yesterday") == []
    assert shown(run, "--since", "2999-01-01 12:30") == []


def test_where_there_is_no_trail_the_way_out_is_told(run: CommandLine) -> None:
    assert run("audit") == 2
    assert "there is no audit trail at" in run.err

    run.configure(audit={"enabled": False})
    assert run(*ADD, "P1") == 0
    assert run("audit") == 2
    assert "no audit trail is kept (set it to true)" in run.err


def test_a_dry_run_changes_nothing_and_is_not_audited(
    run: CommandLine, config: str, source: Any, tmp_path: Path
) -> None:
    assert run("sync", "--config", config, "--dry-run") == 0
    assert not (tmp_path / "worklist.audit").exists()

    assert run("sync", "--config", config, "--once") == 0
    found = run.json("audit", "--config", config, "--event", "created")
    assert [event["actors"][0]["user"] for event in found] == ["book"] * 3
    assert {event["subjects"][0]["details"]["Record"] for event in found} == {"0", "1", "2"}


def test_a_booking_that_somebody_looks_at_is_read(run: CommandLine) -> None:
    run(*ADD, "P1")
    assert run("explain", "1", "--ae", "MR1") == 0

    (event,) = shown(run, "--event", "read")
    assert (event["subjects"][1]["id"], event["reason"]) == ("P1", "explain")


def test_a_restore_and_a_forgotten_source_are_told(
    run: CommandLine, config: str, source: Any, tmp_path: Path
) -> None:
    assert run("sync", "--config", config, "--once") == 0
    assert run("backup", "--config", config) == 0
    assert run("restore", "--config", config, "--newest") == 0
    values = json.loads(Path(config).read_text(encoding="utf-8"))
    Path(config).write_text(json.dumps(values | {"data_sources": []}), encoding="utf-8")
    assert run("sources", "--config", config, "--forget", "book") == 0

    told = run.json("audit", "--config", config, "--event", "configured")
    reasons = [event["reason"] for event in told]
    assert reasons[0].startswith("restored from worklist-")
    assert reasons[1] == "forgotten, 3 scheduled items cancelled"
    assert told[1]["subjects"][0]["id"] == "source book"


def test_accounts_that_are_made_and_changed_are_told(
    run: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("argon2")
    password = "correct horse battery"
    made = ("create-user", "--username", "anna", "--role", "read", "--password", password)
    assert run(*made) == 0, run.err
    assert run("admin-password", "--username", "anna", "--reset", "--password", "x" + password) == 0

    told = shown(run, "--event", "configured")
    assert [event["reason"] for event in told] == [
        "made on the machine, role read",
        "password reset on the machine",
    ]
    assert all(event["subjects"][0]["id"] == "account anna" for event in told)
    assert password not in json.dumps(told)
