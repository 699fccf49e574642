"""Identifiers that Pylantir makes."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pylantir.worklist import identity
from pylantir.worklist.values import text, uid

ORIGIN = ("https://redcap.example", "main_redcap", "1")
words = st.text(max_size=300)


@given(words, words, words)
def test_every_made_identifier_is_legal(authority: str, source: str, record: str) -> None:
    study = identity.study_instance_uid(authority, source, record)
    assert uid(study) == study
    assert len(study) <= 44
    assert study.startswith("2.25.")
    for made in (
        identity.requested_procedure_id(authority, source, record),
        identity.scheduled_procedure_step_id(authority, source, record),
    ):
        assert text(made, "SH") == made
        assert re.fullmatch(r"(RP|SPS)[0-9A-HJKMNP-TV-Z]{13}", made)


def test_identifiers_are_the_same_for_ever() -> None:
    # Written down once: a change here would tear every booking from its images.
    assert identity.study_instance_uid(*ORIGIN) == ("2.25.259706204804057503181833266207766592747")
    assert identity.requested_procedure_id(*ORIGIN) == "RPSX5FZ3QY5SD59"
    assert identity.scheduled_procedure_step_id(*ORIGIN) == "SPSRJDXQ058THCB9"


def test_identifiers_do_not_depend_on_the_process() -> None:
    code = f"from pylantir.worklist.identity import *; print(study_instance_uid(*{ORIGIN!r}))"
    other = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert other.stdout.strip() == identity.study_instance_uid(*ORIGIN)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_authority_source_and_record_each_make_a_difference(part: int) -> None:
    other = list(ORIGIN)
    other[part] += "1"
    assert identity.study_instance_uid(*other) != identity.study_instance_uid(*ORIGIN)
    assert identity.requested_procedure_id(*other) != identity.requested_procedure_id(*ORIGIN)
    assert identity.scheduled_procedure_step_id(*other) != (
        identity.scheduled_procedure_step_id(*ORIGIN)
    )


def test_two_parts_are_not_taken_for_one() -> None:
    assert identity.study_instance_uid("a", "bc", "d") != identity.study_instance_uid(
        "a", "b", "cd"
    )


def test_many_records_get_as_many_identifiers() -> None:
    records = [str(number) for number in range(3000)]
    for make in (identity.study_instance_uid, identity.scheduled_procedure_step_id):
        assert len({make("a", "b", record) for record in records}) == len(records)


def test_new_identifiers_are_legal_and_new() -> None:
    made = {identity.new_uid() for _ in range(1000)}
    assert len(made) == 1000
    assert all(uid(new) == new and new.startswith("2.25.") for new in made)
    assert not any(new.startswith(identity.STANDARD_ROOT) for new in made)
    assert identity.new_record() != identity.new_record()
