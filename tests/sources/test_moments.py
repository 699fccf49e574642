"""Dates are read in the order that is configured, and never in another one."""

from __future__ import annotations

import pytest

from pylantir.sources.moments import DateFormat


@pytest.mark.parametrize(
    ("form", "written", "day"),
    [
        ("DD/MM/YYYY", "02/03/2026", "2026-03-02"),
        ("MM/DD/YYYY", "02/03/2026", "2026-02-03"),
        ("DD/MM/YYYY", "2.3.2026", "2026-03-02"),
        ("dd.mm.yyyy", "2.3.2026 14:00", "2026-03-02"),
        ("YYYY/MM/DD", "2026/3/2", "2026-03-02"),
        ("DD/MM/YYYY", "2026-03-02", "2026-03-02"),
        ("", "2026-03-02", "2026-03-02"),
        ("", "20260302", "20260302"),
        ("", "2026-03-02 09:30", "2026-03-02"),
        ("", "2026-01-27 14:00:00.0", "2026-01-27"),
        ("", "2026-03-02T09:30:00", "2026-03-02"),
        ("excel", "46083", "2026-03-02"),
        ("excel", "46083.375", "2026-03-02"),
        ("excel1904", "44621", "2026-03-02"),
        ("excel", "2026-03-02", "2026-03-02"),
    ],
)
def test_a_day_is_read_in_the_configured_order(form: str, written: str, day: str) -> None:
    assert DateFormat(form).date(written) == day


@pytest.mark.parametrize(
    ("form", "written"),
    [
        ("", "02/03/2026"),
        ("DD/MM/YYYY", "02/03/26"),
        ("DD/MM/YYYY", "02-03/2026"),
        ("DD/MM/YYYY", "tomorrow"),
        ("DD/MM/YYYY", "2/3"),
        ("", "2026-03-02 at nine"),
        ("excel", "2012345"),
    ],
)
def test_what_is_in_another_order_stays_as_it_is(form: str, written: str) -> None:
    assert DateFormat(form).date(written) == written


@pytest.mark.parametrize(
    ("form", "written", "time"),
    [
        ("", "9:05", "9:05"),
        ("", "0930", "0930"),
        ("", "2026-03-02 09:30", "09:30"),
        ("DD/MM/YYYY", "02/03/2026 14:15:16", "14:15:16"),
        ("", "2:30 PM", "14:30:00"),
        ("", "12:05 a.m.", "00:05:00"),
        ("", "12 pm", "12:00:00"),
        ("", "13:00 PM", "13:00 PM"),
        ("excel", "0.375", "09:00:00"),
        ("excel", "46083.5", "12:00:00"),
        ("excel", "0930", "0930"),
        ("", "2026-03-02", "2026-03-02"),
    ],
)
def test_a_time_is_read_with_or_without_its_day(form: str, written: str, time: str) -> None:
    assert DateFormat(form).time(written) == time


@pytest.mark.parametrize("written", ["2026-03-02T23:30:00Z", "2026-03-02 23:30-07:00"])
def test_a_time_of_another_clock_is_no_time_of_the_site(written: str) -> None:
    with pytest.raises(ValueError, match="offset from UTC"):
        DateFormat().time(written)
    with pytest.raises(ValueError, match="offset from UTC"):
        DateFormat().date(written)


@pytest.mark.parametrize("form", ["DD/MM/YY", "MM/YYYY", "%d/%m/%Y", "DD/DD/YYYY", "iso"])
def test_an_order_that_could_be_mistaken_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="DD/MM/YYYY"):
        DateFormat(form)
