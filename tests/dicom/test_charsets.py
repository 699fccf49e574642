"""Specific Character Set: decoding keys, choosing one for answers (PS3.5 6.1, PS3.3 C.12.1.1.2)."""

from __future__ import annotations

import warnings

import pytest
from pydicom.charset import python_encoding
from pydicom.dataset import Dataset
from tests.dicom import modality
from tests.dicom.modality import encode

from pylantir.dicom import charsets
from pylantir.dicom.charsets import ASCII, UTF_8, choose, decode, holds, is_known, parse_terms
from pylantir.dicom.elements import Encoding, read_elements

LATIN_1 = ("ISO_IR 100",)
JAPANESE = ("", "ISO 2022 IR 87")
KOREAN = ("", "ISO 2022 IR 149")
CHINESE = ("", "ISO 2022 IR 58")
GB18030 = ("GB18030",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", ASCII),
        ("ISO_IR 6", ASCII),
        ("ISO 2022 IR 6", ASCII),
        ("ISO_IR 100", LATIN_1),
        (" ISO_IR 100 ", LATIN_1),
        ("\\ISO 2022 IR 87", JAPANESE),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", ("ISO 2022 IR 13", "ISO 2022 IR 87")),
        ("ISO_IR 192", UTF_8),
        ("GB18030", GB18030),
        ("UTF-8", ASCII),
        ("ISO_IR 100\\NONSENSE", LATIN_1),
    ],
)
def test_known_terms_are_kept_in_their_order(value: str, expected: charsets.Terms) -> None:
    assert parse_terms(value) == expected


def test_only_defined_terms_are_known() -> None:
    assert is_known("ISO_IR 100")
    assert is_known("\\ISO 2022 IR 87")
    assert not is_known("ISO_IR 100\\NONSENSE")


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Doe^Jane", ASCII),
        ("Müller^Zoë", LATIN_1),
        ("Müller^Zoë", UTF_8),
        ("Люкceмбypг", ("ISO_IR 144",)),
        ("Διονυσιος", ("ISO_IR 126",)),
        ("王^小东", GB18030),
        ("王^小东", ("GBK",)),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", JAPANESE),
        ("ﾔﾏﾀﾞ^ﾀﾛｳ", ("ISO_IR 13",)),
        ("Hong^Gildong=洪^吉洞=홍^길동", KOREAN),
        ("Müller", ("ISO 2022 IR 100", "ISO 2022 IR 87")),
    ],
)
def test_what_a_set_can_hold_is_read_back(text: str, terms: charsets.Terms) -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = list(terms)
    ds.PatientName = text
    (name,) = (e for e in read_elements(encode(ds), Encoding(True, True)) if e.tag == 0x00100010)
    assert decode(name.value, terms, "PN").rstrip() == text


def test_the_example_of_the_standard_for_simplified_chinese_is_read() -> None:
    """PS3.5 Annex K."""
    example = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
    assert decode(example, CHINESE, "PN") == "Zhang^XiaoDong=张^小东="


def test_a_second_byte_that_looks_like_a_delimiter_is_none() -> None:
    """In GB18030 and Shift JIS it may be a backslash, a caret or an equals sign."""
    for character in "俓俔":  # 82 5C in GBK and its neighbour
        encoded = character.encode("gb18030")
        assert decode(encoded, GB18030, "PN") == character
    assert any(0x5C in character.encode("gb18030") for character in "俓俔")


def test_bytes_that_a_set_does_not_explain_become_replacement_characters() -> None:
    assert decode(b"M\xfcller", UTF_8, "PN") == "M\ufffdller"
    assert "\ufffd" in decode(b"\x1b$B\x7f\x7f\x7f", JAPANESE, "PN")


def test_text_beyond_ascii_without_a_set_is_read_as_latin_1() -> None:
    assert decode(b"M\xfcller", ASCII, "PN") == "Müller"


def test_decoding_is_silent() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        decode(b"\x1b$Z\xfc", ("ISO 2022 IR 100", "ISO 2022 IR 87"), "PN")


