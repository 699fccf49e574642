"""Whether a data set can be written in the character set that it names (PS3.5 6.1).

pydicom puts a ``?`` where a character has no place in the Specific Character Set, and Latin-1
where no set is named. A patient's name with a ``?`` in it is another name, so it is refused here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.charset import custom_encoders, python_encoding
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.valuerep import CUSTOMIZABLE_CHARSET_VR, PersonName

from pylantir.errors import ValueProblem

_DEFAULT_REPERTOIRE = ("", "ISO_IR 6", "ISO 2022 IR 6")


def unencodable(ds: Dataset, inherited: Sequence[str] = ()) -> Iterator[ValueProblem]:
    """The values of a data set that its Specific Character Set has no bytes for."""
    named = _values(ds.get("SpecificCharacterSet")) or list(inherited)
    unknown = [name for name in named if name not in python_encoding]
    if unknown:
        reason = "expected a Specific Character Set that the standard defines"
        yield ValueProblem("SpecificCharacterSet", unknown[0], reason)
        return
    for element in ds:
        if element.VR == "SQ":
            for item in element.value or ():
                yield from unencodable(item, named)
            continue
        free_text = element.VR in CUSTOMIZABLE_CHARSET_VR
        for text in _values(element.value):
            stranger = _first_stranger(text, _encodings(named if free_text else ()))
            if stranger:
                reason = _reason(stranger, named, free_text=free_text)
                yield ValueProblem(element.keyword or str(element.tag), text, reason)


def _reason(stranger: str, named: Sequence[str], *, free_text: bool) -> str:
    if not free_text:
        return f"expected ASCII characters, {stranger!r} is none"
    where = "\\".join(named) or "ASCII, as no Specific Character Set is named"
    return f"expected characters of {where}, {stranger!r} is none (ISO_IR 192 has every character)"


def _values(value: object) -> list[str]:
    many = value if isinstance(value, list | tuple | MultiValue) else [value]
    return [str(v) for v in many if isinstance(v, str | PersonName)]


def _encodings(named: Sequence[str]) -> list[str]:
    # pydicom takes the default repertoire for Latin-1; it is ASCII (PS3.5 6.1.1).
    names = named or ("",)
    return ["ascii" if n in _DEFAULT_REPERTOIRE else python_encoding[n] for n in names]


def _first_stranger(text: str, encodings: Sequence[str]) -> str:
    for character in text:
        if not any(_has(encoding, character) for encoding in encodings):
            return character
    return ""


def _has(encoding: str, character: str) -> bool:
    try:
        if encoding in custom_encoders:
            custom_encoders[encoding](character)
        else:
            character.encode(encoding)
    except UnicodeError:
        return False
    return True
