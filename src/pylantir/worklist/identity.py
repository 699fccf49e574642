"""Identifiers that Pylantir makes: deterministic, legal, and the same after the database is lost.

A UID is ``2.25.`` and the decimal form of a UUID (PS3.5 section B.2); the UUID is version 5 over
the authority, the source and its record, so the same booking always gets the same Study Instance
UID. The *authority* keeps two centres apart that both call their source ``main_redcap`` and both
have a record 1: the address of the remote system, or the site's name for what people enter.
Nothing is ever made under ``1.2.840.10008``, which belongs to the standard.
"""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("5b3f1f0e-6f0c-5d0c-9a57-7d1c1f6f2a41")
"""Fixed for ever: changing it changes every identifier."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter is mistaken for a digit on a scanner console."""

UID_ROOT = "2.25"
STANDARD_ROOT = "1.2.840.10008."


def _uuid(kind: str, *origin: str) -> uuid.UUID:
    return uuid.uuid5(_NAMESPACE, "\x1f".join((kind, *origin)))


def study_instance_uid(authority: str, source: str, record: str) -> str:
    """Study Instance UID of a source's record."""
    return f"{UID_ROOT}.{_uuid('study', authority, source, record).int}"


def requested_procedure_id(authority: str, source: str, record: str) -> str:
    """Requested Procedure ID of a source's record: ``RP`` and 13 characters (SH holds 16)."""
    return "RP" + _short(_uuid("procedure", authority, source, record))


def scheduled_procedure_step_id(authority: str, source: str, record: str) -> str:
    """Scheduled Procedure Step ID of a source's record: ``SPS`` and 13 characters."""
    return "SPS" + _short(_uuid("step", authority, source, record))


def new_uid() -> str:
    """A UID that nothing else has."""
    return f"{UID_ROOT}.{uuid.uuid4().int}"


def new_record() -> str:
    """A record id for an item that a person makes."""
    return str(uuid.uuid4())


def _short(made: uuid.UUID) -> str:
    number = made.int >> 63  # 65 bits: thirteen characters of five bits
    return "".join(_ALPHABET[(number >> shift) & 31] for shift in range(60, -1, -5))
