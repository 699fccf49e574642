"""The DICOM conformance statement, made from the tables that the server itself reads (PS3.2).

``python -m pylantir.dicom.conformance`` prints it; ``docs/conformance.md`` is that text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR, keyword_for_tag

from pylantir.dicom import answers
from pylantir.dicom.implementation import CLASS_UID, version_name
from pylantir.dicom.mpps_rules import FINAL, RULES, Rule
from pylantir.dicom.sop_classes import (
    MPPS,
    MPPS_RETRIEVE,
    TRANSFER_SYNTAXES,
    VERIFICATION,
    WORKLIST_FIND,
)
from pylantir.tls import CIPHERS
from pylantir.worklist.attributes import MODEL, Attribute, Level
from pylantir.worklist.linking import RULES as LINKING_RULES
from pylantir.worklist.status import HIDDEN_BY_DEFAULT, ItemStatus

_SERVICES = (
    (VERIFICATION, "C-ECHO"),
    (WORKLIST_FIND, "C-FIND, C-CANCEL"),
    (MPPS, "N-CREATE, N-SET"),
    (MPPS_RETRIEVE, "N-GET"),
)
_KINDS = {
    "PN": "single value, wild card; insensitive to case, accents and trailing delimiters",
    "DA": "single value, range",
    "TM": "single value, range",
    "UI": "single value, list of UID",
    "SQ": "sequence",
    "DS": "single value",
    "US": "single value",
}
_TEXT_KIND = "single value, wild card; case-sensitive"

_INTRODUCTION = """\
# DICOM conformance statement

Pylantir is a Modality Worklist and Modality Performed Procedure Step server (SCP). This statement is
made from the tables that the server reads (`python -m pylantir.dicom.conformance`); a test keeps it up
to date. Sections of the standard are those of PS3.4 unless another part is named.

## Associations

The server accepts associations and starts none. It accepts every calling AE title unless `allowed_aet`
or `access` name some; others, and those that call from another address, are rejected with (1, 1, 3), a
called AE title that is not expected with (1, 1, 7). Presentation contexts of a service that `access`
does not grant are rejected with result 1, user rejection (PS3.8 Table 9-18).
Any called AE title is accepted unless the scanner's profile names some. Up to `maximum_associations`
(500) are open at once, of them `limits.per_ae_title` (100) with one calling AE title and
`limits.per_address` (200) from one address; further ones are rejected with (2, 3, 2), and with (2, 3, 1)
when the machine can bear no more. Titles that the configuration names always get
`limits.reserved_per_scanner` (4) of them. An association request must be complete `timeouts.acse_s`
(5 s) after the connection; anything else on the port is aborted. The largest PDU it receives is 16 382
bytes, a longer one, or a message longer than `limits.message_bytes` (1 MB) or not complete within
`timeouts.dimse_s` (30 s), is answered with A-ABORT. After a rejection, a release or an abort the
connection is closed within a second. No extended negotiation, asynchronous operations window, role selection or user identity is
needed or offered. Implementation Class UID `{uid}`, Implementation Version Name
`{version}`.
"""

_MATCHING = """\
### How keys match (C.2.2.2, K.4.1)

* An empty key, and a key of nothing but `*`, match everything, items without a value included.
* Text matches case-sensitively and without leading and trailing spaces; `*` stands for any run of
  characters and `?` for one. There is no escape.
* Person names match without regard to case, accents and trailing delimiters, the whole or any component
  group; a key with `=` names groups by their position.
* Dates and times match by meaning: `1200` is `120000`. When start date and start time are both ranges
  they are one interval, from the first day at the first time to the last day at the last time.
* Several values of a UID key match any of them; several values of another key are taken the same way.
* Of a stored attribute with several values, one that matches is enough.
* A code sequence matches when one of its items satisfies all keys of the key item.
* An item that names no station is open to every scanner and is answered with the station asked for, or
  the calling AE title.
* The answer holds exactly the keys that were asked: empty where a value is unknown. A sequence that is
  asked without keys inside comes whole.
* A query that names no status does not see {hidden}. Scheduled Procedure Step Status is one of {terms}.
* Attributes beyond the table are answered where an item has them, and not matched: such a query gets
  0xFF01.
* Answers are sorted by scheduled start. A site may limit their number, and the days that a query without
  a date sees.

