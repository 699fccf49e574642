"""Specific Character Set (PS3.3 C.12.1.1.2, PS3.5 6.1): decoding keys, choosing for answers.

Both sides are compared as Unicode. An answer is never written in a character set that cannot hold
it: pydicom would put ``?`` there and only warn.
"""

from __future__ import annotations

import contextlib
import re
import threading
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from pydicom.charset import (
    convert_encodings,
    custom_encoders,
    decode_bytes,
    encode_string,
    python_encoding,
)

if TYPE_CHECKING:
    from pylantir.dicom.elements import Element

Terms = tuple[str, ...]
"""Values of Specific Character Set, in order; none for the default repertoire (ASCII)."""

ASCII: Terms = ()
UTF_8: Terms = ("ISO_IR 192",)

_CHARACTER_SET = 0x0008_0005
_DEFAULT_TERMS = ("", "ISO_IR 6", "ISO 2022 IR 6")
_TEXT_DELIMITERS = {0x0D, 0x0A, 0x09, 0x0C, ord("\\")}
_NAME_DELIMITERS = {*_TEXT_DELIMITERS, ord("^"), ord("=")}
_GB_2312, _GB_2312_ESCAPE = "iso_ir_58", "\x1b$)A"
_BETWEEN_NAME_PARTS = re.compile("[=^]")

_quiet = threading.RLock()


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Let pydicom look at bytes it cannot decode without a word on standard error.

    It reports them by warnings only; silencing those is process-wide for as long as it lasts,
    hence the lock. Callers check the result themselves.
    """
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parse_terms(value: str) -> Terms:
    """Terms of a Specific Character Set value, known ones only; ``\\`` separates several."""
    terms = tuple(dict.fromkeys(term.strip(" \0") for term in value.split("\\")))
    if not any(terms):
        return ASCII
    known = tuple(term for term in terms if term in python_encoding)
    return ASCII if all(term in _DEFAULT_TERMS for term in known) else known


def terms_of(elements: Iterable[Element], default: Terms = ASCII) -> Terms:
    """Terms of the Specific Character Set of a data set, or those of the data set around it."""
    for element in elements:
        if element.tag == _CHARACTER_SET:
            return parse_terms(element.value.decode("ascii", errors="replace"))
    return default


def is_known(value: str) -> bool:
    """Whether every term of a Specific Character Set value is a defined one."""
    return all(term.strip() in python_encoding for term in value.split("\\"))


def decode(raw: bytes, terms: Terms, vr: str) -> str:
    """Text of an encoded value; what cannot be decoded becomes U+FFFD, which matches nothing."""
    if raw.isascii() and b"\x1b" not in raw and _is_ascii_superset(terms):
        return raw.decode("ascii")
    encodings = python_encodings(terms)
    if b"\x1b" not in raw:
        return raw.decode(encodings[0], errors="replace")
    delimiters = _NAME_DELIMITERS if vr == "PN" else _TEXT_DELIMITERS
    with quietly():
        try:
            text = decode_bytes(raw, list(encodings), delimiters)
        except (LookupError, ValueError):
            return raw.decode("ascii", errors="replace")
    if _GB_2312 in encodings:
        text = text.replace(_GB_2312_ESCAPE, "")  # pydicom leaves it standing in the text
    return text.replace("\x1b", "\ufffd")  # what is left of an escape sequence nobody knows


def choose(texts: Iterable[str], asked: Terms, preferred: Terms) -> Terms:
    """The character set of an answer.

    Parameters
    ----------
    texts : iterable of str
        Everything the answer says in a VR that Specific Character Set governs.
    asked : Terms
        The request's own character set.
    preferred : Terms
        What the scanner's profile asks for; empty for no preference.

    Returns
    -------
    Terms
        None when everything is ASCII, else the preferred set, else the request's, else UTF-8:
        the first that holds every character.
    """
    beyond_ascii = [text for text in texts if not text.isascii()]
    if not beyond_ascii:
        return ASCII
    for terms in (preferred, asked):
        if terms and all(holds(terms, text) for text in beyond_ascii):
            return terms
    return UTF_8


@lru_cache(maxsize=4096)
def holds(terms: Terms, text: str) -> bool:
    """Whether a text survives being encoded in a character set and decoded again."""
    encodings = python_encodings(terms)
    if len(terms) == 1 and encodings[0] not in custom_encoders:
        return _encodable(text, encodings[0])
    if terms[0] in _DEFAULT_TERMS and any("\x80" <= character <= "\xff" for character in text):
        return False  # pydicom takes the default repertoire for Latin-1, and no scanner does
    # A name is encoded part by part, any other text as a whole; either may be meant.
    whole = _survives(text, encodings, _TEXT_DELIMITERS)
    parts = _BETWEEN_NAME_PARTS.split(text)
    return whole and all(_survives(part, encodings, _NAME_DELIMITERS) for part in parts)


def _survives(text: str, encodings: tuple[str, ...], delimiters: set[int]) -> bool:
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            encoded = encode_string(text, list(encodings))
            return decode_bytes(encoded, list(encodings), delimiters) == text
        except (LookupError, ValueError, Warning):
            return False


@lru_cache(maxsize=256)
def python_encodings(terms: Terms) -> tuple[str, ...]:
    """Python's names of the character sets, those that may not stand together left out."""
    if not terms:
        return ("latin_1",)  # consoles that name no set and still send accents mean this one
    with quietly():
        return tuple(convert_encodings(list(terms)))


def _is_ascii_superset(terms: Terms) -> bool:
    return not terms or terms[0] not in ("ISO_IR 13", "ISO 2022 IR 13")


def _encodable(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeError:
        return False
    return True
