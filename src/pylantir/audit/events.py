"""What is audited: events with who took part and what it was about (PS3.15 A.5.3).

An event is plain data until it is written, so that a worklist query pays for little more than a
few tuples.
"""

from __future__ import annotations

import datetime as dt
import getpass
import os
import socket
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

MAX_QUERY_BYTES = 65_536
"""Longest query identifier that is kept whole; of longer ones the beginning is."""

WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
"""Modality Worklist Information Model FIND."""


class Kind(StrEnum):
    """What happened, in the words of ``pylantir audit --event``."""

    START = "start"
    STOP = "stop"
    AUDIT_USED = "audit-used"
    QUERY = "query"
    CREATED = "created"
    UPDATED = "updated"
    DELETED = "deleted"
    READ = "read"
    LOGIN = "login"
    LOGOUT = "logout"
    REFUSED = "refused"
    CONFIGURED = "configured"
    AUDIT_STOPPED = "audit-stopped"
    AUDIT_STARTED = "audit-started"
    AUDIT_REMOVED = "audit-removed"
    AUDIT_DAMAGED = "audit-damaged"


class Outcome:
    """Event Outcome Indicator (PS3.15 A.5.2)."""

    SUCCESS = 0
    MINOR = 4
    SERIOUS = 8
    MAJOR = 12


class Role(StrEnum):
    """Role of a participant (CID 402)."""

    APPLICATION = "application"
    LAUNCHER = "launcher"
    SOURCE = "source"
    DESTINATION = "destination"


class Booking(Protocol):
    """What has to be known of a worklist item."""

    @property
    def item_id(self) -> int | None:
        """Its number, once it has one."""

    @property
    def patient_id(self) -> str:
        """Patient ID."""

    @property
    def study_instance_uid(self) -> str:
        """Study Instance UID."""

    @property
    def accession_number(self) -> str:
        """Accession Number; may be empty."""


class Actor(NamedTuple):
    """Who took part: a person, a scanner, a source of bookings, or this process.

    Parameters
    ----------
    user : str
        Who: account, AE title, name of a source.
    ae_title : str
        AE title, when it has one.
    address : str
        IP address or host name; empty when it is this machine.
    role : str
        See :class:`Role`; may be empty.
    requestor : bool
        Whether it was the one who wanted it.
    """

    user: str
    ae_title: str = ""
    address: str = ""
    role: str = ""
    requestor: bool = False


class Subject(NamedTuple):
    """What it was about.

    Parameters
    ----------
    kind : str
        ``patient``, ``study``, ``step``, ``sop class``, ``audit``, ``node`` or ``configuration``.
    id : str
        Patient ID, UID, path or name.
    query : bytes or None
        Encoded query identifier.
    details : tuple of (str, str)
        Whatever else is worth knowing, by name.
    accession : str
        Accession number of a study.
    """

    kind: str
    id: str
    query: bytes | None = None
    details: tuple[tuple[str, str], ...] = ()
    accession: str = ""


class AuditEvent(NamedTuple):
    """One event.

    Parameters
    ----------
    kind : Kind
        What happened.
    at : datetime
        When, aware, in UTC.
    actors : tuple of Actor
        Who; at least one.
    subjects : tuple of Subject
        What it was about.
    outcome : int
        See :class:`Outcome`.
    reason : str
        Why it failed, or what else a reader should know.
    """

    kind: Kind
    at: dt.datetime
    actors: tuple[Actor, ...]
    subjects: tuple[Subject, ...] = ()
    outcome: int = Outcome.SUCCESS
    reason: str = ""


def now() -> dt.datetime:
    """When something happens: the machine's clock, because an audit trail follows no other."""
    return dt.datetime.now(dt.UTC)


def process(role: str = "", *, ae_title: str = "") -> Actor:
    """This process."""
    return Actor(f"pylantir[{os.getpid()}]", ae_title, "", role)


def operator() -> Actor:
    """Whoever runs this process: the account of the operating system, on this machine."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container without an entry for its user id
        name = f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return Actor(name, "", socket.gethostname(), Role.LAUNCHER, True)


def application(kind: Kind, ae_title: str, version: str = "") -> AuditEvent:
    """The daemon starts or stops (A.5.3.1 Application Activity)."""
    about = process(Role.APPLICATION, ae_title=ae_title)
    reason = f"version {version}" if version else ""
    return AuditEvent(kind, now(), (about, operator()), reason=reason)


def query(
    calling: str,
    called: str,
    address: str,
    identifier: bytes,
    *,
    transfer_syntax: str,
    found: int,
    outcome: int = Outcome.SUCCESS,
    reason: str = "",
) -> AuditEvent:
    """A worklist query over DICOM (A.5.3.10 Query).

    Parameters
    ----------
    calling, called : str
        AE titles.
    address : str
        Where the scanner is.
    identifier : bytes
        The encoded query identifier.
    transfer_syntax : str
        How it is encoded.
    found : int
        Number of items in the answer.
    outcome, reason
        See :class:`AuditEvent`.
    """
    details = [("TransferSyntax", transfer_syntax), ("NumberOfItems", str(found))]
    if len(identifier) > MAX_QUERY_BYTES:
        details.append(("OriginalLength", str(len(identifier))))
    asked = Subject("sop class", WORKLIST_FIND, identifier[:MAX_QUERY_BYTES], tuple(details))
    scanner = Actor(calling, calling, address, Role.SOURCE, True)
    ours = process(Role.DESTINATION, ae_title=called)
    return AuditEvent(Kind.QUERY, now(), (scanner, ours), (asked,), outcome, reason)


def asked(who: Actor, words: str, found: int) -> AuditEvent:
    """A query in other words than DICOM's, such as those of the REST API or a command."""
    details = (("NumberOfItems", str(found)),)
    about = Subject("sop class", WORKLIST_FIND, words.encode()[:MAX_QUERY_BYTES], details)
    return AuditEvent(Kind.QUERY, now(), (who, process(Role.DESTINATION)), (about,))