A value that has no meaning for its VR, two items in a key sequence, an identifier without any attribute
of the model and one that is no data set are answered with 0xA900.
"""

_CHARACTER_SETS = """\
## Character sets

Keys are read in the request's Specific Character Set, with code extensions (ISO 2022); an unknown term
is left out. An answer of ASCII only names no set. Another uses, in this order, the first that holds
every character: the set of the scanner's profile, the request's own, ISO_IR 192. No character is ever
replaced. Known terms: {terms}.
"""

_MPPS = """\
## Modality Performed Procedure Step (F.7)

The whole data set of N-CREATE and N-SET is on the disk before the answer. A step is kept for as long as
the database is. An N-CREATE without Affected SOP Instance UID gets one under 2.25, returned in the
response. After COMPLETED or DISCONTINUED an N-SET fails with 0x0110 and Error ID 0xA710. A violation
fails the request, in the order not allowed (0x0105), missing (0x0120), empty (0x0121), invalid (0x0106);
for a scanner whose profile is lenient it is recorded and answered with warning 0x0107.

An absent type 2 sequence counts as empty. An N-SET may repeat an attribute that may not be set, with its
stored value. What the final state demands ({final}) is recorded when it is missing, not refused.

### Relation to the worklist (F.7.4.2.1)

Each item of the Scheduled Step Attributes Sequence is linked to a worklist item by the first of these
rules that finds exactly one: {rules}. What none finds is kept as unscheduled and shown to people.
N-CREATE puts the items to IN PROGRESS (sent as STARTED) and fills Study Date and Time from the earliest
start. They become COMPLETED or DISCONTINUED with the last running step; a step discontinued because of
(110514, DCM, "Incorrect worklist entry selected") does not count, so its item is SCHEDULED again. The
server changes no attribute of a step on its own.

N-GET of the Retrieve class returns the attributes that are asked, or all; 0x0001 names those it has not.

### Attributes

Types for the SCU at N-CREATE and N-SET; `-` is not allowed. Others are type 3 and kept as they come.

| attribute | tag | N-CREATE | N-SET |
|---|---|---|---|
"""

_SECURITY = """\
## Security