# --- The set of an answer ---


@pytest.mark.parametrize(
    ("text", "asked", "preferred", "expected"),
    [
        ("Doe^Jane", ASCII, ASCII, ASCII),
        ("Doe^Jane", LATIN_1, UTF_8, ASCII),
        ("Müller", ASCII, ASCII, UTF_8),
        ("Müller", LATIN_1, ASCII, LATIN_1),
        ("Müller", UTF_8, LATIN_1, LATIN_1),
        ("Müller", JAPANESE, ASCII, UTF_8),
        ("Łukasz", LATIN_1, ASCII, UTF_8),
        ("Łukasz", LATIN_1, ("ISO_IR 101",), ("ISO_IR 101",)),
        ("山田", JAPANESE, ASCII, JAPANESE),
        ("山田", LATIN_1, JAPANESE, JAPANESE),
        ("王", GB18030, ASCII, GB18030),
        ("😀", GB18030, ASCII, GB18030),
        ("😀", JAPANESE, LATIN_1, UTF_8),
    ],
)
def test_the_first_set_that_holds_everything_is_chosen(
    text: str, asked: charsets.Terms, preferred: charsets.Terms, expected: charsets.Terms
) -> None:
    assert choose(["Doe", text], asked, preferred) == expected


def test_one_text_beyond_the_set_moves_the_whole_answer() -> None:
    assert choose(["Müller", "Łukasz"], LATIN_1, ASCII) == UTF_8


@pytest.mark.parametrize(
    ("terms", "text", "expected"),
    [
        (LATIN_1, "Müller", True),
        (LATIN_1, "Łukasz", False),
        (UTF_8, "😀", True),
        (GB18030, "😀", True),
        (("GBK",), "😀", False),
        (("ISO_IR 13",), "ﾔﾏﾀﾞ", True),
        (("ISO_IR 13",), "山田", False),  # Shift JIS has it, JIS X 0201 has not
        (("ISO_IR 13",), "¥", False),  # stands where the backslash is
        (JAPANESE, "Yamada 山田", True),
        (JAPANESE, "Müller", False),
        (JAPANESE, "20 °C", False),  # Latin-1 has it too, and pydicom would take that
        (KOREAN, "홍^길동", True),
        (KOREAN, "홍길동\r\n김철수", False),  # pydicom does not escape again in the second line
        (CHINESE, "张^小东", False),  # nor at all for this set
    ],
)
def test_a_set_holds_what_a_scanner_will_read_back(
    terms: charsets.Terms, text: str, expected: bool
) -> None:
    assert holds(terms, text) is expected


@pytest.mark.parametrize("term", sorted(term for term in python_encoding if term))
def test_whatever_a_set_is_said_to_hold_survives_pydicom(term: str) -> None:
    """Never a question mark in place of a character, which pydicom only warns about."""
    terms = (term,)
    for text in (
        "Zoë",
        "Łukasz",
        "Дмитрий",
        "Ελένη",
        "ﾔﾏﾀﾞ",
        "山田",
        "홍길동",
        "王小东",
        "ไทย",
        "¥",
    ):
        if not holds(terms, text):
            continue
        ds = Dataset()
        ds.SpecificCharacterSet = term
        ds.PatientComments = text
        assert round_trip(ds) == text


@pytest.mark.parametrize("terms", [JAPANESE, KOREAN, CHINESE, ("ISO 2022 IR 13", "ISO 2022 IR 87")])
def test_code_extensions_survive_pydicom_too(terms: charsets.Terms) -> None:
    for text in ("Zoë", "山田", "홍길동", "王小东", "ﾔﾏﾀﾞ", "Yamada", "やまだ"):
        if not holds(terms, text):
            continue
        ds = Dataset()
        ds.SpecificCharacterSet = list(terms)
        ds.PatientComments = text
        assert round_trip(ds) == text


def round_trip(ds: Dataset) -> str:
    return str(modality.decode(encode(ds)).PatientComments)
