"""The clock: the site's days and times, DICOM's DA and TM."""

from __future__ import annotations

import datetime as dt
import struct
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylantir import clock
from pylantir.clock import SiteClock


def at(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def test_now_is_aware_and_in_utc() -> None:
    assert clock.utc_now().utcoffset() == dt.timedelta(0)


def test_the_site_has_its_own_day() -> None:
    site = SiteClock("America/Edmonton", now=lambda: at("2025-07-08T03:00+00:00"))
    assert site.today() == dt.date(2025, 7, 7)
    assert site.local_now() == at("2025-07-07T21:00-06:00")
    assert site.local_now().hour == 21


def test_a_site_without_a_zone_uses_the_machines_own() -> None:
    instant = at("2025-07-07T12:00+00:00")
    site = SiteClock(now=lambda: instant)
    assert site.local_now() == instant
    assert site.local_now().utcoffset() == instant.astimezone().utcoffset()
    assert site.localize(dt.datetime(2025, 7, 7, 12)).tzinfo is not None
    assert clock.zone(None) is not None


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "Amérique/Québec"])
def test_an_unknown_zone_is_named(name: str) -> None:
    with pytest.raises(KeyError) as caught:
        clock.zone(name)
    assert caught.value.args == (name,)


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("America/Edmonton", "2025-07-07T08:30", "2025-07-07T14:30+00:00"),
        ("America/Edmonton", "2025-01-07T08:30", "2025-01-07T15:30+00:00"),
        ("UTC", "2025-01-07T08:30", "2025-01-07T08:30+00:00"),
        ("Asia/Tokyo", "2025-01-07T08:30", "2025-01-06T23:30+00:00"),
    ],
)
def test_a_wall_clock_time_becomes_an_instant(zone: str, wall: str, instant: str) -> None:
    assert SiteClock(zone).localize(at(wall)) == at(instant)


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("America/Edmonton", "2025-11-02T01:30", "2025-11-02T07:30+00:00"),
        ("Europe/Berlin", "2025-10-26T02:30", "2025-10-26T00:30+00:00"),
        # Irish winter time and Moroccan Ramadan time are the "daylight saving" ones.
        ("Europe/Dublin", "2024-10-27T01:30", "2024-10-27T00:30+00:00"),
        ("Africa/Casablanca", "2025-02-23T02:30", "2025-02-23T01:30+00:00"),
    ],
)
def test_a_time_that_happens_twice_is_the_first_of_the_two(
    zone: str, wall: str, instant: str
) -> None:
    assert SiteClock(zone).localize(at(wall)).astimezone(dt.UTC) == at(instant)


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        ("America/Edmonton", "2025-03-09T02:30", "2025-03-09T09:30+00:00"),
        ("Europe/Dublin", "2025-03-30T01:30", "2025-03-30T01:30+00:00"),
    ],
)
def test_a_time_that_the_clocks_skip_keeps_its_distance_to_the_hour_before(
    zone: str, wall: str, instant: str
) -> None:
    site = SiteClock(zone)
    skipped = site.localize(at(wall))
    assert skipped.astimezone(dt.UTC) == at(instant)
    before = site.localize(at(wall) - dt.timedelta(hours=1))
    assert skipped - before == dt.timedelta(hours=1)


@pytest.mark.parametrize("text", ["20250707", "2025-07-07", "2025.07.07", "2025/07/07"])
def test_a_day_is_read_in_each_form(text: str) -> None:
    assert clock.parse_date(text) == dt.date(2025, 7, 7)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2025", "202507", "20250732", "20250229", "00000101", "2025-7-7", "2025-07/07"),
        *("07.07.2025", "20250707 ", "２０２５０７０７", "2025070a", "-2025707", "today"),
    ],
)
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="YYYY-MM-DD"):
        clock.parse_date(text)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("08", dt.time(8)),
        ("0830", dt.time(8, 30)),
        ("083015", dt.time(8, 30, 15)),
        ("083015.5", dt.time(8, 30, 15, 500_000)),
        ("083015.000001", dt.time(8, 30, 15, 1)),
        ("08:30", dt.time(8, 30)),
        ("8:30", dt.time(8, 30)),
        ("08:30:15", dt.time(8, 30, 15)),
        ("08:30:15.25", dt.time(8, 30, 15, 250_000)),
        ("000000", dt.time(0)),
        ("235959.999999", dt.time(23, 59, 59, 999_999)),
        ("235960", dt.time(23, 59, 59)),
    ],
)
def test_a_time_is_read_in_each_form(text: str, time: dt.time) -> None:
    assert clock.parse_time(text) == time


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "8", "083", "2400", "0860", "083061", "08:30:61", "0830.5", "083015.", "12:00:"),
        *(
            "083015.1234567",
            "08:3",
            "008:30",
            "1234:56",
            "08:30:15:00",
            "０８３０",
            "08 30",
            "-830",
        ),
        *("083015.²", "noon"),
    ],
)
def test_what_is_no_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected a time"):
        clock.parse_time(text)