DICOM over TLS is offered on a port of its own (2762 unless configured), beside or instead of the plain
one: BCP 195 TLS Secure Transport Connection Profile (PS3.15 B.12), TLS 1.2 with
{ciphers}
or TLS 1.3. Certificates of peers are demanded on request and may be bound to calling AE titles; a peer
with another one is rejected with (1, 1, 3). Audit messages of PS3.15 A.5 are kept and sent by syslog over
TLS (A.6): Application Activity, Audit Log Used, Query, Procedure Record, User Authentication, Security
Alert. Without TLS, keep the server in the scanners' network. No identifier, name or other
value of a participant is written to the ordinary log.
"""


def statement() -> str:
    """The statement as Markdown."""
    hidden = ", ".join(status.value for status in HIDDEN_BY_DEFAULT)
    terms = ", ".join(status.dicom for status in ItemStatus)
    sets = ", ".join(f"`{term}`" for term in python_encoding if term)
    final = ", ".join(keyword_for_tag(tag) for tag in FINAL)
    rules = "; ".join(name for name, _ in LINKING_RULES)
    return "\n".join(
        (
            _INTRODUCTION.format(uid=CLASS_UID, version=version_name()),
            *_services(),
            "## Modality Worklist (Annex K)\n",
            _MATCHING.format(hidden=hidden, terms=terms),
            *_model(),
            *_find_statuses(),
            _CHARACTER_SETS.format(terms=sets),
            _MPPS.format(final=final, rules=rules) + "\n".join(_rules(RULES, "")),
            *_mpps_statuses(),
            _SECURITY.format(ciphers=" ".join(CIPHERS.split(":"))).rstrip(),
            "",
        )
    )


def _services() -> Iterator[str]:
    yield "| SOP class | UID | services |\n|---|---|---|"
    for uid, services in _SERVICES:
        yield f"| {uid.name} | `{uid}` | {services} |"
    yield "\nTransfer syntaxes, for each of them:\n"
    for syntax in TRANSFER_SYNTAXES:
        yield f"* {syntax.name} (`{syntax}`)"
    yield ""


def _model() -> Iterator[str]:
    yield "### Attributes (Table K.6-1)\n"
    yield "Key: required (R), optional (O), never matched (-). Return: the type of the return key.\n"
    yield "| attribute | tag | VR | key | return | matching |\n|---|---|---|---|---|---|"
    yield "| **ScheduledProcedureStepSequence** | (0040,0100) | SQ | R | 1 | sequence |"
    for attribute in MODEL:
        if attribute.level is Level.STEP:
            yield _model_row("> ", attribute)
    for attribute in MODEL:
        if attribute.level is Level.ROOT:
            yield _model_row("", attribute)
    yield ""


def _model_row(depth: str, attribute: Attribute) -> str:
    kind = "universal only"
    if attribute.matching != "-":
        kind = _KINDS.get(attribute.vr, _TEXT_KIND)
    return (
        f"| {depth}{attribute.keyword} | {_tag(attribute.tag)} | {attribute.vr} | "
        f"{attribute.matching} | {attribute.return_type} | {kind} |"
    )


def _find_statuses() -> Iterator[str]:
    yield "### Status codes\n"
    yield "| status | meaning |\n|---|---|"
    for code, meaning in (
        (answers.PENDING, "an item; all optional keys are supported"),
        (answers.PENDING_UNSUPPORTED, "an item; some optional key is not supported"),
        (answers.SUCCESS, "no more items"),
        (answers.CANCELLED, "ended by C-CANCEL"),
        (answers.IDENTIFIER_DOES_NOT_MATCH, "the identifier is malformed"),
        (answers.OUT_OF_RESOURCES, "the database cannot be read"),
        (answers.UNABLE_TO_PROCESS, "anything else"),
    ):
        yield f"| 0x{code:04X} | {meaning} |"
    yield ""


def _mpps_statuses() -> Iterator[str]:
    yield "\n### Status codes (PS3.7 Annex C, Table F.7.2-2)\n"
    yield "| status | services | meaning |\n|---|---|---|"
    for code, services, meaning in (
        (answers.SUCCESS, "all", "stored, or read"),
        (answers.OPTIONAL_NOT_SUPPORTED, "N-GET", "some of the attributes asked for are not there"),
        (
            answers.RESOURCE_LIMITATION,
            "N-SET",
            "the step would become too large; nothing is changed",
        ),
        (answers.NO_SUCH_ATTRIBUTE, "N-CREATE, N-SET", "an attribute that is not allowed here"),
        (
            answers.INVALID_ATTRIBUTE_VALUE,
            "N-CREATE, N-SET",
            "a value out of range or no value of its VR",
        ),
        (
            answers.ATTRIBUTE_LIST_ERROR,
            "N-CREATE, N-SET",
            "warning: stored, though a rule is broken; lenient profile only",
        ),
        (
            answers.PROCESSING_FAILURE,
            "all",
            "no data set, or the database failed: nothing is stored",
        ),
        (
            answers.PROCESSING_FAILURE,
            "N-SET",
            f"with Error ID 0x{answers.MAY_NO_LONGER_BE_UPDATED:04X}: the step is final",
        ),
        (answers.DUPLICATE_SOP_INSTANCE, "N-CREATE", "the step exists; it stays as it is"),
        (answers.NO_SUCH_SOP_INSTANCE, "N-SET, N-GET", "no such step"),
        (answers.INVALID_SOP_INSTANCE, "all", "the SOP Instance UID is none"),
        (answers.MISSING_ATTRIBUTE, "N-CREATE, N-SET", "a type 1 attribute is missing"),
        (answers.MISSING_ATTRIBUTE_VALUE, "N-CREATE, N-SET", "a type 1 attribute is empty"),
        (answers.UNRECOGNISED_OPERATION, "all", "the SOP class does not offer the service"),
    ):
        yield f"| 0x{code:04X} | {services} | {meaning} |"
    yield "\nFailures that attributes cause name them in the Attribute Identifier List (0000,1005).\n"


def _rules(rules: tuple[Rule, ...], depth: str) -> Iterator[str]:
    for rule in rules:
        yield (
            f"| {depth}{keyword_for_tag(rule.tag)} | {_tag(rule.tag)} | {rule.create} | {rule.set} |"
        )
        if dictionary_VR(rule.tag) == "SQ":
            yield from _rules(rule.items, depth + "> ")


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


if __name__ == "__main__":
    sys.stdout.write(statement())
