"""Which item somebody means on the command line."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pylantir.errors import ConfigProblem, ConfigurationError, NotFound

if TYPE_CHECKING:
    from pylantir.daemon import Worklist
    from pylantir.worklist.item import WorklistItem

_LONGEST_NUMBER = 19
"""Digits of the largest number that a database may give to an item."""


def item_meant(worklist: Worklist, name: str) -> WorklistItem:
    """The one item that a number, Study Instance UID or accession number names.

    Raises
    ------
    NotFound
        None has it.
    ConfigurationError
        Several have it.
    """
    from pylantir.worklist.attributes import BY_NAME
    from pylantir.worklist.query import Key, SingleValue, WorklistQuery

    found: dict[int | None, WorklistItem] = {}
    for field in ("study_instance_uid", "accession_number"):
        query = WorklistQuery(keys=(Key(BY_NAME[field], SingleValue(name)),))
        found |= {item.item_id: item for item in worklist.items.find(query)}
    if name.isascii() and name.isdigit() and len(name) < _LONGEST_NUMBER:
        with contextlib.suppress(NotFound):
            found[int(name)] = worklist.items.get(int(name))
    if not found:
        raise NotFound(f"no item has the number, Study Instance UID or accession number {name}")
    if len(found) > 1:
        numbers = ", ".join(map(str, sorted(number or 0 for number in found)))
        message = f"{name} names items {numbers}"
        hint = "give a number or Study Instance UID that only one of them has"
        raise ConfigurationError([ConfigProblem("command line", "item", message, hint)])
    return next(iter(found.values()))
