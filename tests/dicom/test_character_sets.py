"""Character sets of requests and answers, over the wire (PS3.4 C.2.2.2, K.4.1.1.3.2)."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from pydicom.dataset import Dataset
from tests.dicom.modality import Answer, encode
from tests.dicom.serving import Server, query, step_of

MakeServer = Callable[..., Server]

GERMAN = "Müller^Zoë"
POLISH = "Łukasz^Świątek"
JAPANESE = "Yamada^Tarou=山田^太郎=やまだ^たろう"
CHINESE = "王^小东"
KOREAN = "Hong^Gildong=洪^吉洞=홍^길동"
NAMES = (GERMAN, POLISH, JAPANESE, CHINESE, KOREAN, "😀^Smiling")

TWO_BYTE_JAPANESE = ["", "ISO 2022 IR 87"]
TWO_BYTE_KOREAN = ["", "ISO 2022 IR 149"]

REQUESTED: tuple[Any, ...] = (
    None,
    "",
    "ISO_IR 6",
    "ISO_IR 13",
    "ISO_IR 100",
    "ISO_IR 144",
    "ISO_IR 192",
    "GB18030",
    "GBK",
    "ISO 2022 IR 87",
    TWO_BYTE_JAPANESE,
    TWO_BYTE_KOREAN,
    ["", "ISO 2022 IR 58"],
    ["ISO 2022 IR 13", "ISO 2022 IR 87"],
    ["ISO 2022 IR 100", "ISO 2022 IR 87", "ISO 2022 IR 159"],
)


def character_set(item: Dataset) -> list[str]:
    """Specific Character Set of an answer; nothing when there is none."""
    if "SpecificCharacterSet" not in item:
        return []
    value = item.SpecificCharacterSet
    return [value] if isinstance(value, str) else list(value)


def raw_key(name: bytes, character_set: str | None = None) -> Dataset:
    """An identifier whose Patient's Name is exactly these bytes."""
    ds = query(character_set=character_set)
    ds.add_new(0x00100010, "OB", name)
    return ds


def named(character_set: str, ds: Dataset) -> bytes:
    """An identifier with a character set that pydicom would refuse to write."""
    value = character_set.encode("ascii")
    value += b" " * (len(value) % 2)
    return struct.pack("<HHI", 0x0008, 0x0005, len(value)) + value + encode(ds)


def ask(server: Server, requested: Any, **keys: Any) -> Answer:
    return server.find(query(character_set=requested, **{"PatientName": "", **keys}))


# --- Requests ---


@pytest.mark.parametrize(
    ("requested", "name"),
    [
        ("ISO_IR 100", GERMAN),
        ("ISO_IR 192", GERMAN),
        ("ISO_IR 101", POLISH),
        ("ISO_IR 192", POLISH),
        (TWO_BYTE_JAPANESE, "山田^太郎"),
        (TWO_BYTE_JAPANESE, "山田*"),
        (["ISO 2022 IR 13", "ISO 2022 IR 87"], "山田^太郎"),
        (TWO_BYTE_KOREAN, "홍^길동"),
        ("GB18030", CHINESE),
        ("GBK", CHINESE),
        ("ISO_IR 192", CHINESE),
    ],
)
def test_a_key_is_understood_in_the_set_it_is_written_in(
    server: Server, requested: Any, name: str
) -> None:
    for number, stored in enumerate(NAMES):
        server.book(str(number), patient_name=stored)
    (item,) = ask(server, requested, PatientName=name).items
    assert name.removesuffix("*").split("^")[0] in str(item.PatientName)


def test_a_key_in_utf_8_matches_an_item_that_a_latin_1_console_reads(server: Server) -> None:
    server.book("1", patient_name=GERMAN)
    for requested in ("ISO_IR 192", "ISO_IR 100"):
        (item,) = ask(server, requested, PatientName="müll*").items
        assert (str(item.PatientName), character_set(item)) == (GERMAN, [requested])


def test_accents_without_a_character_set_are_taken_for_latin_1(server: Server) -> None:
    server.book("1", patient_name=GERMAN)
    assert server.ids(raw_key("Müller*".encode("latin-1"))) == ["PID-1"]


def test_bytes_that_the_set_does_not_explain_match_nothing(server: Server) -> None:
    server.book("1", patient_name=GERMAN)
    assert server.ids(raw_key("Müller*".encode("latin-1"), "ISO_IR 192")) == []


@pytest.mark.parametrize("requested", ["UTF-8", "ISO_IR 999", "latin1", "ISO_IR 100\\X"])
def test_an_unknown_set_still_gets_the_ascii_part_matched(server: Server, requested: str) -> None:
    server.book("1", patient_name=GERMAN)
    server.book("2", patient_name="Miller^Zoe")
    assert server.ids(named(requested, query(PatientName="Miller*"))) == ["PID-2"]


def test_an_unknown_set_is_answered_in_utf_8(server: Server) -> None:
    server.book("1", patient_name=GERMAN)
    (item,) = server.find(named("ISO_IR 999", query(PatientName=""))).items
    assert (character_set(item), str(item.PatientName)) == (["ISO_IR 192"], GERMAN)


def test_a_code_extension_inside_a_sequence_is_understood(server: Server) -> None:
    server.book("1", requested_procedure_codes=[{"value": "A", "scheme": "L", "meaning": "頭部"}])
    server.book("2", requested_procedure_codes=[{"value": "B", "scheme": "L", "meaning": "膝"}])
    code = Dataset()
    code.CodeMeaning = "頭部"
    ds = query(character_set=TWO_BYTE_JAPANESE, RequestedProcedureCodeSequence=[code])
    assert server.ids(ds) == ["PID-1"]


