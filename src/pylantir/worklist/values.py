"""Values and their representations: what may stand in an attribute (PS3.5 section 6.2).

Each parser takes what people, sources and files give and returns the one canonical form, or
raises :class:`ValueError` with what was expected. What has passed here can be sent to a scanner.
"""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from pylantir import clock

MAX_CHARACTERS = {
    "AE": 16,
    "CS": 16,
    "SH": 16,
    "LO": 64,
    "ST": 1024,
    "LT": 10240,
    "UT": 65535,
    "UC": 65535,
}
"""Longest value in characters (not bytes), PS3.5 Table 6.2-1. UT and UC are bounded by us."""

_POUNDS_PER_KILOGRAM = Decimal("2.2046226218")
_WEIGHT_KG = (Decimal("0.2"), Decimal(650))
_SIZE_M = (Decimal("0.2"), Decimal(3))
_CS = re.compile(r"[A-Z0-9_ ]+")
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")
_QUANTITY = re.compile(r"\s*([0-9]+(?:[.,][0-9]+)?)\s*([A-Za-z]*)\.?\s*")


@dataclass(frozen=True, slots=True)
class Code:
    """One item of a code sequence (PS3.3 section 8.8).

    Parameters
    ----------
    value, scheme : str
        Code Value and Coding Scheme Designator, both required, up to 16 characters.
    meaning : str
        Code Meaning, up to 64 characters; may be empty.
    version : str
        Coding Scheme Version; may be empty.
    """

    value: str
    scheme: str
    meaning: str = ""
    version: str = ""


def text(value: str, vr: str) -> str:
    """Text without its insignificant spaces, checked for length and characters.

    Raises
    ------
    ValueError
        Too long, holds a control character, a backslash, or a character its VR does not have.
    """
    value = unicodedata.normalize("NFC", value)
    long_text = vr in ("ST", "LT", "UT")
    value = value.rstrip(" \0") if long_text or vr == "UC" else value.strip(" \0")
    allowed_controls = "\r\n\t\f" if long_text else ""
    _refuse_bad_characters(value, allowed_controls)
    if "\\" in value and not long_text:
        raise ValueError("expected no backslash (it separates values in DICOM)")
    if vr == "CS":
        value = value.upper()
        if value and not _CS.fullmatch(value):
            raise ValueError("expected only A-Z, 0-9, space and underscore")
    if vr == "AE" and not value.isascii():
        raise ValueError("expected only ASCII characters in an AE title")
    limit = MAX_CHARACTERS.get(vr)
    if limit is not None and len(value) > limit:
        raise ValueError(f"expected at most {limit} characters, got {len(value)}")
    return value


def _refuse_bad_characters(value: str, allowed_controls: str) -> None:
    for character in value:
        category = unicodedata.category(character)
        if category == "Cc" and character not in allowed_controls:
            raise ValueError(f"expected no control character (U+{ord(character):04X})")
        if category == "Cs" or character == "\ufffd":
            raise ValueError(
                "expected readable text, found a character that an earlier wrong decoding left "
                f"behind (U+{ord(character):04X})"
            )


def person_name(value: str) -> str:
    """A person name: up to three groups of up to five components (PS3.5 section 6.2.1.1).

    Raises
    ------
    ValueError
        Too many groups or components, or a group longer than 64 characters.
    """
    value = text(value, "PN")
    groups = value.split("=")
    if len(groups) > 3:
        raise ValueError("expected at most three groups separated by '='")
    cleaned = []
    for group in groups:
        components = [part.strip() for part in group.split("^")]
        if len(components) > 5:
            raise ValueError("expected at most five components separated by '^'")
        group = "^".join(components).rstrip("^")
        if len(group) > 64:
            raise ValueError(f"expected at most 64 characters in a name, got {len(group)}")
        cleaned.append(group)
    return "=".join(cleaned).rstrip("=")


def uid(value: str) -> str:
    """A unique identifier of at most 64 characters (PS3.5 section 9.1).

    Raises
    ------
    ValueError
        Not digits and dots, a component with a leading zero, or too long.
    """
    value = value.strip(" \0")
    if not value:
        return ""
    if len(value) > 64 or not _UID.fullmatch(value):
        raise ValueError("expected a UID: digits and dots, no leading zeros, at most 64 characters")
    return value


