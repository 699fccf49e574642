"""MPPS: N-CREATE and N-SET of the SOP class, N-GET of its Retrieve class (PS3.4 F.7, F.8).

Nothing is acknowledged before it is on the disk. Each handler is a door: what goes wrong becomes a
status, and nothing has changed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import UID
from pynetdicom.dimse_primitives import N_CREATE, N_GET

from pylantir.audit.events import Kind, Outcome
from pylantir.clock import SiteClock
from pylantir.dicom import answers
from pylantir.dicom.audited import DicomAudit
from pylantir.dicom.elements import Encoding, MalformedDataSet
from pylantir.dicom.json_model import Attributes
from pylantir.dicom.mpps_rules import (
    STATUS,
    Violation,
    check_create,
    check_set,
    has_value,
    missing_at_the_end,
)
from pylantir.dicom.performed import (
    MAX_ATTRIBUTES,
    as_data_set,
    read_attributes,
    status_of,
    step_of,
)
from pylantir.dicom.scanners import Scanner, remembered
from pylantir.dicom.sop_classes import MPPS, MPPS_RETRIEVE
from pylantir.dicom.transport.messages import name_attributes
from pylantir.errors import DuplicateStep, NotFound, PylantirError, StepClosed, StepTooLarge
from pylantir.worklist.identity import new_uid
from pylantir.worklist.status import StepStatus
from pylantir.worklist.step import LinkedStep, PerformedProcedureStep
from pylantir.worklist.steps import StepStore
from pylantir.worklist.values import uid as checked_uid

if TYPE_CHECKING:
    from pynetdicom.events import Event

    from pylantir.config.schema import Config

log = logging.getLogger(__name__)

Answer = tuple[Dataset | int, Dataset | None]
_Work = Callable[["Event", Scanner], Answer]

_LARGE_BYTES = 65_536
_STATUS = f"{STATUS:08X}"
_KINDS = (
    ("not allowed", answers.NO_SUCH_ATTRIBUTE),
    ("missing", answers.MISSING_ATTRIBUTE),
    ("empty", answers.MISSING_ATTRIBUTE_VALUE),
    ("invalid", answers.INVALID_ATTRIBUTE_VALUE),
)
"""Which status answers which kind of violation, the most telling first."""


class Refusal(PylantirError):
    """A request that ends in a failure status.

    Parameters
    ----------
    code, comment : int, str
        Status and Error Comment.
    attributes : sequence of int
        Tags at fault.
    error_id : int, optional
        Error ID.
    """

    def __init__(
        self, code: int, comment: str, attributes: Sequence[int] = (), error_id: int | None = None
    ) -> None:
        super().__init__(comment)
        self.code = code
        self.status = answers.status(code, comment, error_id=error_id, attributes=attributes)

    @property
    def for_log(self) -> str:
        return f"0x{self.code:04X} {self}"


class MppsScp:
    """Keeps what scanners report.

    Parameters
    ----------
    steps : StepStore
        Where performed steps are.
    config : Config
        The site's settings and scanner profiles.
    clock : SiteClock
        The clock on the wall.
    audit : DicomAudit
        Keeps who changed what.
    """

    def __init__(
        self, steps: StepStore, config: Config, clock: SiteClock, audit: DicomAudit
    ) -> None:
        self._audit = audit
        self._steps = steps
        self._scanner_of = remembered(config)
        self._clock = clock
        self._one_large_step = threading.Lock()

    def handle_create(self, event: Event) -> Answer:
        """Handler of ``EVT_N_CREATE``."""
        status, returned = self._door("N-CREATE", event, self._create)
        if isinstance(status, Dataset) and (tags := status.pop("AttributeIdentifierList", None)):
            name_attributes(event.assoc, _tags(tags.value))
        return status, returned

    def handle_set(self, event: Event) -> Answer:
        """Handler of ``EVT_N_SET``."""
        return self._door("N-SET", event, self._set)

    def handle_get(self, event: Event) -> Answer:
        """Handler of ``EVT_N_GET``."""
        return self._door("N-GET", event, self._get)

    def _door(self, name: str, event: Event, work: _Work) -> Answer:
        scanner = self._scanner_of(event.assoc.requestor.ae_title)
        try:
            return self._work(event, scanner, work)
        except Refusal as refusal:
            self._audit.not_performed(event, name, refusal.for_log, Outcome.MINOR)
            log.warning("%s from %s refused: %s", name, scanner.ae_title, refusal.for_log)
            return refusal.status, None
        except PylantirError as error:
            self._audit.not_performed(event, name, error.for_log, Outcome.SERIOUS)
            log.error("%s from %s failed: %s", name, scanner.ae_title, error.for_log)
            return answers.status(answers.PROCESSING_FAILURE, "not stored, try again"), None
        except Exception as error:
            self._audit.not_performed(event, name, type(error).__name__, Outcome.SERIOUS)
            log.error("%s from %s failed: %s", name, scanner.ae_title, type(error).__name__)
            log.debug("cause", exc_info=True)
            return answers.status(answers.PROCESSING_FAILURE, "internal error"), None

    def _work(self, event: Event, scanner: Scanner, work: _Work) -> Answer:
        try:
            with self._one_large_step if _is_large(event) else nullcontext():
                return work(event, scanner)
        except StepTooLarge as error:
            raise Refusal(answers.RESOURCE_LIMITATION, str(error)) from None

    def _create(self, event: Event, scanner: Scanner) -> Answer:
        _require_class(event, MPPS)
        given = _request(event).AffectedSOPInstanceUID
        sop_instance_uid = _instance_uid(given) if given else new_uid()
        attributes, violations = _read(_request(event).AttributeList, event)
        violations = _with_rules(violations, check_create(attributes))
        if status_of(attributes) is not StepStatus.IN_PROGRESS and has_value(attributes, _STATUS):
            violations.append(Violation(STATUS, "invalid"))
        answer = _judge(violations, scanner)
        step = step_of(
            attributes,
            sop_instance_uid=sop_instance_uid,
            calling_ae_title=scanner.ae_title,
            received=self._clock.local_now(),
            violations=tuple(map(str, violations)),
        )
        try:
            linked = self._steps.create(step)
        except DuplicateStep as error:
            refusal = Refusal(answers.DUPLICATE_SOP_INSTANCE, str(error))
            tolerated = _tolerate(scanner, refusal)
            self._steps.note_violation(sop_instance_uid, "N-CREATE of a step that exists")
            return tolerated
        self._audit.performed(Kind.CREATED, event, "N-CREATE", linked)
        _report("N-CREATE", scanner, linked)
        if given:
            return answer, None
        # pynetdicom looks for an assigned UID here after a success, and there after a warning.
        assigned = answer if isinstance(answer, Dataset) else Dataset()
        assigned.AffectedSOPInstanceUID = sop_instance_uid
        return answer, None if assigned is answer else assigned

    def _set(self, event: Event, scanner: Scanner) -> Answer:
        _require_class(event, MPPS)
        sop_instance_uid = _instance_uid(_request(event).RequestedSOPInstanceUID)
        changes, violations = _read(_request(event).ModificationList, event)
        violations = _with_rules(violations, check_set(changes))
        answer: list[Dataset | int] = []

        def change(present: PerformedProcedureStep) -> PerformedProcedureStep:
            changed, broken = _modified(present, changes, violations)
            answer.append(_judge(broken, scanner))
            return changed

        try:
            linked = self._steps.update(sop_instance_uid, change)
        except NotFound as error:
            raise Refusal(answers.NO_SUCH_SOP_INSTANCE, str(error)) from None
        except StepClosed as error:
            closed = Refusal(
                answers.PROCESSING_FAILURE, str(error), error_id=answers.MAY_NO_LONGER_BE_UPDATED
            )
            tolerated = _tolerate(scanner, closed)
            self._steps.note_violation(sop_instance_uid, "N-SET of a step that has ended")
            return tolerated
        self._audit.performed(Kind.UPDATED, event, "N-SET", linked)
        _report("N-SET", scanner, linked)
        return answer[0], None

    def _get(self, event: Event, scanner: Scanner) -> Answer:
        _require_class(event, MPPS_RETRIEVE)
        sop_instance_uid = _instance_uid(_request(event).RequestedSOPInstanceUID)
        try:
            linked = self._steps.get(sop_instance_uid)
        except NotFound as error:
            raise Refusal(answers.NO_SUCH_SOP_INSTANCE, str(error)) from None
        step = linked.step
        self._audit.performed(Kind.READ, event, "N-GET", linked)
        log.info("N-GET from %s: %s", scanner.ae_title, sop_instance_uid)
        wanted = [f"{t:08X}" for t in _tags(_request(event).AttributeIdentifierList)]
        if not wanted:
            return answers.SUCCESS, as_data_set(step.attributes)
        found = {tag: step.attributes[tag] for tag in wanted if tag in step.attributes}
        missing = [int(tag, 16) for tag in wanted if tag not in found and tag != "00080005"]
        code = answers.OPTIONAL_NOT_SUPPORTED if missing else answers.SUCCESS
        return answers.status(code, attributes=missing), as_data_set(found) if found else None


def _modified(
    present: PerformedProcedureStep, given: Attributes, violations: Sequence[Violation]
) -> tuple[PerformedProcedureStep, list[Violation]]:
    """The step after an N-SET; an N-SET of a sequence replaces all of it."""
    changes = dict(given)
    broken: list[Violation] = []
    for violation in violations:
        tag = f"{violation.tag:08X}"
        if violation.kind != "not allowed":
            broken.append(violation)
        elif changes.pop(tag, None) != present.attributes.get(tag):
            # Many consoles send the whole step again; only a changed identity is a violation.
            broken.append(violation)
    status = status_of(changes)
    if status is None and changes.pop(_STATUS, {}).get("Value"):
        broken.append(Violation(STATUS, "invalid"))
    attributes: Attributes = {**present.attributes, **changes}
    if len(attributes) > MAX_ATTRIBUTES:
        raise StepTooLarge(f"the performed step has more than {MAX_ATTRIBUTES} attributes")
    noted = list(map(str, broken))
    if status in (StepStatus.COMPLETED, StepStatus.DISCONTINUED):
        noted += map(str, missing_at_the_end(attributes))
    changed = step_of(
        attributes,
        sop_instance_uid=present.sop_instance_uid,
        calling_ae_title=present.calling_ae_title,
        received=present.started,
        violations=(*present.violations, *(n for n in noted if n not in present.violations)),
    )
    return replace(changed, version=present.version), broken


def _judge(violations: Iterable[Violation], scanner: Scanner) -> Dataset | int:
    """The status that violations deserve; success when there are none.

    Raises
    ------
    Refusal
        There are some, and the scanner is not a lenient one.
    """
    found = list(violations)
    if not found:
        return answers.SUCCESS
    for kind, code in _KINDS:
        tags = [violation.tag for violation in found if violation.kind == kind]
        if tags:
            words = ", ".join(str(v) for v in found if v.kind == kind)
            return _tolerate(scanner, Refusal(code, words, tags))[0]
    return answers.SUCCESS


def _tolerate(scanner: Scanner, refusal: Refusal) -> Answer:
    """A warning in place of the failure, for a scanner whose profile is lenient."""
    if not scanner.lenient:
        raise refusal
    log.warning("tolerated from %s: %s", scanner.ae_title, refusal.for_log)
    tags = _tags(refusal.status.get("AttributeIdentifierList"))
    return answers.status(answers.ATTRIBUTE_LIST_ERROR, str(refusal), attributes=tags), None


def _require_class(event: Event, expected: UID) -> None:
    if event.context.abstract_syntax != expected:
        raise Refusal(answers.UNRECOGNISED_OPERATION, "operation not offered by this SOP class")


def _instance_uid(value: str) -> str:
    try:
        return checked_uid(str(value))
    except ValueError:
        raise Refusal(answers.INVALID_SOP_INSTANCE, "SOP Instance UID breaks the rules") from None


def _is_large(event: Event) -> bool:
    """Whether the message takes thirty times its size for a moment, or may be answered by such."""
    request = _request(event)
    if isinstance(request, N_GET):
        return True
    encoded = request.AttributeList if isinstance(request, N_CREATE) else request.ModificationList
    return encoded is not None and len(encoded.getbuffer()) > _LARGE_BYTES


def _with_rules(invalid: list[Violation], broken: list[Violation]) -> list[Violation]:
    """Both, but nothing is missing only because its value could not be kept."""
    tags = {violation.tag for violation in invalid}
    return [*invalid, *(violation for violation in broken if violation.tag not in tags)]


def _read(encoded: Any, event: Event) -> tuple[Attributes, list[Violation]]:
    syntax = event.context.transfer_syntax
    encoding = Encoding(syntax.is_implicit_VR, syntax.is_little_endian)
    try:
        return read_attributes(encoded.getvalue() if encoded else b"", encoding)
    except MalformedDataSet as error:
        raise Refusal(answers.PROCESSING_FAILURE, f"not a data set: {error}") from None


def _request(event: Event) -> Any:
    """The DIMSE primitive, whichever of them it is."""
    return event.request


def _tags(given: Any) -> list[int]:
    """Attribute Identifier List; a lone tag is no list, neither in pynetdicom nor in pydicom."""
    if given is None:
        return []
    return [int(tag) for tag in ([given] if isinstance(given, int) else given)]


def _report(name: str, scanner: Scanner, linked: LinkedStep) -> None:
    step = linked.step
    if linked.item_ids:
        items = ", ".join(map(str, linked.item_ids))
        log.info("%s from %s: %s, items %s", name, scanner.ae_title, step.status, items)
    else:
        log.warning(
            "%s from %s: %s, linked to no booking; see pylantir query-db --unlinked",
            name,
            scanner.ae_title,
            step.status,
        )
