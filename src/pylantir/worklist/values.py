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
from typing import Any

from pylantir import clock
from pylantir.worklist.measures import as_text, decimal, pounds, raw_text, size_m, weight_kg

__all__ = [
    "MAX_CHARACTERS",
    "Code",
    "Parser",
    "codes",
    "date",
    "decimal",
    "parser_for",
    "patient_sex",
    "person_name",
    "pounds",
    "pregnancy_status",
    "size_m",
    "text",
    "time",
    "uid",
    "weight_kg",
]

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

_SUSPICIOUS = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffd]")
_AS = re.compile(r"[0-9]{3}[DWMY]")
_DT = re.compile(r"([0-9]{4}|[0-9]{6}|[0-9]{8}([0-9.]+)?)([+-](0[0-9]|1[0-4])[0-5][0-9])?")
_UR = re.compile(r"[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]+")
_CS = re.compile(r"[A-Z0-9_ ]+")
_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))+")


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
        value = value.upper() if value.isascii() else value
        if value and not _CS.fullmatch(value):
            raise ValueError("expected only A-Z, 0-9, space and underscore")
    if vr == "AE" and not value.isascii():
        raise ValueError("expected only ASCII characters in an AE title")
    limit = MAX_CHARACTERS.get(vr)
    if limit is not None and len(value) > limit:
        raise ValueError(f"expected at most {limit} characters, got {len(value)}")
    return value


def _refuse_bad_characters(value: str, allowed_controls: str) -> None:
    for found in _SUSPICIOUS.finditer(value):
        character = found[0]
        if character >= "\ud800":
            raise ValueError(
                "expected readable text, found a character that an earlier wrong decoding left "
                f"behind (U+{ord(character):04X})"
            )
        if character not in allowed_controls:
            raise ValueError(f"expected no control character (U+{ord(character):04X})")


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
    stripped = as_text(value)
    return clock.parse_date(stripped) if stripped else None


def time(value: object) -> dt.time | None:
    """A time of day, or nothing when empty."""
    if isinstance(value, dt.datetime):
        return value.time()
    if isinstance(value, dt.time):
        return value
    stripped = as_text(value)
    return clock.parse_time(stripped) if stripped else None


_SEX = {
    **dict.fromkeys(("M", "MALE"), "M"),
    **dict.fromkeys(("F", "FEMALE"), "F"),
    **dict.fromkeys(("O", "OTHER", "NON-BINARY", "NONBINARY", "X"), "O"),
    **dict.fromkeys(("", "U", "UNKNOWN", "N/A"), ""),
}


def patient_sex(value: object) -> str:
    """Patient's Sex: M, F, O, or empty when unknown (PS3.3 C.2.2)."""
    try:
        return _SEX[as_text(value).upper()]
    except KeyError:
        raise ValueError("expected M, F, O, or empty when unknown") from None


def pregnancy_status(value: object) -> int | None:
    """Pregnancy Status: 1 no, 2 possibly, 3 definitely, 4 unknown (PS3.3 C.2.4)."""
    shown = as_text(value)
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
            parts[name] = text(as_text(item.get(name, item.get(keyword, ""))), vr)
        except ValueError as error:
            raise ValueError(f"code {name}: {error}") from None
    if not parts["value"] or not parts["scheme"]:
        raise ValueError("expected a code with a value and a coding scheme designator")
    return Code(**parts)


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
    return lambda value: text(raw_text(value), vr)


def _many(single: Parser) -> Parser:
    def parse(value: object) -> tuple[Any, ...]:
        if isinstance(value, str):
            value = value.split("\\")
        elif not isinstance(value, Sequence) or isinstance(value, bytes):
            value = (value,)
        return tuple(parsed for item in value if (parsed := single(item)) not in (None, ""))

    return parse


def _integer(low: int, high: int) -> Parser:
    def parse(value: object) -> int | None:
        shown = as_text(value)
        if not shown:
            return None
        if not re.fullmatch(r"[+-]?[0-9]{1,20}", shown) or not low <= int(shown) <= high:
            raise ValueError(f"expected a whole number between {low} and {high}")
        return int(shown)

    return parse


def _syntax(vr: str, pattern: re.Pattern[str], expected: str) -> Parser:
    def parse(value: object) -> str:
        shown = text(raw_text(value), vr)
        if shown and not pattern.fullmatch(shown):
            raise ValueError(f"expected {expected}")
        return shown

    return parse


_DATE_TIME_SYNTAX = _syntax("DT", _DT, "a date and time as YYYYMMDDHHMMSS.FFFFFF+ZZXX")


def _date_time(value: object) -> str:
    """A date and time as a scanner gets it; what is missing at the end is unknown."""
    shown: str = _DATE_TIME_SYNTAX(value)
    moment = shown.partition("+")[0].partition("-")[0]
    day, time_of_day = moment[:8], moment[8:]
    if day:
        clock.parse_date(day + "0101"[len(day) - 4 :])
    if time_of_day:
        clock.parse_time(time_of_day)
    return shown


_PRIORITIES = {"STAT", "HIGH", "ROUTINE", "MEDIUM", "LOW"}


def _priority(value: object) -> str:
    shown = text(as_text(value), "SH")
    return shown.upper() if shown.upper() in _PRIORITIES else shown


_BY_VR: dict[str, Parser] = {
    "PN": lambda value: person_name(raw_text(value)),
    "UI": lambda value: uid(raw_text(value)),
    "AS": _syntax("AS", _AS, "an age such as 018M or 034Y"),
    "DT": _date_time,
    "UR": _syntax("UR", _UR, "a URI"),
    "DA": date,
    "TM": time,
    "DS": decimal,
    "IS": _integer(-(2**31), 2**31 - 1),
    "US": _integer(0, 2**16 - 1),
    "UL": _integer(0, 2**32 - 1),
    "SS": _integer(-(2**15), 2**15 - 1),
    "SL": _integer(-(2**31), 2**31 - 1),
    "UV": _integer(0, 2**64 - 1),
    "SV": _integer(-(2**63), 2**63 - 1),
    "SQ": codes,
}
_BY_FIELD: dict[str, Parser] = {
    "patient_weight_kg": weight_kg,
    "patient_size_m": size_m,
    "patient_sex": patient_sex,
    "pregnancy_status": pregnancy_status,
    "requested_procedure_priority": _priority,
}
