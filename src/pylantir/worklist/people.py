"""How people ask for a patient: by name or by id, whichever they have at hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pylantir.worklist.attributes import BY_NAME
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import Key, PersonName, fold_name, has_wild_card


@dataclass(frozen=True, slots=True)
class NameOrId:
    """Matches a name or an id, insensitive to case and accents.

    Parameters
    ----------
    keys : tuple of PersonName
        Any of them may match.
    """

    keys: tuple[PersonName, ...]

    def accepts(self, value: Any) -> bool:
        """Whether the name or id satisfies one of the keys."""
        return bool(value) and any(key.accepts(value) for key in self.keys)


@dataclass(frozen=True, slots=True)
class PatientKey(Key):
    """A key that the name or the id of the patient satisfies."""

    def accepts(self, item: WorklistItem) -> bool:
        """Whether the item's patient is meant."""
        return self.match.accepts(item.patient_name) or self.match.accepts(item.patient_id)


def patient_key(shown: str) -> PatientKey:
    """The key for what somebody typed.

    Parameters
    ----------
    shown : str
        Name or id; ``*`` and ``?`` are wild cards. A family name alone, without wild card or
        ``^``, means everybody of that name.
    """
    folded = fold_name(shown.strip())
    keys = [PersonName(folded)]
    if not has_wild_card(folded) and "^" not in folded:
        keys.append(PersonName(f"{folded}^*"))
    return PatientKey(BY_NAME["patient_name"], NameOrId(tuple(keys)))
