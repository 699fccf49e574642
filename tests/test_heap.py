"""What the garbage collector passes by, and that it is back afterwards."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from pylantir.heap import made_to_stay, share_the_heap


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.enable()


def test_nobody_collects_in_the_block_and_what_it_made_is_passed_by() -> None:
    with made_to_stay():
        assert not gc.isenabled()
        kept = [{"module": object()}]

    assert gc.isenabled()
    assert gc.get_freeze_count() > 0
    assert not any(each is kept for each in gc.get_objects())


def test_after_a_failure_nothing_is_kept() -> None:
    with pytest.raises(ValueError, match="no start"), made_to_stay():
        raise ValueError("no start")

    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_a_collector_that_somebody_switched_off_stays_off() -> None:
    gc.disable()

    with made_to_stay():
        pass

    assert not gc.isenabled()


def test_sharing_the_heap_twice_does_no_harm() -> None:
    share_the_heap()
    share_the_heap()
