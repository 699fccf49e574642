"""Audit messages follow the schema of PS3.15 A.5.1 and the tables of A.5.3."""

from __future__ import annotations

import base64
import datetime as dt
import re
from xml.etree import ElementTree as ET

import pytest
from tests.audit.trails import WHO, Item

from pylantir.audit import events
from pylantir.audit.events import AuditEvent, Kind, Outcome
from pylantir.audit.lines import START, decoded, encoded
from pylantir.audit.message import audit_message, audit_messages

ITEM = Item("PID-1", "2.25.1", "ACC-1", 12)
EVERY_EVENT: dict[str, AuditEvent] = {
    "start": events.application(Kind.START, "MWL"),
    "stop": events.application(Kind.STOP, "MWL"),
    "query": events.query("MR1", "MWL", "10.0.0.5", b"\x01", transfer_syntax="1.2", found=3),
    "asked": events.asked(WHO, "query-db --patient DOE*", 3),
    "created": events.booking(Kind.CREATED, WHO, ITEM),
    "updated": events.booking(Kind.UPDATED, WHO, ITEM, details={"Changed": "patient_name"}),
    "deleted": events.booking(Kind.DELETED, WHO, ITEM, reason="withdrawn"),
    "read": events.booking(Kind.READ, WHO, ITEM),
    "performed": events.performed(
        Kind.CREATED, WHO, "1.2.3", [("2.25.1", "A1"), ("2.25.2", "")], patient_id="PID-1"
    ),
    "login": events.authentication(Kind.LOGIN, "anna", "10.0.0.7"),
    "logout": events.authentication(Kind.LOGOUT, "anna", "10.0.0.7"),
    "failed login": events.authentication(Kind.LOGIN, "eve", "10.0.0.66", failed="password"),
    "refused": events.refused("EVIL", "MWL", "fe80::1%eth0", "not recognised"),
    "configured": events.configured(WHO, "tls", "certificate replaced"),
    "used": events.audit_used(WHO, "file:///trail", "show"),
    **{
        str(kind): events.trail_alert(kind, "file:///trail", "why", Outcome.MAJOR, Number="3")
        for kind in (
            Kind.AUDIT_STARTED,
            Kind.AUDIT_STOPPED,
            Kind.AUDIT_DAMAGED,
            Kind.AUDIT_REMOVED,
        )
    },
}

CHILDREN = {
    "AuditMessage": (
        "EventIdentification ActiveParticipant+ AuditSourceIdentification "
        "ParticipantObjectIdentification*"
    ),
    "EventIdentification": "EventID EventTypeCode* EventOutcomeDescription?",
    "ActiveParticipant": "RoleIDCode* MediaIdentifier?",
    "AuditSourceIdentification": "AuditSourceTypeCode*",
    "ParticipantObjectIdentification": (
        "ParticipantObjectIDTypeCode (ParticipantObjectName|ParticipantObjectQuery) "
        "ParticipantObjectDetail* ParticipantObjectDescription*"
    ),
    "ParticipantObjectDescription": "MPPS* Accession* SOPClass* ParticipantObjectContainsStudy?",
}
"""Content of each element, in order."""

CODED = {"csd-code": True, "codeSystemName": True, "displayName": False, "originalText": True}
ATTRIBUTES: dict[str, dict[str, bool]] = {
    "AuditMessage": {},
    "EventIdentification": {
        "EventActionCode": False,
        "EventDateTime": True,
        "EventOutcomeIndicator": True,
    },
    "ActiveParticipant": {
        "UserID": True,
        "AlternativeUserID": False,
        "UserName": False,
        "UserIsRequestor": True,
        "NetworkAccessPointID": False,
        "NetworkAccessPointTypeCode": False,
    },
    "AuditSourceIdentification": {"AuditEnterpriseSiteID": False, "AuditSourceID": True},
    "AuditSourceTypeCode": {"csd-code": True},
    "ParticipantObjectIdentification": {
        "ParticipantObjectID": True,
        "ParticipantObjectTypeCode": False,
        "ParticipantObjectTypeCodeRole": False,
        "ParticipantObjectDataLifeCycle": False,
        "ParticipantObjectSensitivity": False,
    },
    "ParticipantObjectDetail": {"type": True, "value": True},
    "MPPS": {"UID": True},
    "Accession": {"Number": True},
    **dict.fromkeys(
        ("EventID", "EventTypeCode", "RoleIDCode", "ParticipantObjectIDTypeCode"), CODED
    ),
}
"""Attributes of each element, and whether it must be there."""

CHOICES = {
    "EventActionCode": set("CRUDE"),
    "EventOutcomeIndicator": {"0", "4", "8", "12"},
    "UserIsRequestor": {"true", "false"},
    "NetworkAccessPointTypeCode": set("12345"),
    "ParticipantObjectTypeCode": set("1234"),
    "ParticipantObjectTypeCodeRole": set(map(str, range(1, 27))),
}