def date(value: object) -> dt.date | None:
    """A calendar day, or nothing when empty."""
    if isinstance(value, dt.datetime):
        return value.date()
    if isinstance(value, dt.date):
        return value
    stripped = _as_text(value)
    return clock.parse_date(stripped) if stripped else None


def time(value: object) -> dt.time | None:
    """A time of day, or nothing when empty."""
    if isinstance(value, dt.datetime):
        return value.time()
    if isinstance(value, dt.time):
        return value
    stripped = _as_text(value)
    return clock.parse_time(stripped) if stripped else None


def decimal(value: object) -> Decimal | None:
    """A decimal number that fits DS (16 characters), or nothing when empty.

    Raises
    ------
    ValueError
        Not a finite number.
    """
    shown = _as_text(value)
    if not shown:
        return None
    try:
        number = Decimal(shown)
    except InvalidOperation:
        raise ValueError("expected a number") from None
    if not number.is_finite():
        raise ValueError("expected a finite number")
    return number


def weight_kg(value: object, default_unit: str = "kg") -> Decimal | None:
    """Body weight in kilograms, rounded to 10 g; a unit in the text beats the default one.

    Raises
    ------
    ValueError
        Not a weight, an unknown unit, or outside 0.2 to 650 kg.
    """
    amount, unit = _quantity(value, default_unit, "a weight such as 72.5 or 160 lb")
    if amount is None:
        return None
    if unit in ("lb", "lbs", "pound", "pounds"):
        amount /= _POUNDS_PER_KILOGRAM
    elif unit in ("g", "gram", "grams"):
        amount /= 1000
    elif unit not in ("kg", "kgs", "kilogram", "kilograms"):
        raise ValueError("expected a weight in kg or lb")
    return _within(amount, _WEIGHT_KG, "kg")


def size_m(value: object) -> Decimal | None:
    """Body size in metres; centimetres are accepted when the text says so."""
    amount, unit = _quantity(value, "m", "a size such as 1.72")
    if amount is None:
        return None
    if unit == "cm":
        amount /= 100
    elif unit != "m":
        raise ValueError("expected a size in m or cm")
    return _within(amount, _SIZE_M, "m")


def _quantity(value: object, default_unit: str, expected: str) -> tuple[Decimal | None, str]:
    shown = _as_text(value)
    if not shown:
        return None, default_unit
    match = _QUANTITY.fullmatch(shown)
    if match is None:
        raise ValueError(f"expected {expected}")
    return Decimal(match[1].replace(",", ".")), (match[2] or default_unit).lower()


def _within(amount: Decimal, bounds: tuple[Decimal, Decimal], unit: str) -> Decimal:
    if not bounds[0] <= amount <= bounds[1]:
        raise ValueError(f"expected between {bounds[0]} and {bounds[1]} {unit}")
    rounded = amount.quantize(Decimal("0.01")).normalize()
    return rounded.quantize(Decimal(1)) if rounded == rounded.to_integral() else rounded


def pounds(kilograms: Decimal) -> str:
    """A weight in kilograms as pounds with one decimal, for clients that expect pounds."""
    return f"{(kilograms * _POUNDS_PER_KILOGRAM).quantize(Decimal('0.1'))}"


_SEX = {
    **dict.fromkeys(("M", "MALE"), "M"),
    **dict.fromkeys(("F", "FEMALE"), "F"),
    **dict.fromkeys(("O", "OTHER", "NON-BINARY", "NONBINARY", "X"), "O"),
    **dict.fromkeys(("", "U", "UNKNOWN", "N/A"), ""),
}


def patient_sex(value: object) -> str:
    """Patient's Sex: M, F, O, or empty when unknown (PS3.3 C.2.2)."""
    try:
        return _SEX[_as_text(value).upper()]
    except KeyError:
        raise ValueError("expected M, F, O, or empty when unknown") from None


