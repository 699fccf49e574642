"""What the scanner's side asks and tells, against real Application Entities on 127.0.0.1."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from tests.standins.dicom_server import answer, server

from pylantir.dicom import scu
from pylantir.errors import InvalidItem, InvalidQuery, PeerError

STARTED = dt.datetime(2026, 3, 4, 9, 5, 7)
UID = "2.25.1234"


def booking(number: int) -> Dataset:
    item = Dataset()
    item.PatientID = f"P{number}"
    return item


def finds(responses: Callable[[evt.Event], Iterator[tuple[Any, Dataset | None]]]) -> list[Any]:
    return [(evt.EVT_C_FIND, responses)]


# --- C-FIND ---


def test_no_match_is_success_without_items() -> None:
    with server(finds(lambda event: iter(()))) as peer:
        result = scu.find(peer, scu.build_identifier({}))
    assert (result.status.code, result.items, result.pending_codes) == (0x0000, [], [])


def test_items_and_their_pending_codes_are_kept_in_order() -> None:
    def respond(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        yield 0xFF00, booking(1)
        yield 0xFF01, booking(2)

    with server(finds(respond)) as peer:
        result = scu.find(peer, scu.build_identifier({}))
    assert [item.PatientID for item in result.items] == ["P1", "P2"]
    assert result.pending_codes == [0xFF00, 0xFF01]


def test_a_failed_query_tells_the_peers_own_words() -> None:
    def respond(event: evt.Event) -> Iterator[tuple[Dataset, None]]:
        yield answer(0xA900, ErrorComment="date expected", OffendingElement=0x00400002), None

    with server(finds(respond)) as peer:
        status = scu.find(peer, scu.build_identifier({})).status
    assert status.is_failure
    assert status.words == (
        "0xA900 Failure: Identifier does not match SOP class: date expected "
        "(ScheduledProcedureStepStartDate)"
    )


@contextmanager
def endless_server() -> Iterator[scu.Peer]:
    """Answers for ever, five items ahead of a C-CANCEL, and ends when it has come."""
    cancelled = threading.Event()

    def on_message(event: evt.Event) -> None:
        if event.message.command_set.CommandField == 0x0FFF:
            cancelled.set()

    def respond(event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        for number in count():
            if cancelled.is_set():
                yield 0xFE00, None
                return
            yield 0xFF00, booking(number)
            if number == 4:
                assert cancelled.wait(10), "no C-CANCEL came"

    with server([(evt.EVT_DIMSE_RECV, on_message), (evt.EVT_C_FIND, respond)]) as peer:
        yield peer


@pytest.mark.parametrize("after", [0, 3])
def test_a_cancelled_query_ends_with_fe00(after: int) -> None:
    with endless_server() as peer, scu.Scanner(peer) as scanner:
        result = scanner.find(scu.build_identifier({}), cancel_after=after)
        assert result.status.code == 0xFE00
        assert result.status.words.startswith("0xFE00 Cancel")
        assert len(result.items) >= after
        assert scanner.echo().is_success


def test_a_limit_keeps_the_first_items_and_cancels_the_rest() -> None:
    with endless_server() as peer:
        result = scu.find(peer, scu.build_identifier({}), limit=2)
    assert [item.PatientID for item in result.items] == ["P0", "P1"]
    assert result.status.code == 0xFE00


def test_a_cancel_that_comes_too_late_does_no_harm() -> None:
    with server(finds(lambda event: iter(()))) as peer, scu.Scanner(peer) as scanner:
        scanner.find(scu.build_identifier({}))
        scanner.cancel()
        assert scanner.find(scu.build_identifier({})).status.is_success


def test_an_abort_in_the_middle_of_the_answers_is_an_error() -> None:
    def respond(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        yield 0xFF00, booking(1)
        event.assoc.abort()

    with (
        server(finds(respond)) as peer,
        pytest.raises(PeerError, match="aborted the association"),
    ):
        scu.find(peer, scu.build_identifier({}))


def test_names_are_encoded_in_the_named_character_set() -> None:
    seen: list[str] = []

    def respond(event: evt.Event) -> Iterator[Any]:
        seen.append(str(event.identifier.PatientName))
        return iter(())

    japanese = "Yamada^Tarou=山田^太郎"
    with server(finds(respond)) as peer:
        for name, terms in (
            ("Müller*", "ISO_IR 100"),
            (japanese, "\\ISO 2022 IR 87"),
            (japanese, "GB18030"),
            ("Wałęsa*", "ISO_IR 101"),
        ):
            keys = scu.build_identifier({"PatientName": name}, character_set=terms)
            assert scu.find(peer, keys).status.is_success
    assert seen == ["Müller*", japanese, japanese, "Wałęsa*"]


@pytest.mark.parametrize(
    ("keys", "terms", "said"),
    [
        ({"PatientName": "Wałęsa"}, "ISO_IR 100", "PatientName.*ISO_IR 100, 'ł' is none"),
        ({"PatientName": "Müller"}, None, "PatientName.*no Specific Character Set is named"),
        ({"PatientName": "é山"}, "\\ISO 2022 IR 87", "'é' is none"),
        ({"PatientName": "山"}, "ISO_IR 13", "'山' is none"),
        ({"Modality": "MÜ"}, "ISO_IR 192", "Modality: expected ASCII"),
        ({"PatientName": "A"}, "ISO_IR 999", "SpecificCharacterSet"),
    ],
)
def test_text_without_a_place_in_the_character_set_is_never_sent(
    keys: dict[str, str], terms: str | None, said: str
) -> None:
    peer = scu.Peer("127.0.0.1", 1)  # refused before anybody is called
    with pytest.raises(InvalidQuery, match=said):
        scu.find(peer, scu.build_identifier(keys, character_set=terms))


def test_identifiers_never_reach_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def respond(event: evt.Event) -> Iterator[tuple[int, Dataset]]:
        yield 0xFF00, scu.build_identifier({"PatientName": "Answered^Name"})

    with caplog.at_level(logging.INFO, "pynetdicom"), server(finds(respond)) as peer:
        scu.find(peer, scu.build_identifier({"PatientName": "Asked^Name"}))
    assert "Find" in caplog.text
    assert "Asked" not in caplog.text
    assert "Answered" not in caplog.text


# --- MPPS ---


def test_a_step_is_created_ended_and_read_back() -> None:
    kept: dict[str, Dataset] = {}

    def on_create(event: evt.Event) -> tuple[int, Dataset]:
        kept[event.request.AffectedSOPInstanceUID] = event.attribute_list
        return 0x0000, event.attribute_list

    def on_set(event: evt.Event) -> tuple[int, Dataset]:
        kept[event.request.RequestedSOPInstanceUID].update(event.modification_list)
        return 0x0000, event.modification_list

    def on_get(event: evt.Event) -> tuple[int, Dataset]:
        asked = event.attribute_identifiers
        whole = kept[event.request.RequestedSOPInstanceUID]
        return 0x0000, whole if not asked else Dataset({tag: whole[tag] for tag in asked})

    handlers = [(evt.EVT_N_CREATE, on_create), (evt.EVT_N_SET, on_set), (evt.EVT_N_GET, on_get)]
    attributes = scu.step_attributes(None, station_ae_title="MRI_1", started=STARTED)
    ending = scu.final_attributes("COMPLETED", STARTED, protocol_name="T1w Köln")
    with server(handlers) as peer:
        created = scu.create_step(peer, attributes, UID)
        ended = scu.set_step(peer, UID, ending)
        whole = scu.get_step(peer, UID).attributes
        part = scu.get_step(peer, UID, ["PerformedProcedureStepStatus"]).attributes
    assert (created.status.code, created.sop_instance_uid) == (0, UID)
    assert (ended.status.code, ended.sop_instance_uid) == (0, UID)
    assert whole is not None
    assert whole.PerformedSeriesSequence[0].ProtocolName == "T1w Köln"
    assert part is not None
    assert [e.keyword for e in part] == ["PerformedProcedureStepStatus"]
    assert part.PerformedProcedureStepStatus == "COMPLETED"


def test_the_uid_that_the_server_assigns_is_handed_back() -> None:
    def on_create(event: evt.Event) -> tuple[int, Dataset]:
        assert event.request.AffectedSOPInstanceUID is None
        assigned = Dataset()
        assigned.AffectedSOPInstanceUID = UID
        return 0x0000, assigned

    attributes = scu.step_attributes(None, station_ae_title="MRI_1", started=STARTED)
    with server([(evt.EVT_N_CREATE, on_create)]) as peer:
        result = scu.create_step(peer, attributes)
    assert result.status.is_success
    assert result.sop_instance_uid == UID


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (
            {"code": 0x0110, "ErrorID": 0xA710},
            "0x0110 Failure: Performed Procedure Step Object may no longer be updated "
            "(Error ID 0xA710)",
        ),
        (
            {
                "code": 0x0110,
                "ErrorID": 0xA710,
                "ErrorComment": "Performed Procedure Step Object may no longer be updated",
            },
            "0x0110 Failure: Performed Procedure Step Object may no longer be updated "
            "(Error ID 0xA710)",
        ),
        (
            {"code": 0x0106, "AttributeIdentifierList": [0x00400252, 0x00400250]},
            "0x0106 Failure: Invalid Attribute value "
            "(PerformedProcedureStepStatus, PerformedProcedureStepEndDate)",
        ),
        (
            {"code": 0x0107, "AttributeIdentifierList": 0x00091001},
            "0x0107 Warning: Attribute list error ((0009,1001))",
        ),
        ({"code": 0x0112}, "0x0112 Failure: No such SOP Instance"),
        ({"code": 0x0124, "ErrorComment": "no"}, "0x0124 Failure: Not authorized: no"),
    ],
)
def test_statuses_of_n_set_are_told_in_words(sent: dict[str, Any], words: str) -> None:
    def on_set(event: evt.Event) -> tuple[Dataset, None]:
        return answer(**sent), None

    ending = scu.final_attributes("COMPLETED", STARTED, protocol_name="T1")
    with server([(evt.EVT_N_SET, on_set)]) as peer:
        result = scu.set_step(peer, UID, ending)
    assert result.status.words == words
    assert result.status.is_warning == words.startswith("0x0107")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0xFF00, "0xFF00 Pending"),
        (0xA700, "0xA700 Failure: Out of resources"),
        (0xC311, "0xC311 Failure: Unable to process"),
        (0xB123, "0xB123 Warning: specific to the service"),
        (0x0999, "0x0999 Failure: of no kind that the standard names"),
    ],
)
def test_every_code_has_words(code: int, words: str) -> None:
    assert scu.Status(code).words == words


@pytest.mark.parametrize("uid", ["", "abc", "1.02.3", "1." * 40 + "1"])
def test_an_illegal_instance_uid_is_refused_before_it_is_sent(uid: str) -> None:
    with pytest.raises(InvalidItem, match="SOPInstanceUID"):
        scu.set_step(scu.Peer("127.0.0.1", 1), uid, Dataset())


def test_an_unknown_keyword_to_read_back_is_refused() -> None:
    with pytest.raises(InvalidItem, match="did you mean PerformedProcedureStepStatus"):
        scu.get_step(scu.Peer("127.0.0.1", 1), UID, ["PerformedProcedureStepStatu"])


def test_attributes_outside_their_character_set_are_never_sent() -> None:
    modifications = Dataset()
    modifications.SpecificCharacterSet = "ISO_IR 100"
    modifications.PerformedProcedureStepDescription = "Głowa"
    with pytest.raises(InvalidItem, match=r"PerformedProcedureStepDescription.*'ł'"):
        scu.set_step(scu.Peer("127.0.0.1", 1), UID, modifications)