def message(event: AuditEvent) -> ET.Element:
    line, _ = encoded(event, START)
    return ET.fromstring(audit_message(decoded(line), "scanner-room", "SITE"))


def check(element: ET.Element) -> None:
    """What the schema says about an element and all inside it."""
    content = " ".join(child.tag for child in element) + " "
    pattern = re.sub(r"(\(.*?\)|\w+)([+*?]?) ?", r"(?:\1 )\2", CHILDREN.get(element.tag, ""))
    pattern = re.sub(r"\((\w+)\|(\w+)\) ", r"(?:\1 |\2 )", pattern)
    assert re.fullmatch(pattern, content if len(element) else ""), (element.tag, content)
    known = ATTRIBUTES.get(element.tag, {})
    assert set(element.attrib) <= set(known), element.tag
    assert {name for name, must in known.items() if must} <= set(element.attrib), element.tag
    for name, value in element.attrib.items():
        assert value in CHOICES.get(name, {value}), name
    for child in element:
        check(child)


@pytest.mark.parametrize("name", EVERY_EVENT)
def test_every_event_follows_the_schema(name: str) -> None:
    check(message(EVERY_EVENT[name]))


def test_every_kind_of_event_is_among_them() -> None:
    assert {event.kind for event in EVERY_EVENT.values()} == set(Kind)


@pytest.mark.parametrize(
    ("name", "code", "type_code", "action"),
    [
        ("start", "110100", "110120", "E"),
        ("stop", "110100", "110121", "E"),
        ("used", "110101", None, "R"),
        ("query", "110112", None, "E"),
        ("created", "110111", None, "C"),
        ("read", "110111", None, "R"),
        ("updated", "110111", None, "U"),
        ("deleted", "110111", None, "D"),
        ("login", "110114", "110122", "E"),
        ("logout", "110114", "110123", "E"),
        ("refused", "110113", "110126", "E"),
        ("configured", "110113", "110129", "E"),
        ("audit-stopped", "110113", "110133", "E"),
    ],
)
def test_event_id_type_and_action_are_those_of_the_standard(
    name: str, code: str, type_code: str | None, action: str
) -> None:
    event = message(EVERY_EVENT[name])[0]

    assert event[0].attrib["csd-code"] == code
    assert [e.attrib["csd-code"] for e in event.findall("EventTypeCode")] == (
        [type_code] if type_code else []
    )
    assert event.attrib["EventActionCode"] == action
    moment = dt.datetime.fromisoformat(event.attrib["EventDateTime"])
    assert moment.utcoffset() == dt.timedelta(0)


def test_a_query_carries_its_identifier_and_transfer_syntax() -> None:
    (asked,) = message(EVERY_EVENT["query"]).findall("ParticipantObjectIdentification")

    assert asked.attrib["ParticipantObjectID"] == "1.2.840.10008.5.1.4.31"
    assert asked.attrib["ParticipantObjectTypeCode"] == "2"
    assert asked.attrib["ParticipantObjectTypeCodeRole"] == "3"
    assert base64.b64decode(asked.findtext("ParticipantObjectQuery") or "") == b"\x01"
    details = {
        e.attrib["type"]: base64.b64decode(e.attrib["value"])
        for e in asked.findall("ParticipantObjectDetail")
    }
    assert details == {"TransferSyntax": b"1.2", "NumberOfItems": b"3"}


def test_a_step_stands_at_its_studies_with_the_accession_number() -> None:
    found = message(EVERY_EVENT["performed"])

    studies = {
        o.attrib["ParticipantObjectID"]: [
            (e.tag, *e.attrib.values()) for e in o.iterfind("ParticipantObjectDescription/*")
        ]
        for o in found.findall("ParticipantObjectIdentification")
    }
    assert studies == {
        "1.2.3": [],
        "2.25.1": [("MPPS", "1.2.3"), ("Accession", "A1")],
        "2.25.2": [("MPPS", "1.2.3")],
        "PID-1": [],
    }


def test_addresses_say_what_they_are() -> None:
    points = [
        message(EVERY_EVENT[name]).findall("ActiveParticipant")[-1].attrib
        for name in ("refused", "start")
    ]

    assert points[0]["NetworkAccessPointTypeCode"] == "2"
    assert points[1]["NetworkAccessPointTypeCode"] == "1"


def test_nothing_smuggled_in_breaks_the_xml() -> None:
    evil = 'A"><x>\x00\x1b\ud800&\u202e'
    found = message(events.refused(evil, evil, evil, evil))

    check(found)
    assert "\\x00\\x1b\\ud800" in found.findall("ActiveParticipant")[1].attrib["UserID"]


def test_many_messages_are_one_document() -> None:
    line, _ = encoded(EVERY_EVENT["query"], START)
    document = b"".join(audit_messages([decoded(line)] * 3, "scanner-room"))

    assert [child.tag for child in ET.fromstring(document)] == ["AuditMessage"] * 3
