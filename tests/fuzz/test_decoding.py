"""The corpus of the fuzzer, and what Hypothesis makes of it, through the same targets.

An input that once broke a target stays in its corpus.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import config
from tests.fuzz.decoding import TARGETS

CORPUS = Path(__file__).parent / "corpus"
INPUTS = {name: sorted((CORPUS / name).iterdir()) for name in TARGETS}


@pytest.fixture(autouse=True, scope="module")
def reading_as_the_daemon_does() -> Iterator[None]:
    """The daemon asks pydicom not to warn of values that it has checked itself."""
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.IGNORE
    yield
    config.settings.reading_validation_mode = before


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_in_the_corpus_breaks_its_target(name: str) -> None:
    assert len(INPUTS[name]) > 20
    for path in INPUTS[name]:
        try:
            TARGETS[name](path.read_bytes())
        except Exception as error:
            raise AssertionError(f"{name} breaks on {path.name}") from error


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_change_of_it_breaks_its_target(name: str, data: st.DataObject) -> None:
    first, second = (data.draw(st.sampled_from(INPUTS[name])).read_bytes() for _ in range(2))
    changed = bytearray(first[: data.draw(st.integers(0, len(first)))] + second)
    for at in data.draw(st.lists(st.integers(0, len(changed) - 1), max_size=8)):
        changed[at] = data.draw(st.integers(0, 255))
    TARGETS[name](bytes(changed))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=600))
def test_no_bytes_break_a_target(name: str, data: bytes) -> None:
    TARGETS[name](data)