@given(st.dates())
def test_every_day_survives_da_and_iso(day: dt.date) -> None:
    assert clock.parse_date(clock.as_da(day)) == day
    assert clock.parse_date(day.isoformat()) == day
    assert len(clock.as_da(day)) == 8


@given(st.times())
def test_every_time_survives_tm_and_iso(time: dt.time) -> None:
    assert clock.parse_time(clock.as_tm(time)) == time
    assert clock.parse_time(clock.as_iso_time(time)) == time


@given(st.times(), st.times())
def test_stored_times_sort_as_times(one: dt.time, other: dt.time) -> None:
    assert (clock.as_iso_time(one) < clock.as_iso_time(other)) == (one < other)


def test_people_see_seconds_only_where_there_are_any() -> None:
    assert clock.as_iso_time(dt.time(8, 30)) == "08:30"
    assert clock.as_iso_time(dt.time(8, 30, 5)) == "08:30:05"
    assert clock.as_iso_time(dt.time(8, 30, 0, 5)) == "08:30:00.000005"
    assert clock.as_tm(dt.time(8, 30)) == "083000"
    assert clock.as_tm(dt.time(8, 30, 0, 5)) == "083000.000005"


# --- The operating system's rules of time zones ---


def as_zone_file(folder: Path, name: str, footer: str, offset_s: int, short: str) -> None:
    """A zone file (RFC 9636, version 2) that knows one offset, and its footer's rule."""
    zone_type = struct.pack(">iBB", offset_s, 0, 0) + short.encode() + b"\0"
    counts = struct.pack(">6I", 0, 0, 0, 0, 1, len(short) + 1)
    block = b"TZif2" + bytes(15) + counts + zone_type
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(block + block + b"\n" + footer.encode() + b"\n")


NOW = dt.datetime(2026, 9, 1, 12, 30, tzinfo=dt.UTC)


def test_a_system_that_does_not_know_albertas_new_rule_is_named_with_the_day(
    tmp_path: Path,
) -> None:
    footer = "MST7MDT,M3.2.0,M11.1.0"
    as_zone_file(tmp_path, "America/Edmonton", footer, -7 * 3600, "MST")
    (said,) = clock.zone_warnings(["America/Edmonton"], NOW, [str(tmp_path)])
    assert said.startswith("time zone America/Edmonton: from 2026-11-01 08:00 UTC on")
    assert "60 minutes apart; ours count here" in said
    assert clock.zone_data_version() in said


def test_rules_that_are_apart_for_an_hour_only_are_told(tmp_path: Path) -> None:
    """Summer begins on the same day, but an hour later: before and after that all is the same."""
    as_zone_file(tmp_path, "Europe/Berlin", "CET-1CEST,M3.5.0/3,M10.5.0/3", 3600, "CET")
    (said,) = clock.zone_warnings(["Europe/Berlin"], NOW, [str(tmp_path)])
    assert "-03-2" in said
    assert "01:00 UTC on" in said
    assert "60 minutes apart" in said


def test_each_zone_is_named_once(tmp_path: Path) -> None:
    as_zone_file(tmp_path, "Asia/Tokyo", "XST-8", 8 * 3600, "XST")
    names = ["Asia/Tokyo", "UTC", "Asia/Tokyo"]
    assert len(clock.zone_warnings(names, NOW, [str(tmp_path)])) == 1


def test_the_same_rules_are_nothing_to_talk_about(tmp_path: Path) -> None:
    as_zone_file(tmp_path, "Asia/Tokyo", "JST-9", 9 * 3600, "JST")
    assert clock.zone_warnings(["Asia/Tokyo"], NOW, [str(tmp_path)]) == []


@pytest.mark.parametrize("content", [None, b"", b"no zone file"])
def test_a_system_without_zone_data_is_quiet(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "Asia").mkdir()
        (tmp_path / "Asia" / "Tokyo").write_bytes(content)
    assert clock.zone_warnings(["Asia/Tokyo", "Mars/Olympus"], NOW, [str(tmp_path)]) == []


@pytest.mark.skipif(not hasattr(time, "tzset"), reason="Windows has no TZ")
def test_the_machines_own_zone_is_compared_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def warnings_in(tz: str) -> list[str]:
        monkeypatch.setenv("TZ", tz)
        time.tzset()
        return clock.zone_warnings([None], NOW)

    try:
        assert warnings_in("UTC") == []
        assert warnings_in("MST7") == []  # a rule, not the name of a zone
        monkeypatch.setattr(clock, "_machines_zone_name", lambda: "Asia/Tokyo")
        (said,) = warnings_in("XST-8")
        assert 'set "timezone"' in said
    finally:
        monkeypatch.undo()
        time.tzset()
