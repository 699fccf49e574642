"""The Modality Performed Procedure Step as a table: which attribute must be there when.

PS3.4 Table F.7.2-1. Rows are read, not branched on: a type at N-CREATE and at N-SET for every
attribute, ``-`` where it is not allowed. Attributes without a row are type 3 and kept as they come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from pydicom.datadict import dictionary_VR, keyword_for_tag

from pylantir.dicom.json_model import Attributes


@dataclass(frozen=True, slots=True)
class Rule:
    """One attribute: its type for the SCU at N-CREATE and N-SET, and the rules of its items.

    Attributes
    ----------
    key : str
        The tag as DICOM JSON spells it.
    is_sequence : bool
        Whether the attribute is a sequence.
    """

    tag: int
    create: str
    set: str
    items: tuple[Rule, ...] = ()
    key: str = field(init=False)
    is_sequence: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.tag:08X}")
        object.__setattr__(self, "is_sequence", dictionary_VR(self.tag) == "SQ")


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that a data set breaks.

    Parameters
    ----------
    tag : int
        The attribute.
    kind : str
        ``missing``, ``empty``, ``not allowed`` or ``invalid``.
    """

    tag: int
    kind: str

    def __str__(self) -> str:
        return f"{keyword_for_tag(self.tag) or f'{self.tag:08X}'} {self.kind}"


_STEP_REFERENCE = (
    Rule(0x0020_000D, "1", "-"),  # Study Instance UID
    Rule(0x0008_1110, "2", "-"),  # Referenced Study Sequence
    Rule(0x0008_0050, "2", "-"),  # Accession Number
    Rule(0x0040_1001, "2", "-"),  # Requested Procedure ID
    Rule(0x0032_1060, "2", "-"),  # Requested Procedure Description
    Rule(0x0040_0009, "2", "-"),  # Scheduled Procedure Step ID
    Rule(0x0040_0007, "2", "-"),  # Scheduled Procedure Step Description
    Rule(0x0040_0008, "2", "-"),  # Scheduled Protocol Code Sequence
)
_SERIES = (
    Rule(0x0020_000E, "1", "1"),  # Series Instance UID
    Rule(0x0018_1030, "1", "1"),  # Protocol Name
    Rule(0x0008_1050, "2", "2"),  # Performing Physician's Name
    Rule(0x0008_1070, "2", "2"),  # Operators' Name
    Rule(0x0008_103E, "2", "2"),  # Series Description
    Rule(0x0008_0054, "2", "2"),  # Retrieve AE Title
    Rule(0x0008_1140, "2", "2"),  # Referenced Image Sequence
    Rule(0x0040_0220, "2", "2"),  # Referenced Non-Image Composite SOP Instance Sequence
)

STATUS = 0x0040_0252

RULES: tuple[Rule, ...] = (
    # Performed Procedure Step Relationship
    Rule(0x0040_0270, "1", "-", _STEP_REFERENCE),  # Scheduled Step Attributes Sequence
    Rule(0x0010_0010, "2", "-"),  # Patient's Name
    Rule(0x0010_0020, "2", "-"),  # Patient ID
    Rule(0x0010_0030, "2", "-"),  # Patient's Birth Date
    Rule(0x0010_0040, "2", "-"),  # Patient's Sex
    Rule(0x0008_1120, "2", "-"),  # Referenced Patient Sequence
    Rule(0x0010_0021, "3", "-"),  # Issuer of Patient ID
    Rule(0x0010_1002, "3", "-"),  # Other Patient IDs Sequence
    Rule(0x0038_0010, "3", "-"),  # Admission ID
    Rule(0x0038_0060, "3", "-"),  # Service Episode ID
    # Performed Procedure Step Information
    Rule(0x0040_0253, "1", "-"),  # Performed Procedure Step ID
    Rule(0x0040_0241, "1", "-"),  # Performed Station AE Title
    Rule(0x0040_0242, "2", "-"),  # Performed Station Name
    Rule(0x0040_0243, "2", "-"),  # Performed Location
    Rule(0x0040_0244, "1", "-"),  # Performed Procedure Step Start Date
    Rule(0x0040_0245, "1", "-"),  # Performed Procedure Step Start Time
    Rule(STATUS, "1", "1"),  # at N-SET type 3, but never empty when it is there
    Rule(0x0040_0254, "2", "3"),  # Performed Procedure Step Description
    Rule(0x0040_0255, "2", "3"),  # Performed Procedure Type Description
    Rule(0x0008_1032, "2", "3"),  # Procedure Code Sequence
    Rule(0x0040_0250, "2", "3"),  # Performed Procedure Step End Date
    Rule(0x0040_0251, "2", "3"),  # Performed Procedure Step End Time
    # Image Acquisition Results
    Rule(0x0008_0060, "1", "-"),  # Modality
    Rule(0x0020_0010, "2", "-"),  # Study ID
    Rule(0x0040_0260, "2", "3"),  # Performed Protocol Code Sequence
    Rule(0x0040_0340, "2", "3", _SERIES),  # Performed Series Sequence
)

_AT_CREATE, _AT_SET = attrgetter("create"), attrgetter("set")

FINAL: tuple[int, ...] = (0x0040_0250, 0x0040_0251, 0x0040_0340)
"""Must have a value in a final state (F.7.2.2.2); this binds the scanner, so it is only noted."""


def check_create(attributes: Attributes) -> list[Violation]:
    """Rules that the attribute list of an N-CREATE breaks."""
    return _broken(RULES, attributes, _AT_CREATE)


def check_set(attributes: Attributes) -> list[Violation]:
    """Rules that the modification list of an N-SET breaks; absent attributes stay as they are."""
    return _broken([rule for rule in RULES if rule.key in attributes], attributes, _AT_SET)


def missing_at_the_end(attributes: Attributes) -> list[Violation]:
    """What a completed or discontinued step lacks (F.7.2.2.2)."""
    return [
        Violation(tag, "empty in a final state")
        for tag in FINAL
        if not has_value(attributes, f"{tag:08X}")
    ]


def has_value(attributes: Attributes, key: str) -> bool:
    """Whether an attribute is there and not empty; a sequence without items is empty."""
    entry = attributes.get(key, {})
    return bool("InlineBinary" in entry or entry.get("Value"))


def _broken(
    rules: Iterable[Rule], attributes: Attributes, kind_of: Callable[[Rule], str]
) -> list[Violation]:
    """Which of these rules a data set, or an item of a sequence, breaks."""
    broken: list[Violation] = []
    for rule in rules:
        kind = kind_of(rule)
        if rule.key not in attributes:
            # An absent type 2 sequence says what an empty one says, and most consoles leave out
            # those that point at retired SOP classes.
            if kind == "1" or (kind == "2" and not rule.is_sequence):
                broken.append(Violation(rule.tag, "missing"))
        elif kind == "-":
            broken.append(Violation(rule.tag, "not allowed"))
        elif kind == "1" and not has_value(attributes, rule.key):
            broken.append(Violation(rule.tag, "empty"))
        elif rule.items:
            for item in attributes[rule.key].get("Value") or ():
                broken += _broken(rule.items, item, kind_of)
    return broken
