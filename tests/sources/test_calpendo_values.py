"""What becomes of Calpendo's bookings."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.sources.calpendo_site import Site, at, calpendo_site

from pylantir.errors import InvalidItem
from pylantir.sources.calpendo import longest_prefix
from pylantir.worklist.item import make_item


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with calpendo_site(tmp_path) as made:
        yield made


def test_the_published_example_gives_a_whole_item(site: Site) -> None:
    site.server.bookings.name("project", "BRISKP", "BRISKP (Brain network models)")
    site.config = {"resource_modality_mapping": {"3T": "MR"}}
    booking = site.book("SUB001_John_Doe", at(14), minutes=90)
    (values,) = site.values()
    item = make_item(values, data_source="cal", source_record_id=str(booking.id), authority="x")
    assert (item.patient_id, item.patient_name) == ("SUB001", "John_Doe")
    assert item.study_description == "BRISKP"
    assert item.accession_number == str(booking.id)
    assert item.start == at(14)
    assert item.modality == "MR"


def test_the_largest_id_fits_the_accession_number(site: Site) -> None:
    site.server.bookings._ids = itertools.count(2**53 - 1)
    booking = site.book("SUB001_A_B", at(9))
    (values,) = site.values()
    item = make_item(values, data_source="cal", source_record_id=str(booking.id), authority="x")
    assert item.accession_number == "9007199254740991"


def test_a_plain_id_is_no_study_instance_uid_and_that_is_noted(site: Site) -> None:
    site.mapping["study_instance_uid"] = "id"
    site.book("SUB001_A_B", at(9))
    (values,) = site.values()
    assert "study_instance_uid" not in values
    (note,) = site.source.notes()
    assert "study_instance_uid is left empty" in note
    assert site.source.notes() == ()


def test_a_title_that_does_not_match_rejects_its_booking_with_the_reason(site: Site) -> None:
    site.book("phantom test", at(9))
    with pytest.raises(InvalidItem, match="patient_id"):
        site.values()


def test_a_title_that_does_not_match_may_be_taken_as_it_is(site: Site) -> None:
    site.config = {"on_no_match": "original"}
    site.book("phantom", at(9))
    (values,) = site.values()
    assert values["patient_id"] == "phantom"


def test_without_a_mapping_the_title_names_the_patient(site: Site) -> None:
    site.mapping = {"accession_number": "id"}
    site.book("SUB001", at(9))
    (values,) = site.values()
    assert (values["patient_id"], values["patient_name"]) == ("SUB001", "SUB001")


def test_the_nested_mapping_of_the_published_quickstart_is_understood(site: Site) -> None:
    site.mapping = {
        "title": {
            "_extract": {
                "patient_id": {"pattern": "^([A-Z0-9]+)_", "group": 1},
                "patient_name": {"pattern": "^[A-Z0-9]+_(.+)$", "group": 1},
            }
        }
    }
    site.book("SUB001_John_Doe", at(9))
    (values,) = site.values()
    assert (values["patient_id"], values["patient_name"]) == ("SUB001", "John_Doe")


@pytest.mark.parametrize(
    ("name_format", "name"),
    [("first_last", "Doe^John"), ("given_only", "^John_Doe"), ("as_is", "John_Doe")],
)
def test_a_name_without_carets_is_read_as_the_site_writes_it(
    site: Site, name_format: str, name: str
) -> None:
    site.config = {"name_format": name_format}
    site.book("SUB001_John_Doe", at(9))
    (values,) = site.values()
    assert values["patient_name"] == name


@pytest.mark.parametrize(
    ("resource", "modality"),
    [
        ("3T", "MR"),
        ("3T Research", "PT"),
        ("3T Research 2", "PT"),
        ("3T Diag", "MR"),
        ("EEG", "OT"),
    ],
)
def test_the_modality_is_the_exact_entrys_else_that_of_the_longest_beginning(
    site: Site, resource: str, modality: str
) -> None:
    site.config = {
        "resources": [resource],
        "resource_modality_mapping": {"3T": "MR", "3T Research": "PT"},
    }
    site.book("SUB001_A_B", at(9), resource=resource)
    (values,) = site.values()
    assert values["modality"] == modality


def test_a_resource_may_be_a_scanner(site: Site) -> None:
    site.config = {"resource_station_mapping": {"3T": "MR3T", "3T D": "MR3TD"}}
    site.book("SUB001_A_B", at(9))
    (values,) = site.values()
    assert values["scheduled_station_ae_title"] == "MR3TD"
    assert values["scheduled_station_name"] == "3T Diagnostic"


def test_no_entry_fits_a_name_that_only_ends_alike() -> None:
    assert longest_prefix({"T": "MR"}, "3T") == ""


def test_hidden_values_never_reach_the_worklist(site: Site) -> None:
    site.server.account.hidden = {"title", "project"}
    site.book("SUB001_A_B", at(9))
    (record,) = site.fetch().records
    assert "<Hidden>" not in repr(record)
    values = site.source.values_of(record)
    with pytest.raises(InvalidItem):
        make_item(values, data_source="cal", source_record_id="1", authority="x")


@pytest.mark.parametrize("path", ["status", "dateRange", "resource"])
def test_a_booking_whose_essentials_are_hidden_is_rejected_not_withdrawn(
    site: Site, path: str
) -> None:
    booking = site.book("SUB001_A_B", at(9))
    row: dict[str, Any] = {
        "id": booking.id,
        "status": "Approved",
        "dateRange": {"start": "2026-03-02T09:00:00"},
        "resource": {"name": "3T Diagnostic"},
    }
    site.server.fault("query", body=json.dumps({"biskits": [row | {path: "<Hidden>"}]}))
    batch = site.fetch()
    assert batch.records == []
    (rejected,) = batch.rejected
    assert rejected.problems[0].field == path
