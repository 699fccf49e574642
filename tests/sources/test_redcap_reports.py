"""What scanners did, written back into REDCap."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.sources.redcap_site import Site, redcap_site
from tests.standins.redcap_data import RowKey

from pylantir.errors import SourceRefused
from pylantir.worklist.outbox import PerformedReport


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with redcap_site(tmp_path) as site:
        yield site


# --- Reports ---


def report(key: str, status: str = "COMPLETED") -> PerformedReport:
    return PerformedReport(
        key, status, "2026-03-02 09:31:00", "2026-03-02 10:41:30", "Tech^Terry", 6, "MR1"
    )


def test_what_a_scanner_did_is_written_into_the_fields_that_are_named(site: Site) -> None:
    site.config["write_back"] = {
        "status": "mri_pps_status",
        "status_codes": {"COMPLETED": "2"},
        "ended": "mri_done_at",
    }
    sync = site.synchronizer()
    sync._source.write_back([report("1/t1_arm_1/mri/1")])
    (row,) = [
        row
        for row in site.server._show_records(record="1")
        if (row["instrument"], row["instance"]) == ("mri", 1)
    ]
    assert (row["mri_pps_status"], row["mri_done_at"]) == ("2", "2026-03-02 10:41")


def test_a_report_does_not_come_back_as_a_change(site: Site) -> None:
    site.config["write_back"] = {"status": "mri_pps_status", "status_codes": {"COMPLETED": "2"}}
    site.sync()
    site.later(minutes=5)
    assert site._sync is not None
    site._sync._source.write_back([report("1/t1_arm_1/mri/1")])
    again = site.sync()
    assert again.fetched > 0
    assert not again.says_something


def test_a_report_that_is_refused_says_so_without_the_token(site: Site) -> None:
    site.config["write_back"] = {"status": "mri_pps_status"}
    sync = site.synchronizer()
    site.server.set_rights(imports=False)
    with pytest.raises(SourceRefused) as caught:
        sync._source.write_back([report("1/t1_arm_1/mri/1")])
    assert site.project.token not in str(caught.value)


def test_a_locked_record_keeps_no_other_report_waiting(site: Site) -> None:
    site.config["write_back"] = {"status": "mri_pps_status", "status_codes": {"COMPLETED": "2"}}
    sync = site.synchronizer()
    site.project.locked.add("1")
    first, third = report("1/t1_arm_1/mri/1"), report("3/t1_arm_1/mri/1")
    refused = sync._source.write_back([first, third])
    assert refused is not None
    assert list(refused) == [first]
    assert "HTTP 400" in refused[first]
    (row,) = [
        row
        for row in site.server._show_records(record="3")
        if (row["instrument"], row["instance"]) == ("mri", 1)
    ]
    assert row["mri_pps_status"] == "2"


@pytest.mark.parametrize("gone", ["record", "renamed", "row"])
def test_a_report_for_a_booking_that_is_gone_makes_no_new_one(site: Site, gone: str) -> None:
    site.config["write_back"] = {"status": "mri_pps_status", "status_codes": {"COMPLETED": "2"}}
    sync = site.synchronizer()
    if gone == "record":
        site.server.delete_record("1")
    elif gone == "renamed":
        site.server.rename_record("1", "11")
    else:
        site.project.delete_row("1", RowKey("t1_arm_1", "mri", 1))
    before = site.server._show_records()
    first, third = report("1/t1_arm_1/mri/1"), report("3/t1_arm_1/mri/1")
    assert sync._source.write_back([first]) == {
        first: "the row of the booking is no longer in the project"
    }
    assert site.server._show_records() == before
    refused = sync._source.write_back([first, third])
    assert refused is not None
    assert list(refused) == [first]
