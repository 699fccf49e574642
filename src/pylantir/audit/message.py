"""A line of the trail as an audit message: XML after the schema of PS3.15 A.5.1.

The codes stand in tables: what is an event here is an Event ID, a type and an action there.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Iterable
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from pylantir.audit.events import Kind
from pylantir.audit.lines import Record

_DCM = "DCM"
_RFC = "RFC-3881"
_APPLICATION_SERVER = "4"
"""Audit Source Type Code (A.5.1.2.1)."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Code(NamedTuple):
    value: str
    meaning: str
    scheme: str = _DCM


class _Event(NamedTuple):
    id: _Code
    action: str
    type: _Code | None = None


_ACTIVITY = _Code("110100", "Application Activity")
_PROCEDURE = _Code("110111", "Procedure Record")
_ALERT = _Code("110113", "Security Alert")
_AUTHENTICATION = _Code("110114", "User Authentication")

_EVENTS = {
    Kind.START: _Event(_ACTIVITY, "E", _Code("110120", "Application Start")),
    Kind.STOP: _Event(_ACTIVITY, "E", _Code("110121", "Application Stop")),
    Kind.AUDIT_USED: _Event(_Code("110101", "Audit Log Used"), "R"),
    Kind.QUERY: _Event(_Code("110112", "Query"), "E"),
    Kind.CREATED: _Event(_PROCEDURE, "C"),
    Kind.READ: _Event(_PROCEDURE, "R"),
    Kind.UPDATED: _Event(_PROCEDURE, "U"),
    Kind.DELETED: _Event(_PROCEDURE, "D"),
    Kind.LOGIN: _Event(_AUTHENTICATION, "E", _Code("110122", "Login")),
    Kind.LOGOUT: _Event(_AUTHENTICATION, "E", _Code("110123", "Logout")),
    Kind.REFUSED: _Event(_ALERT, "E", _Code("110126", "Node Authentication")),
    Kind.CONFIGURED: _Event(_ALERT, "E", _Code("110129", "Security Configuration")),
    Kind.AUDIT_REMOVED: _Event(_ALERT, "E", _Code("110132", "Use of Restricted Function")),
    Kind.AUDIT_STOPPED: _Event(_ALERT, "E", _Code("110133", "Audit Recording Stopped")),
    Kind.AUDIT_STARTED: _Event(_ALERT, "E", _Code("110134", "Audit Recording Started")),
    Kind.AUDIT_DAMAGED: _Event(_ALERT, "E", _Code("110135", "Object Security Attributes Changed")),
}
"""CID 400, CID 401 and CID 403; actions of A.5.3."""

_ROLES = {
    "application": _Code("110150", "Application"),
    "launcher": _Code("110151", "Application Launcher"),
    "destination": _Code("110152", "Destination Role ID"),
    "source": _Code("110153", "Source Role ID"),
}
"""CID 402."""


class _Object(NamedTuple):
    id_type: _Code
    type: str
    role: str
    name: str = ""


_SYSTEM, _PERSON = "2", "1"
_OBJECTS = {
    "patient": _Object(_Code("2", "Patient Number", _RFC), _PERSON, "1"),
    "study": _Object(_Code("110180", "Study Instance UID"), _SYSTEM, "3"),
    "step": _Object(_Code("121126", "Performed Procedure Step SOP Instance UID"), _SYSTEM, "20"),
    "sop class": _Object(_Code("110181", "SOP Class UID"), _SYSTEM, "3"),
    "audit": _Object(_Code("12", "URI", _RFC), _SYSTEM, "13", "Security Audit Log"),
    "node": _Object(_Code("110182", "Node ID"), _SYSTEM, "13"),
    "configuration": _Object(_Code("12", "URI", _RFC), _SYSTEM, "5"),
}
"""Participant Object ID Type Code, Type Code and Type Code Role (A.5.1.2.2)."""


def audit_message(record: Record, source: str, site: str = "") -> bytes:
    """One event as an audit message.

    Parameters
    ----------
    record : Record
        A line of the trail.
    source : str
        Audit Source ID: which machine reports it.
    site : str
        Audit Enterprise Site ID; may be empty.

    Returns
    -------
    bytes
        XML in UTF-8 without a declaration.
    """
    text: str = ET.tostring(_message(record, source, site), encoding="unicode")
    return text.encode()


