"""Long lists in little memory: a source may name a hundred thousand bookings at once."""

from __future__ import annotations

import copyreg
import io
import pickle
import zlib
from collections.abc import Iterable, Iterator, Sequence
from types import MappingProxyType
from typing import Any, Generic, TypeVar, overload

_T = TypeVar("_T")

_PART = 256
_FAST = 1


class PackedList(Sequence[_T], Generic[_T]):
    """A list to append to and to read in order; all but its end is kept compressed.

    An item of the worklist takes 2 KB as an object and some 100 bytes here, because its neighbours
    say nearly the same. Reading one value unpacks the part it is in, so read in order or in slices.

    Parameters
    ----------
    values : iterable
        Read once. Values are immutable: what is read is a copy.
    """

    def __init__(self, values: Iterable[_T] = ()) -> None:
        self._parts: list[bytes] = []
        self._end: list[_T] = []
        self._unpacked: tuple[int, list[_T]] = (-1, [])
        self.extend(values)

    def append(self, value: _T) -> None:
        """Put one more at the end."""
        self._end.append(value)
        if len(self._end) == _PART:
            self._parts.append(_packed(self._end))
            self._end = []

    def extend(self, values: Iterable[_T]) -> None:
        """Put more at the end."""
        for value in values:
            self.append(value)

    def __len__(self) -> int:
        return len(self._parts) * _PART + len(self._end)

    def __iter__(self) -> Iterator[_T]:
        for number in range(len(self._parts)):
            yield from self._part(number)
        yield from tuple(self._end)

    @overload
    def __getitem__(self, index: int) -> _T: ...
    @overload
    def __getitem__(self, index: slice) -> list[_T]: ...
    def __getitem__(self, index: int | slice) -> _T | list[_T]:
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self._at(place) for place in places]
        return self._at(places)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str | bytes):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def _at(self, place: int) -> _T:
        number, within = divmod(place, _PART)
        return self._part(number)[within]

    def _part(self, number: int) -> list[_T]:
        if number == len(self._parts):
            return self._end
        if self._unpacked[0] != number:
            packed = zlib.decompress(self._parts[number])
            # Only what this process itself has packed.
            self._unpacked = number, pickle.loads(packed)  # noqa: S301
        return self._unpacked[1]

    def __repr__(self) -> str:
        return f"<PackedList of {len(self)}>"


def _read_only(mapping: dict[str, Any]) -> MappingProxyType[str, Any]:
    return MappingProxyType(mapping)


class _Pickler(pickle.Pickler):
    """Takes read-only mappings too, which an item's extras are."""

    dispatch_table = copyreg.dispatch_table | {
        MappingProxyType: lambda mapping: (_read_only, (dict(mapping),))
    }


def _packed(part: list[Any]) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(part)
    return zlib.compress(buffer.getbuffer(), _FAST)
