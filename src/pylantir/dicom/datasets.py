"""From a worklist item to the identifier of a C-FIND response (PS3.4 K.4.1.1.3.2).

An answer holds exactly the keys that were asked: type 1 with a value, the others empty when
unknown; nothing else but Specific Character Set where some text needs it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from pydicom import config as pydicom_config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from pylantir.clock import as_da, as_tm
from pylantir.dicom import charsets
from pylantir.dicom.charsets import Terms
from pylantir.dicom.identifiers import Asked, whole_item
from pylantir.worklist.attributes import CODE_KEYS, STEP_SEQUENCE_TAG
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import STATION
from pylantir.worklist.status import ItemStatus
from pylantir.worklist.values import Code

_CHARACTER_SET = 0x0008_0005
_TEXT_VRS = frozenset({"SH", "LO", "ST", "LT", "UC", "UT", "PN"})
"""Those that Specific Character Set governs (PS3.5 6.1.2.3)."""


def response_identifier(
    item: WorklistItem,
    asked: Iterable[Asked],
    *,
    station: str = "",
    character_set: Terms = charsets.ASCII,
    preferred: Terms = charsets.ASCII,
) -> Dataset:
    """The identifier of one pending response.

    Parameters
    ----------
    item : WorklistItem
        What to tell.
    asked : iterable of Asked
        The return keys.
    station : str
        AE title of the scanner that asks; stands in for an item that names no station.
    character_set, preferred : Terms
        The request's set, and the one that the scanner's profile wants.
    """
    ds = Dataset()
    _fill(ds, item, asked, station)
    chosen = charsets.choose(texts_of(ds), character_set, preferred)
    if chosen:
        value: Any = chosen[0] if len(chosen) == 1 else list(chosen)
        ds.add(DataElement(_CHARACTER_SET, "CS", value))
    return ds


def _fill(ds: Dataset, item: WorklistItem, asked: Iterable[Asked], station: str) -> None:
    for key in asked:
        if key.tag == STEP_SEQUENCE_TAG:
            step = Dataset()
            _fill(step, item, key.children or (), station)
            ds.add(DataElement(key.tag, "SQ", [step]))
        elif key.attribute is None or not key.attribute.name:
            _add_extra(ds, item, key)
        elif key.attribute.is_sequence:
            codes = [_code_item(code, key) for code in item.values_of(key.attribute)]
            ds.add(DataElement(key.tag, "SQ", codes))
        else:
            _add(ds, key.tag, key.attribute.vr, _value(item, key, station))


def _value(item: WorklistItem, key: Asked, station: str) -> Any:
    shown = wire_values(item, key, station)
    if not shown:
        return None if key.attribute is not None and key.attribute.vr == "US" else ""
    return shown[0] if len(shown) == 1 else list(shown)


def wire_values(item: WorklistItem, key: Asked, station: str) -> tuple[Any, ...]:
    """The values of an attribute as a scanner sees them: text, or a number for US."""
    attribute = key.attribute
    assert attribute is not None
    values = item.values_of(attribute)
    if attribute is STATION and not values and station:
        return (station,)
    return tuple(map(wire, values))


def wire(value: Any) -> Any:
    """One value as a scanner sees it."""
    if isinstance(value, ItemStatus):
        return value.dicom
    if isinstance(value, dt.date):
        return as_da(value)
    if isinstance(value, dt.time):
        return as_tm(value)
    return str(value) if isinstance(value, Decimal) else value


def _code_item(code: Code, key: Asked) -> Dataset:
    item = Dataset()
    for tag in code_tags(code, key):
        _add(item, tag, dictionary_VR(tag), getattr(code, CODE_KEYS[tag]))
    return item


def code_tags(code: Code, key: Asked) -> set[int]:
    """Attributes of a code that are answered: those asked, else all that it has."""
    if key.children is not None:
        return {child.tag for child in key.children if child.tag in CODE_KEYS}
    return {tag for tag, name in CODE_KEYS.items() if name != "version" or code.version}


def _add_extra(ds: Dataset, item: WorklistItem, key: Asked) -> None:
    value = item.extras.get(key.keyword)
    if value is not None:
        add_plain(ds, key.keyword, value, plain_keywords(key))
    elif key.attribute is not None:
        ds.add(empty_extra(key))


def plain_keywords(key: Asked) -> set[str] | None:
    """Keywords that are asked of each item of an extra's sequence; nothing for all."""
    return None if key.children is None else {child.keyword for child in key.children}


def empty_extra(key: Asked) -> DataElement:
    """An attribute of the model that the item does not have."""
    vr = dictionary_VR(key.tag).split(" or ")[0]
    return DataElement(key.tag, vr, [] if vr == "SQ" else "")


def add_plain(ds: Dataset, keyword: str, value: Any, wanted: set[str] | None = None) -> None:
    """Add an attribute from its plain JSON form, see :mod:`pylantir.worklist.extras`.

    Parameters
    ----------
    ds : Dataset
        Gets the element.
    keyword, value : str, Any
        The attribute.
    wanted : set of str, optional
        Keywords to take of each item of a sequence; all when absent.
    """
    tag = tag_for_keyword(keyword)
    assert tag is not None
    vr = dictionary_VR(tag).split(" or ")[0]
    if vr != "SQ":
        _add(ds, tag, vr, value)
        return
    items = []
    for entry in value:
        item = Dataset()
        for name, inner in entry.items():
            if wanted is None or name in wanted:
                add_plain(item, name, inner)
        items.append(item)
    ds.add(DataElement(tag, "SQ", items))


def _add(ds: Dataset, tag: int, vr: str, value: Any) -> None:
    # What stands in an item was checked when the item was made.
    ds.add(DataElement(tag, vr, value, validation_mode=pydicom_config.IGNORE))


def texts_of(ds: Dataset) -> Iterator[str]:
    """Every text of a data set that its Specific Character Set must be able to hold."""
    for element in ds:
        if element.VR == "SQ":
            for item in element.value:
                yield from texts_of(item)
        elif element.VR in _TEXT_VRS and element.value:
            values = element.value if element.VM > 1 else [element.value]
            yield from map(str, values)


def item_data_set(item: WorklistItem) -> Dataset:
    """The whole item as a data set: what a worklist file of DCMTK or Orthanc holds."""
    ds = response_identifier(item, whole_item(), preferred=charsets.UTF_8)
    for keyword, value in item.extras.items():
        if keyword not in ds:
            add_plain(ds, keyword, value)
    chosen = charsets.choose(texts_of(ds), charsets.ASCII, charsets.UTF_8)
    if chosen:
        ds.SpecificCharacterSet = chosen[0]
    return ds