def booking(
    kind: Kind,
    who: Actor,
    item: Booking,
    *,
    details: Mapping[str, str] | None = None,
    reason: str = "",
    outcome: int = Outcome.SUCCESS,
) -> AuditEvent:
    """A booking is created, changed, cancelled or read (A.5.3.15 Procedure Record).

    One event for each booking: the standard wants no two patients in a message.

    Parameters
    ----------
    kind : Kind
        CREATED, UPDATED, DELETED or READ.
    who : Actor
        Account, AE title or source.
    item : Booking
        The worklist item.
    details : mapping, optional
        Fields that changed, names that its source has for it.
    reason, outcome
        See :class:`AuditEvent`.
    """
    number = {"Item": str(item.item_id)} if item.item_id is not None else {}
    named = tuple({**number, **(details or {})}.items())
    subjects = [Subject("study", item.study_instance_uid, None, named, item.accession_number)]
    if item.patient_id:
        subjects.append(Subject("patient", item.patient_id))
    return AuditEvent(kind, now(), (who, process()), tuple(subjects), outcome, reason)


def performed(
    kind: Kind,
    who: Actor,
    sop_instance_uid: str,
    studies: Sequence[tuple[str, str]],
    *,
    patient_id: str = "",
    details: Mapping[str, str] | None = None,
    reason: str = "",
    outcome: int = Outcome.SUCCESS,
) -> AuditEvent:
    """A performed procedure step is created, changed, linked or read (A.5.3.15).

    Parameters
    ----------
    kind : Kind
        CREATED, UPDATED or READ.
    who : Actor
        The scanner, or the person who links by hand.
    sop_instance_uid : str
        Of the step.
    studies : sequence of (str, str)
        Study Instance UID and accession number of each booking.
    patient_id : str
        Of the step.
    details : mapping, optional
        Status, numbers of the linked items.
    reason, outcome
        See :class:`AuditEvent`.
    """
    named = tuple((details or {}).items())
    subjects = [Subject("step", sop_instance_uid, None, named)]
    subjects += [Subject("study", uid, None, (), accession) for uid, accession in studies]
    if patient_id:
        subjects.append(Subject("patient", patient_id))
    return AuditEvent(kind, now(), (who, process()), tuple(subjects), outcome, reason)


def refused(
    calling: str, called: str, address: str, reason: str, outcome: int = Outcome.MINOR
) -> AuditEvent:
    """A connection or association that was not let in (A.5.3.11 Security Alert)."""
    scanner = Actor(calling or "unknown", calling, address)
    about = Subject("node", address or "unknown", None, (("Alert Description", reason),))
    ours = process(ae_title=called)
    return AuditEvent(Kind.REFUSED, now(), (ours, scanner), (about,), outcome, reason)


def configured(who: Actor, what: str, reason: str) -> AuditEvent:
    """A setting that matters for security has changed (A.5.3.11 Security Alert)."""
    about = Subject("configuration", what, None, (("Alert Description", reason),))
    return AuditEvent(Kind.CONFIGURED, now(), (who, process()), (about,), reason=reason)


def authentication(kind: Kind, user: str, address: str, *, failed: str = "") -> AuditEvent:
    """Somebody logs in or out, or tries to (A.5.3.12 User Authentication).

    Parameters
    ----------
    kind : Kind
        LOGIN or LOGOUT.
    user : str
        The account, or what was claimed to be one.
    address : str
        Where from.
    failed : str
        Why it was refused; empty when it was not.
    """
    person = Actor(user or "unknown", "", address, "", True)
    outcome = Outcome.MINOR if failed else Outcome.SUCCESS
    return AuditEvent(kind, now(), (person, process()), (), outcome, failed)


def audit_used(who: Actor, path: str, what: str) -> AuditEvent:
    """The trail itself was read (A.5.3.2 Audit Log Used).

    Parameters
    ----------
    who : Actor
        The reader.
    path : str
        URI of the trail.
    what : str
        Which part, and in which form.
    """
    about = Subject("audit", path, None, (("Selection", what),))
    return AuditEvent(Kind.AUDIT_USED, now(), (who, process()), (about,))


def trail_alert(kind: Kind, path: str, reason: str, outcome: int, **details: str) -> AuditEvent:
    """Something about the trail itself: a gap, damage, removal of old files (A.5.3.11)."""
    named = (("Alert Description", reason), *details.items())
    about = Subject("audit", path, None, named)
    return AuditEvent(kind, now(), (process(),), (about,), outcome, reason)