def audit_messages(records: Iterable[Record], source: str, site: str = "") -> Iterable[bytes]:
    """Events as one XML document, line by line."""
    yield b'<?xml version="1.0" encoding="UTF-8"?>\n<AuditMessages>\n'
    for record in records:
        yield audit_message(record, source, site) + b"\n"
    yield b"</AuditMessages>\n"


def _message(record: Record, source: str, site: str) -> ET.Element:
    root = ET.Element("AuditMessage")
    values = record.values
    event = _EVENTS[Kind(values["event"])]
    identification = _add(
        root,
        "EventIdentification",
        EventActionCode=event.action,
        EventDateTime=values["at"],
        EventOutcomeIndicator=str(values["outcome"]),
    )
    _coded(identification, "EventID", event.id)
    if event.type is not None:
        _coded(identification, "EventTypeCode", event.type)
    if values.get("reason"):
        _add(identification, "EventOutcomeDescription").text = _clean(values["reason"])
    for actor in values["actors"]:
        _participant(root, actor)
    reporter = _add(root, "AuditSourceIdentification", AuditSourceID=source)
    if site:
        reporter.set("AuditEnterpriseSiteID", _clean(site))
    _add(reporter, "AuditSourceTypeCode", **{"csd-code": _APPLICATION_SERVER})
    steps = [subject["id"] for subject in values["subjects"] if subject["kind"] == "step"]
    for subject in values["subjects"]:
        _object(root, subject, steps)
    return root


def _participant(root: ET.Element, actor: dict[str, Any]) -> None:
    participant = _add(root, "ActiveParticipant", UserID=actor["user"])
    if actor.get("ae_title"):
        participant.set("AlternativeUserID", _clean(f"AETITLES={actor['ae_title']}"))
    participant.set("UserIsRequestor", "true" if actor.get("requestor") else "false")
    address = actor.get("address", "")
    if address:
        participant.set("NetworkAccessPointID", _clean(address))
        participant.set("NetworkAccessPointTypeCode", "2" if _is_ip(address) else "1")
    role = _ROLES.get(actor.get("role", ""))
    if role is not None:
        _coded(participant, "RoleIDCode", role)


def _object(root: ET.Element, subject: dict[str, Any], steps: list[str]) -> None:
    kind = _OBJECTS[subject["kind"]]
    found = _add(
        root,
        "ParticipantObjectIdentification",
        ParticipantObjectID=subject.get("id", ""),
        ParticipantObjectTypeCode=kind.type,
        ParticipantObjectTypeCodeRole=kind.role,
    )
    _coded(found, "ParticipantObjectIDTypeCode", kind.id_type)
    if "query" in subject:
        _add(found, "ParticipantObjectQuery").text = subject["query"]
    else:
        _add(found, "ParticipantObjectName").text = kind.name
    for name, value in subject.get("details", {}).items():
        encoded = base64.b64encode(value.encode("utf-8", "surrogatepass")).decode("ascii")
        _add(found, "ParticipantObjectDetail", type=name, value=encoded)
    if subject["kind"] == "study" and (steps or subject.get("accession")):
        description = _add(found, "ParticipantObjectDescription")
        for step in steps:
            _add(description, "MPPS", UID=step)
        if subject.get("accession"):
            _add(description, "Accession", Number=subject["accession"])


def _add(parent: ET.Element, tag: str, **attributes: str) -> ET.Element:
    cleaned = {name: _clean(value) for name, value in attributes.items()}
    return ET.SubElement(parent, tag, cleaned)


def _coded(parent: ET.Element, tag: str, code: _Code) -> None:
    attributes = {
        "csd-code": code.value,
        "codeSystemName": code.scheme,
        "originalText": code.meaning,
    }
    ET.SubElement(parent, tag, attributes)


def _clean(text: str) -> str:
    """What XML cannot hold, such as a control character in an AE title, is spelled out."""
    return _NOT_XML.sub(lambda found: ascii(found[0])[1:-1], text)


def _is_ip(address: str) -> bool:
    try:
        ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    return True
