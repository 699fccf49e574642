"""``backup`` and ``restore`` on the command line, also beside a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.conftest import CommandLine
from tests.cli.starting import configuration, fails_closed, found, pylantir
from tests.conftest import StartDaemon
from tests.worklist.test_backups import break_a_page


def names(run: CommandLine) -> list[str]:
    return [item["patient_name"] for item in run.json("query-db", "--date", "any")]


def test_a_backup_is_made_listed_and_restored(run: CommandLine) -> None:
    assert run("add", "--phantom", "--name", "First^One") == 0
    assert run("backup") == 0
    made = run.out.strip()
    assert Path(made).is_file()
    assert run("add", "--phantom", "--name", "Second^One") == 0

    assert run.json("backup", "--list") == run.json("restore", "--list")
    assert [row["file"] for row in run.json("restore", "--list")] == [made]
    assert run("restore", made) == 0
    assert "1 items" in run.out
    assert "before-restore" in run.out
    assert names(run) == ["First^One"]

    before = run.json("restore", "--list")[0]["file"]
    [done] = run.json("restore", before)
    assert (done["items"], done["aside"]) == (2, None)
    assert names(run) == ["First^One", "Second^One"]


def test_the_newest_is_found_in_the_configured_folder(run: CommandLine) -> None:
    run.configure(backups={"folder": str(run.folder / "elsewhere")})
    run("add", "--phantom")
    [made] = run.json("backup")
    assert Path(made["file"]).parent == run.folder / "elsewhere"
    (run.folder / "worklist.db").unlink()
    assert run("restore", "--newest") == 0
    assert len(names(run)) == 1


def test_what_cannot_be_done_is_said(run: CommandLine) -> None:
    with pytest.raises(SystemExit, match="2"):
        run("restore")
    assert run("restore", "--newest") == 1
    assert "there is no backup in" in run.err
    assert run("restore", "--list") == 0
    assert "there is no backup in" in run.out
    assert run("restore", "nowhere.db") == 1
    assert "there is no file nowhere.db" in run.err
    assert run("backup") == 2
    assert "there is no worklist" in run.err
    assert not (run.folder / "worklist.db").exists()


@pytest.mark.parametrize("words", [("backup", "--list"), ("restore", "--newest")])
def test_a_database_that_is_no_file_has_backups_of_its_own(
    run: CommandLine, words: tuple[str, ...]
) -> None:
    run.configure(db_path="postgresql+psycopg://worklist:secret@db.example/worklist")
    assert run(*words) == 2
    assert "database's own backups" in run.err
    assert "secret" not in run.err


def test_a_damaged_worklist_names_the_backup_and_stays_where_it_is(run: CommandLine) -> None:
    run("add", "--phantom")
    run("backup")
    break_a_page(run.folder / "worklist.db")

    assert run("query-db") == 2
    assert "is damaged" in run.err
    assert "pylantir restore --newest" in run.err
    assert (run.folder / "worklist.db").exists()
    assert run("restore", "--newest") == 0
    assert "the damaged file is" in run.out
    assert len(names(run)) == 1


# --- beside a server ---


def test_a_server_goes_on_with_what_was_restored(
    tmp_path: Path, daemon_process: StartDaemon
) -> None:
    config = configuration(tmp_path)
    pylantir(tmp_path, "add", "--config", config, "--phantom", "--name", "First^One")
    daemon = daemon_process("--config", config)
    assert pylantir(tmp_path, "backup", "--config", config)[0] == 0
    pylantir(tmp_path, "add", "--config", config, "--phantom", "--name", "Second^One")
    assert found(daemon, Modality="MR") == ["First^One", "Second^One"]

    code, _, err, _ = pylantir(tmp_path, "restore", "--newest", "--config", config)

    assert code == 0, err
    assert found(daemon, Modality="MR") == ["First^One"]
    assert daemon.stop()[0] == 0


def test_a_server_does_not_start_on_a_damaged_worklist_and_offers_the_backup(
    tmp_path: Path, daemon_process: StartDaemon
) -> None:
    config = configuration(tmp_path)
    path = tmp_path / "site" / "worklist.db"
    pylantir(tmp_path, "add", "--config", config, "--phantom")
    pylantir(tmp_path, "backup", "--config", config)
    path.write_bytes(b"\xff" * 5000)

    told = fails_closed(tmp_path, "--config", config, "--port", "0")

    assert "set aside as" in told
    assert "pylantir restore --newest" in told
    assert not path.exists()
    [aside] = path.parent.glob("worklist.db.damaged-*")
    assert aside.read_bytes() == b"\xff" * 5000

    daemon = daemon_process("--config", config)
    assert found(daemon, Modality="MR") == []
    assert "There is a backup" in daemon.log
    code, out, err, _ = pylantir(tmp_path, "restore", "--newest", "--config", config, "--json")
    assert code == 0, err
    assert json.loads(out)[0]["items"] == 1
    assert found(daemon, Modality="MR") == ["PHANTOM^QA"]
