"""Tables for people, and the same rows for programs."""

from __future__ import annotations

import io
import json
import re
import threading

import pytest

from pylantir.cli import table

KANJI = "Yamada^Tarou=山田^太郎"


def start_of_column(lines: list[str], cells: list[str]) -> list[int]:
    return [
        table.display_width(line[: line.index(cell)])
        for line, cell in zip(lines, cells, strict=True)
    ]


def test_plain_columns_align_under_kanji_and_combining_accents() -> None:
    decomposed = "Zoe\N{COMBINING ACUTE ACCENT}"
    rows = [[KANJI, "P1"], ["Müller^Zoé", "P2"], [decomposed, "P3"]]

    lines = table.plain_lines(["NAME", "ID"], rows)

    assert len(set(start_of_column(lines, ["ID", "P1", "P2", "P3"]))) == 1
    assert table.display_width("山") == 2
    assert table.display_width(decomposed) == 3


def test_a_dash_stands_where_there_is_nothing_and_no_line_ends_in_spaces() -> None:
    lines = table.plain_lines(["A", "B", "C"], [["1", "", "3"], ["1", "22", ""]])

    assert lines == ["A  B   C", "1  -   3", "1  22  -"]


def test_control_characters_do_not_reach_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table.write_table(["NAME"], [["\x1b[2J\u202eevil\r\n"]])

    shown = capsys.readouterr().out
    assert shown == "NAME\n\\x1b[2J\\u202eevil\\r\\n\n"


def test_columns_on_the_right_give_way_on_a_narrow_terminal() -> None:
    widths = [2, 10, 12, 12, 45]

    assert table.columns_that_fit(widths, 200) == 5
    assert table.columns_that_fit(widths, 2 + 2 + 10 + 2 + 12 + 2 + 12) == 4
    assert table.columns_that_fit(widths, 2 + 2 + 10 + 2 + 12 + 2 + 11) == 3
    assert table.columns_that_fit(widths, 1) == 1


def test_a_name_may_be_folded_and_a_uid_may_not() -> None:
    rows = [["Müller-Lüdenscheidt^Anne-Sophie", "2.25.100968500611979988941123840710018496109"]]

    assert table.least_widths(["NAME", "STUDY INSTANCE UID"], rows) == [12, len(rows[0][1])]


class Terminal:
    """Standard output of a terminal."""

    def __init__(self) -> None:
        self.written = ""

    def write(self, text: str) -> int:
        self.written += text
        return len(text)

    def flush(self) -> None:
        """Nothing is kept back."""

    def isatty(self) -> bool:
        return True


def test_a_narrow_terminal_is_told_what_was_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "40")
    uid = "2.25.100968500611979988941123840710018496109"

    table.write_table(["ID", "NAME", "STUDY INSTANCE UID"], [["1", KANJI, uid]])

    assert "Yamada" in terminal.written
    assert "STUDY" not in terminal.written
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.written).splitlines()
    assert max(map(table.display_width, lines)) <= 40
    assert "STUDY INSTANCE UID; --json" in capsys.readouterr().err


def test_a_long_list_is_written_plainly_even_on_a_terminal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)

    table.write_table(["ID"], [[str(number)] for number in range(1000)])

    assert terminal.written.splitlines() == ["ID", *map(str, range(1000))]


def test_json_keeps_names_readable(capsys: pytest.CaptureFixture[str]) -> None:
    table.write_json([{"name": KANJI, "id": 1}])

    shown = capsys.readouterr().out
    assert KANJI in shown
    assert json.loads(shown) == [{"name": KANJI, "id": 1}]


def test_csv_is_quoted_and_opens_safely_in_a_spreadsheet(
    capsys: pytest.CaptureFixture[str],
) -> None:
    table.write_csv([])
    table.write_csv([{"id": 1, "name": 'O"Neil, Zoé'}, {"id": -2, "name": "=1+1"}])

    assert capsys.readouterr().out == 'id,name\n1,"O""Neil, Zoé"\n-2,\'=1+1\n'


class DrawnTerminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_what_takes_its_time_gets_a_bar_on_a_terminal_and_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "_PATIENCE_S", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr("sys.stderr", terminal := DrawnTerminal())
    with table.progress_bar("asking redcap") as progress:
        progress(20_000, 40_000)
        shown = threading.Event()
        while "50%" not in terminal.getvalue():
            assert not shown.wait(0.01)
    assert "asking redcap" in terminal.getvalue()


def test_nothing_is_drawn_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with table.progress_bar("asking redcap") as progress:
        progress(1, 2)
    assert capsys.readouterr().err == ""