def test_a_second_byte_that_is_a_backslash_does_not_split_the_key(server: Server) -> None:
    server.book("1", patient_name="俓^一")
    assert b"\\" in "俓".encode("gb18030")
    assert server.ids(query(character_set="GB18030", PatientName="俓^一")) == ["PID-1"]


def test_the_character_set_is_never_matched(server: Server) -> None:
    server.book("1", patient_name="Doe^Jane")
    assert server.ids(query(character_set="GB18030")) == ["PID-1"]


# --- Answers ---


@pytest.mark.parametrize("requested", REQUESTED, ids=str)
def test_every_character_arrives_whatever_was_asked(server: Server, requested: Any) -> None:
    """Never a question mark in its place: a name with one is another name."""
    for number, name in enumerate(NAMES):
        server.book(str(number), patient_name=name, patient_comments=f"{name} 20 °C")
    items = ask(server, requested, PatientComments="").items
    assert [str(item.PatientName) for item in items] == list(NAMES)
    assert [item.PatientComments for item in items] == [f"{name} 20 °C" for name in NAMES]


@pytest.mark.parametrize("requested", REQUESTED, ids=str)
def test_ascii_needs_no_character_set(server: Server, requested: Any) -> None:
    server.book("1", patient_name="Doe^Jane")
    (item,) = ask(server, requested).items
    assert (character_set(item), str(item.PatientName)) == ([], "Doe^Jane")


@pytest.mark.parametrize(
    ("requested", "name", "expected"),
    [
        ("ISO_IR 100", GERMAN, ["ISO_IR 100"]),
        ("ISO_IR 100", POLISH, ["ISO_IR 192"]),
        ("ISO_IR 192", GERMAN, ["ISO_IR 192"]),
        (None, GERMAN, ["ISO_IR 192"]),
        (TWO_BYTE_JAPANESE, JAPANESE, TWO_BYTE_JAPANESE),
        (TWO_BYTE_JAPANESE, GERMAN, ["ISO_IR 192"]),
        (TWO_BYTE_KOREAN, KOREAN, TWO_BYTE_KOREAN),
        ("GB18030", JAPANESE, ["GB18030"]),
    ],
)
def test_an_answer_is_in_the_set_of_the_request_or_in_utf_8(
    server: Server, requested: Any, name: str, expected: list[str]
) -> None:
    server.book("1", patient_name=name)
    (item,) = ask(server, requested).items
    assert (character_set(item), str(item.PatientName)) == (expected, name)


def test_each_answer_has_the_set_that_it_needs(server: Server) -> None:
    for number, name in enumerate(("Doe^Jane", GERMAN, POLISH)):
        server.book(str(number), patient_name=name)
    items = ask(server, "ISO_IR 100").items
    assert [character_set(item) for item in items] == [[], ["ISO_IR 100"], ["ISO_IR 192"]]


def test_only_what_is_answered_counts(server: Server) -> None:
    server.book("1", patient_name="Doe^Jane", patient_comments="größer")
    (item,) = ask(server, "ISO_IR 192").items
    assert character_set(item) == []


def test_a_text_inside_a_sequence_counts(server: Server) -> None:
    server.book(
        "1",
        scheduled_performing_physician_name=GERMAN,
        requested_procedure_codes=[{"value": "A", "scheme": "L", "meaning": "Schädel"}],
    )
    ds = query({"ScheduledPerformingPhysicianName": ""}, character_set="ISO_IR 100")
    (item,) = server.find(ds).items
    assert character_set(item) == ["ISO_IR 100"]
    assert str(step_of(item).ScheduledPerformingPhysicianName) == GERMAN
    (item,) = server.find(query(RequestedProcedureCodeSequence=[])).items
    assert item.RequestedProcedureCodeSequence[0].CodeMeaning == "Schädel"


def test_an_extra_counts(server: Server) -> None:
    server.book("1", PatientMotherBirthName="Łucja")
    (item,) = server.find(query(PatientMotherBirthName="", character_set="ISO_IR 100")).items
    assert (character_set(item), str(item.PatientMotherBirthName)) == (["ISO_IR 192"], "Łucja")


def test_japanese_is_written_with_the_escape_sequences_of_the_standard(server: Server) -> None:
    """PS3.5 Annex H.3.1, example 1."""
    server.book("1", patient_name=JAPANESE)
    (encoded,) = ask(server, TWO_BYTE_JAPANESE).encoded
    name = b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B"
    assert name in encoded


def test_a_preferred_set_is_used_where_it_holds_everything(make_server: MakeServer) -> None:
    server = make_server(response_character_set="ISO_IR 100")
    for number, name in enumerate((GERMAN, POLISH, "Doe^Jane")):
        server.book(str(number), patient_name=name)
    items = ask(server, "ISO_IR 192").items
    assert [character_set(item) for item in items] == [["ISO_IR 100"], ["ISO_IR 192"], []]


def test_a_preferred_code_extension_is_used(make_server: MakeServer) -> None:
    server = make_server(response_character_set="\\ISO 2022 IR 87")
    server.book("1", patient_name=JAPANESE)
    (item,) = ask(server, None).items
    assert (character_set(item), str(item.PatientName)) == (TWO_BYTE_JAPANESE, JAPANESE)


def test_the_test_sends_what_it_means_to() -> None:
    """A Japanese key is really sent in two bytes, and a German one in one or two."""
    assert b"\x1b$B" in encode(query(character_set=TWO_BYTE_JAPANESE, PatientName="山田"))
    assert b"M\xfcller" in encode(query(character_set="ISO_IR 100", PatientName="Müller"))
    assert b"M\xc3\xbcller" in encode(query(character_set="ISO_IR 192", PatientName="Müller"))
