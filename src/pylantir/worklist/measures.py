"""Plain values and quantities: one text or number as sources give it, weights and sizes."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Context, Decimal
from numbers import Number

_POUNDS_PER_KILOGRAM = Decimal("2.2046226218")
_WEIGHT_KG = (Decimal("0.2"), Decimal(650))
_SIZE_M = (Decimal("0.2"), Decimal(3))
_DS_CHARACTERS = 16
_DS_EXPONENT = 300
_DS = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_QUANTITY = re.compile(r"\s*([0-9]+(?:[.,][0-9]+)?)\s*([A-Za-z]*)\.?\s*")


def as_text(value: object) -> str:
    """One plain value as text; a number that is none, as data frames have them, is unknown."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip(" \0\t\r\n")
    if isinstance(value, Number) and not isinstance(value, bool):
        if value != value:
            return ""
        return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if isinstance(value, dt.date | dt.time):
        return str(value)
    raise ValueError("expected one plain value, a text or a number")


def raw_text(value: object) -> str:
    """One plain value as text, with the spaces of a text."""
    return value if isinstance(value, str) else as_text(value)


def decimal(value: object) -> Decimal | None:
    """A decimal number, rounded to the 16 characters of DS, or nothing when empty.

    Raises
    ------
    ValueError
        Not a finite number, or one too large or too small for a scanner to hold.
    """
    shown = as_text(value)
    if not shown:
        return None
    if not _DS.fullmatch(shown):
        raise ValueError("expected a number")
    number = Decimal(shown)
    if number and abs(number.adjusted()) > _DS_EXPONENT:
        raise ValueError(f"expected a number within 1e-{_DS_EXPONENT} and 1e{_DS_EXPONENT}")
    digits = _DS_CHARACTERS
    rounded = number
    while len(str(rounded)) > _DS_CHARACTERS:
        rounded = Context(prec=digits).normalize(number)
        digits -= 1
    return rounded


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
    shown = as_text(value)
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