def pregnancy_status(value: object) -> int | None:
    """Pregnancy Status: 1 no, 2 possibly, 3 definitely, 4 unknown (PS3.3 C.2.4)."""
    shown = _as_text(value)
    if not shown:
        return None
    if shown not in ("1", "2", "3", "4"):
        raise ValueError("expected 1 (no), 2 (possibly), 3 (definitely) or 4 (unknown)")
    return int(shown)


def codes(value: object) -> tuple[Code, ...]:
    """Code sequence items from mappings with value, scheme, meaning, version (or DICOM keywords).

    Raises
    ------
    ValueError
        Not a list of codes, or a code without value or scheme.
    """
    if value is None or value == "":
        return ()
    if isinstance(value, Code | Mapping):
        value = [value]
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise ValueError("expected a list of codes, each with value, scheme and meaning")
    return tuple(_code(item) for item in value)


_CODE_FIELDS = (
    ("value", "CodeValue", "SH"),
    ("scheme", "CodingSchemeDesignator", "SH"),
    ("meaning", "CodeMeaning", "LO"),
    ("version", "CodingSchemeVersion", "SH"),
)


def _code(item: object) -> Code:
    if isinstance(item, Code):
        item = {name: getattr(item, name) for name, _, _ in _CODE_FIELDS}
    if not isinstance(item, Mapping):
        raise ValueError("expected a code with value, scheme and meaning")
    known = {name for names in _CODE_FIELDS for name in names[:2]}
    for key in item:
        if key not in known:
            raise ValueError(f"expected value, scheme, meaning or version in a code, got {key!r}")
    parts: dict[str, str] = {}
    for name, keyword, vr in _CODE_FIELDS:
        try:
            parts[name] = text(_as_text(item.get(name, item.get(keyword, ""))), vr)
        except ValueError as error:
            raise ValueError(f"code {name}: {error}") from None
    if not parts["value"] or not parts["scheme"]:
        raise ValueError("expected a code with a value and a coding scheme designator")
    return Code(**parts)


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip(" \0\t\r\n")


Parser = Callable[[Any], Any]


def parser_for(name: str, vr: str, *, multiple: bool) -> Parser:
    """The parser of an item field: the field's own where its meaning asks for more than its VR."""
    special = _BY_FIELD.get(name)
    if special is not None:
        return special
    single = _BY_VR.get(vr)
    if single is None:
        single = _text_parser(vr)
    return _many(single) if multiple else single


def _text_parser(vr: str) -> Parser:
    return lambda value: text("" if value is None else str(value), vr)


def _many(single: Parser) -> Parser:
    def parse(value: object) -> tuple[Any, ...]:
        if value is None:
            return ()
        if isinstance(value, str):
            value = value.split("\\")
        if not isinstance(value, Sequence):
            raise ValueError("expected one value or a list of values")
        return tuple(parsed for item in value if (parsed := single(item)) not in (None, ""))

    return parse


def _integer(low: int, high: int) -> Parser:
    def parse(value: object) -> int | None:
        shown = _as_text(value)
        if not shown:
            return None
        if not re.fullmatch(r"[+-]?[0-9]{1,11}", shown) or not low <= int(shown) <= high:
            raise ValueError(f"expected a whole number between {low} and {high}")
        return int(shown)

    return parse


_PRIORITIES = {"STAT", "HIGH", "ROUTINE", "MEDIUM", "LOW"}


def _priority(value: object) -> str:
    shown = text(_as_text(value), "SH")
    return shown.upper() if shown.upper() in _PRIORITIES else shown


_BY_VR: dict[str, Parser] = {
    "PN": lambda value: person_name("" if value is None else str(value)),
    "UI": lambda value: uid("" if value is None else str(value)),
    "DA": date,
    "TM": time,
    "DS": decimal,
    "IS": _integer(-(2**31), 2**31 - 1),
    "US": _integer(0, 2**16 - 1),
    "UL": _integer(0, 2**32 - 1),
    "SS": _integer(-(2**15), 2**15 - 1),
    "SL": _integer(-(2**31), 2**31 - 1),
    "SQ": codes,
}
_BY_FIELD: dict[str, Parser] = {
    "patient_weight_kg": weight_kg,
    "patient_size_m": size_m,
    "patient_sex": patient_sex,
    "pregnancy_status": pregnancy_status,
    "requested_procedure_priority": _priority,
}
