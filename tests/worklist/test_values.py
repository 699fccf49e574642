"""Values and their representations (PS3.5 section 6.2)."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pylantir.worklist.values import (
    Code,
    codes,
    decimal,
    parser_for,
    patient_sex,
    person_name,
    pounds,
    pregnancy_status,
    size_m,
    text,
    uid,
    weight_kg,
)


def parse(vr: str, value: object, *, multiple: bool = False) -> Any:
    return parser_for("", vr, multiple=multiple)(value)


@pytest.mark.parametrize(
    ("vr", "limit"), [("AE", 16), ("CS", 16), ("SH", 16), ("LO", 64), ("ST", 1024), ("LT", 10240)]
)
def test_a_text_may_be_as_long_as_its_vr_allows_in_characters(vr: str, limit: int) -> None:
    letter = "A" if vr in ("AE", "CS") else "ü"
    assert text(letter * limit, vr) == letter * limit
    with pytest.raises(ValueError, match=f"at most {limit} characters, got {limit + 1}"):
        text(letter * (limit + 1), vr)


def test_length_is_counted_after_composing() -> None:
    assert text("u\u0308" * 16, "SH") == "ü" * 16


@pytest.mark.parametrize("vr", ["AE", "CS", "SH", "LO"])
def test_leading_and_trailing_spaces_are_insignificant(vr: str) -> None:
    assert text("  A  B \0", vr) == "A  B"


def test_leading_spaces_of_a_long_text_count() -> None:
    assert text("  A  ", "LT") == "  A"


@pytest.mark.parametrize("vr", ["AE", "CS", "SH", "LO", "PN"])
@pytest.mark.parametrize("bad", ["A\\B", "A\nB", "A\x1bB", "A\tB", "A\x7fB", "A\x85B"])
def test_backslash_and_controls_are_refused(vr: str, bad: str) -> None:
    with pytest.raises(ValueError, match="expected no"):
        text(bad, vr)


def test_a_long_text_may_have_lines() -> None:
    assert text("one\r\ntwo\tthree \\ four", "LT") == "one\r\ntwo\tthree \\ four"
    with pytest.raises(ValueError, match=r"U\+001B"):
        text("one\x1btwo", "LT")


def test_text_that_was_decoded_wrongly_before_is_refused() -> None:
    for bad in ("M\ufffdller", "M" + chr(0xD83D) + "ller"):
        with pytest.raises(ValueError, match="wrong decoding"):
            text(bad, "LO")


def test_a_code_string_is_upper_case_letters_digits_space_and_underscore() -> None:
    assert text("mr_1 a", "CS") == "MR_1 A"
    for bad in ("M-R", "MÄ", "A.B", "*", "straße", "ﬁ"):
        with pytest.raises(ValueError, match="A-Z"):
            text(bad, "CS")


def test_an_ae_title_is_ascii() -> None:
    assert text(" MR 1 ", "AE") == "MR 1"
    with pytest.raises(ValueError, match="ASCII"):
        text("MRÜ", "AE")


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Doe^Jane", "Doe^Jane"),
        (" Doe ^ Jane ^^^ ", "Doe^Jane"),
        ("Doe^Jane^A^Dr^MD", "Doe^Jane^A^Dr^MD"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada^Tarou=山田^太郎=やまだ^たろう"),
        ("=山田^太郎", "=山田^太郎"),
        ("Doe==", "Doe"),
        ("^Jane", "^Jane"),
        ("^^^^", ""),
        ("Mu\u0308ller", "Müller"),
        ("A" * 64 + "=" + "山" * 64, "A" * 64 + "=" + "山" * 64),
    ],
)
def test_a_person_name_is_made_of_groups_and_components(raw: str, name: str) -> None:
    assert person_name(raw) == name


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("a=b=c=d", "three groups"),
        ("a^b^c^d^e^f", "five components"),
        ("A" * 65, "64 characters"),
        ("a=" + "A" * 65, "64 characters"),
        ("A\\B", "backslash"),
    ],
)
def test_what_is_no_person_name_is_refused(bad: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        person_name(bad)


@pytest.mark.parametrize("raw", ["1.2.840.1", "2.25.0", "1.0.3\0", " 1.2 ", "1." + "2" * 62])
def test_a_uid_is_digits_and_dots(raw: str) -> None:
    assert uid(raw) == raw.strip(" \0")


@pytest.mark.parametrize(
    "bad",
    ["1", "1.", ".1", "1..2", "1.02", "01.2", "1.2a", "1.-2", "1.2 3", "1.²", "1." + "2" * 63],
)
def test_what_is_no_uid_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="expected a UID"):
        uid(bad)


def test_days_and_times_are_read_from_what_sources_give() -> None:
    day, time = dt.date(2025, 7, 7), dt.time(8, 30)
    for raw in (day, dt.datetime(2025, 7, 7, 8, 30), "20250707", " 2025-07-07 ", 20250707.0):
        assert parse("DA", raw) == day
    for raw in (time, dt.datetime(2025, 7, 7, 8, 30), "0830", "08:30", " 08:30:00 "):
        assert parse("TM", raw) == time
    assert parse("DA", "") is None
    assert parse("TM", None) is None


@pytest.mark.parametrize(
    ("raw", "number"),
    [
        ("72.50", "72.50"),
        (72.5, "72.5"),
        (72, "72"),
        ("-1e3", "-1E+3"),
        (" 1 ", "1"),
        ("1_0", None),
    ],
)
def test_a_decimal_is_a_finite_number(raw: object, number: str | None) -> None:
    if number is None:
        with pytest.raises(ValueError, match="expected a number"):
            decimal(raw)
    else:
        assert decimal(raw) == Decimal(number)


@pytest.mark.parametrize("bad", ["abc", "1,5", "0x10", "٣", "--1", "inf", "NaN", "1e999999999999"])
def test_what_is_no_finite_number_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="number"):
        decimal(bad)


@pytest.mark.parametrize(
    ("raw", "sent"),
    [
        ("72.123456789012345", "72.1234567890123"),
        ("-72.123456789012345", "-72.123456789012"),
        ("0.00000000000000012345678901234567", "1.2345678901E-16"),
        ("123456789012345678901234567890", "1.2345678901E+29"),
        ("9999999999999999.9", "1E+16"),
        ("0.30000000000000004", "0.3"),
    ],
)
def test_a_decimal_is_rounded_to_what_a_scanner_can_be_sent(raw: str, sent: str) -> None:
    assert str(decimal(raw)) == sent
    assert len(sent) <= 16


@given(st.floats(allow_nan=False, allow_infinity=False).map(Decimal) | st.decimals(-100, 100))
def test_a_decimal_fits_its_16_characters_and_keeps_its_value(number: Decimal) -> None:
    assume(not number or abs(number.adjusted()) <= 300)
    read = decimal(str(number))
    assert read is not None
    assert len(str(read)) <= 16
    assert abs(read - number) <= abs(number) * Decimal("1e-6")
    assert decimal(str(read)) == read


@pytest.mark.parametrize(
    ("raw", "kilograms"),
    [
        (72.5, "72.5"),
        ("72,5", "72.5"),
        ("72.123456789", "72.12"),
        (70.0, "70"),
        ("100", "100"),
        ("160 lb", "72.57"),
        ("160lbs.", "72.57"),
        ("160 Pounds", "72.57"),
        ("72 KG", "72"),
        ("3500 g", "3.5"),
        ("0.2", "0.2"),
        (650, "650"),
    ],
)
def test_a_weight_becomes_kilograms(raw: object, kilograms: str) -> None:
    assert str(weight_kg(raw)) == kilograms


def test_a_source_may_give_pounds() -> None:
    assert weight_kg("160", default_unit="lb") == Decimal("72.57")
    assert weight_kg("72 kg", default_unit="lb") == Decimal(72)
    assert weight_kg("", default_unit="lb") is None
    assert pounds(Decimal("72.57")) == "160.0"


@given(st.decimals(min_value=1, max_value=1400, places=1))
def test_pounds_survive_kilograms(raw: Decimal) -> None:
    kilograms = weight_kg(str(raw), default_unit="lb")
    assert kilograms is not None
    assert abs(Decimal(pounds(kilograms)) - raw) <= Decimal("0.1")


@pytest.mark.parametrize("bad", ["0", "0.1", "651", "-70", "heavy", "70 st", "1e2", "7 0"])
def test_what_is_no_weight_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        weight_kg(bad)


@pytest.mark.parametrize(
    ("raw", "metres"), [("1.72", "1.72"), ("172 cm", "1.72"), ("172.4cm", "1.72"), ("2 m", "2")]
)
def test_a_size_becomes_metres(raw: str, metres: str) -> None:
    assert str(size_m(raw)) == metres


@pytest.mark.parametrize("bad", ["172", "0.1", "5 ft", "tall"])
def test_what_is_no_size_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        size_m(bad)


@pytest.mark.parametrize(
    ("raw", "sex"),
    [("m", "M"), ("Female", "F"), ("other", "O"), ("", ""), ("unknown", ""), (None, "")],
)
def test_sex_is_m_f_o_or_empty(raw: object, sex: str) -> None:
    assert patient_sex(raw) == sex


@pytest.mark.parametrize("bad", ["1", "W", "MF"])
def test_another_sex_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match="M, F, O"):
        patient_sex(bad)


def test_pregnancy_status_is_one_to_four() -> None:
    assert [pregnancy_status(v) for v in ("", None, 1, "4", 2.0)] == [None, None, 1, 4, 2]
    for bad in ("0", "5", "no", "1.5"):
        with pytest.raises(ValueError, match="definitely"):
            pregnancy_status(bad)


def test_priorities_are_upper_case_and_other_words_are_kept() -> None:
    read = parser_for("requested_procedure_priority", "SH", multiple=False)
    assert [read(v) for v in ("stat", "Routine", "On call", "")] == [
        "STAT",
        "ROUTINE",
        "On call",
        "",
    ]


def test_codes_are_read_from_mappings_and_dicom_keywords() -> None:
    brain = Code("12738006", "SCT", "Brain")
    spelled = {
        "CodeValue": "12738006",
        "CodingSchemeDesignator": "SCT",
        "CodeMeaning": "Brain",
    }
    short = {"value": 12738006, "scheme": "SCT", "meaning": "Brain"}
    for raw in (brain, [brain], short, [short], (spelled,)):
        assert codes(raw) == (brain,)
    assert codes(None) == codes("") == codes([]) == ()
    assert codes([{**short, "version": "2025"}])[0].version == "2025"


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ("BRAIN", "list of codes"),
        (5, "list of codes"),
        (["BRAIN"], "a code with value"),
        ([{"value": "1"}], "scheme"),
        ([{"scheme": "99X"}], "value"),
        ([{"value": "1", "scheme": "99X", "color": "red"}], "color"),
        ([{"value": "1" * 17, "scheme": "99X"}], "code value: expected at most 16"),
        ([{"value": "1", "scheme": "99X", "meaning": "a\\b"}], "code meaning"),
    ],
)
def test_what_is_no_code_is_refused(bad: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        codes(bad)


def test_several_values_come_as_a_list_or_with_backslashes() -> None:
    for raw in ("MR1\\MR2", ["MR1", "MR2"], (" MR1 ", "", None, "MR2"), "\\MR1\\\\MR2"):
        assert parse("AE", raw, multiple=True) == ("MR1", "MR2")
    assert parse("AE", None, multiple=True) == parse("AE", "", multiple=True) == ()
    assert parse("IS", [1, "2"], multiple=True) == (1, 2)


def test_one_value_that_is_no_text_is_a_list_of_one() -> None:
    assert parse("DS", 1.5, multiple=True) == (Decimal("1.5"),)
    assert parse("IS", 5, multiple=True) == (5,)


@pytest.mark.parametrize(
    ("vr", "good", "bad"),
    [
        ("US", (0, "65535"), (-1, 65536, "1.5", "x")),
        ("SS", (-32768, "32767"), (-32769, 32768)),
        ("UL", (0, 4294967295), (-1, 4294967296)),
        ("SL", (-2147483648,), (2147483648,)),
        ("IS", ("-2147483648", "+7"), (2147483648, "1e3", "1" * 13)),
        ("UV", (0, 2**64 - 1), (-1, 2**64)),
        ("SV", (-(2**63), 2**63 - 1), (2**63,)),
    ],
)
def test_a_whole_number_has_the_range_of_its_vr(
    vr: str, good: tuple[object, ...], bad: tuple[object, ...]
) -> None:
    assert [parse(vr, value) for value in good] == [int(str(value)) for value in good]
    for value in bad:
        with pytest.raises(ValueError, match="whole number"):
            parse(vr, value)


@pytest.mark.parametrize(
    ("vr", "good", "bad"),
    [
        ("AS", ("018M", "120Y", "003W", ""), ("18M", "018m", "018", "0180Y", "old")),
        (
            "DT",
            ("2025", "202507", "20250707083000", "20250707083000.000001-0600", "20250707+0000", ""),
            ("25", "20251301", "20250707083000.", "2025-07-07T08:30", "20250707+2500", "now"),
        ),
        (
            "UR",
            ("https://example.org/a?b=c", ""),
            ("a b", "a\\b", "http://exämple.org", "<x>"),
        ),
    ],
)
def test_other_representations_have_their_syntax(
    vr: str, good: tuple[str, ...], bad: tuple[str, ...]
) -> None:
    assert [parse(vr, value) for value in good] == list(good)
    for value in bad:
        with pytest.raises(ValueError, match="expected"):
            parse(vr, value)


@pytest.mark.parametrize("vr", ["LO", "SH", "PN", "CS", "LT", "UI", "DA", "TM", "DS", "IS"])
@pytest.mark.parametrize("bad", [{"a": 1}, ["a"], ("a",), b"a", object()])
def test_a_text_is_made_of_one_plain_value_only(vr: str, bad: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse(vr, bad)


@pytest.mark.parametrize("vr", ["LO", "SH", "PN", "LT"])
def test_a_whole_number_of_a_data_frame_has_no_decimal_point(vr: str) -> None:
    assert parse(vr, 123.0) == "123"
    assert parse(vr, 123) == "123"


@pytest.mark.parametrize("vr", ["LO", "PN", "DA", "TM", "DS", "US"])
def test_not_a_number_means_unknown(vr: str) -> None:
    assert not parse(vr, float("nan"))
