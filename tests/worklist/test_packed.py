"""Long lists in little memory behave like lists."""

from __future__ import annotations

import sys
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.worklist.bookings import booking

from pylantir.worklist.item import WorklistItem
from pylantir.worklist.packed import PackedList


@given(
    st.lists(st.integers(), max_size=900),
    st.slices(900),
)
def test_reads_like_the_list_it_was_made_from(values: list[int], part: slice) -> None:
    packed = PackedList(values)
    assert len(packed) == len(values)
    assert list(packed) == values
    assert packed == values
    assert packed[part] == values[part]
    assert bool(packed) == bool(values)


@pytest.mark.parametrize("place", [0, 255, 256, 511, 512, 599, -1, -600])
def test_one_value_is_found_by_its_place(place: int) -> None:
    values = list(range(600))
    assert PackedList(values)[place] == values[place]


@pytest.mark.parametrize("place", [600, -601])
def test_a_place_beyond_the_end_is_an_error(place: int) -> None:
    with pytest.raises(IndexError):
        PackedList(range(600))[place]


def test_grows_while_it_is_read() -> None:
    packed = PackedList(range(300))
    assert packed[299] == 299
    packed.extend(range(300, 600))
    assert [packed[299], packed[300], packed[599]] == [299, 300, 599]


def test_differs_from_another_list_of_the_same_length() -> None:
    assert PackedList([1, 2]) != [1, 3]
    assert PackedList([1, 2]) != [1, 2, 3]
    assert PackedList("ab") != "ab"


def test_booking_comes_back_equal_with_all_it_has() -> None:
    item = booking(PatientReligiousPreference="Quaker")
    (again,) = [*PackedList([item] * 256)][255:]
    assert again == item
    assert again.extras == {"PatientReligiousPreference": "Quaker"}
    with pytest.raises(TypeError):
        again.extras["x"] = 1  # type: ignore[index]


def test_ten_thousand_items_take_a_tenth_of_the_memory() -> None:
    item = booking()

    def items() -> list[WorklistItem]:
        return [replace(item, source_record_id=f"{n}/e/mri/1") for n in range(10_000)]

    def held(make: object) -> int:
        tracemalloc.start()
        kept = make()  # type: ignore[operator]
        size, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert len(kept) == 10_000
        return size

    as_list = held(items)
    packed = held(lambda: PackedList(items()))
    assert packed < as_list / 10, (packed, as_list, sys.version)
