"""C-FIND of the Modality Worklist Information Model (PS3.4 Annex K)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from pylantir.audit.events import Outcome
from pylantir.clock import SiteClock, as_da
from pylantir.dicom import answers
from pylantir.dicom.audited import DicomAudit, QueryOutcome
from pylantir.dicom.kept import Alike, KeptAnswers
from pylantir.dicom.plans import SHORT_IDENTIFIER, Plan, make_plan, plan_again
from pylantir.dicom.scanners import Scanner, remembered
from pylantir.dicom.scu_identifier import build_identifier
from pylantir.dicom.stream import C_FIND_RSP, Cut, Responses
from pylantir.dicom.transport import cancellations
from pylantir.errors import InvalidQuery, PylantirError, StoreError
from pylantir.worklist.journal import QueryJournal
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.store import ItemStore

if TYPE_CHECKING:
    from pynetdicom.events import Event

    from pylantir.config.schema import Config

log = logging.getLogger(__name__)

Answer = tuple[int | Dataset, Dataset | None]

_LISTEN_AFTER = 10
_LISTEN_S = 0.02
_NEXT = {1: 9, 10: 90}
"""After so many responses, how many come next; later on, as many as make :data:`_SEND_AT` bytes."""

_SEND_AT = 65_536
_USUAL_KEYS = {"ScheduledStationAETitle": "MR", "Modality": "MR"}
_SHORT = 50
"""Answers that go out in one send with the final response, when they are there already."""


class WorklistScp:
    """Answers worklist queries.

    Parameters
    ----------
    store : ItemStore
        Where the items are.
    config : Config
        The site's settings and scanner profiles.
    clock : SiteClock
        Says which day it is.
    audit : DicomAudit
        Keeps who asked for what.
    journal : QueryJournal, optional
        Keeps what was asked, to explain what a scanner sees.
    """

    def __init__(
        self,
        store: ItemStore,
        config: Config,
        clock: SiteClock,
        audit: DicomAudit,
        journal: QueryJournal | None = None,
    ) -> None:
        self._journal = journal
        self._audit = audit
        self._scanner = remembered(config)
        self._clock = clock
        self._kept = KeptAnswers(store)
        self._answered: Callable[[Event, int, int], None] | None = None

    def observe(self, answered: Callable[[Event, int, int], None]) -> None:
        """Tell somebody the command field and the final status of each answer written here."""
        self._answered = answered

    def rehearse(self, calling_ae_title: str) -> None:
        """Put first answers together and give them to nobody, so that no scanner waits for that.

        What a process does for the first time takes longest: SQL is put into words, encoders are
        made, the first pages of the database are read.

        Parameters
        ----------
        calling_ae_title : str
            Whose settings hold for them.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        scanner, today = self._scanner(calling_ae_title.strip()), self._clock.today()
        for keys in ({}, _USUAL_KEYS | {"ScheduledProcedureStepStartDate": as_da(today)}):
            identifier = encode(build_identifier(keys, character_set=None), True, True)
            cut = Cut.within(1, None)
            plan = make_plan(identifier or b"", ImplicitVRLittleEndian, cut, scanner, today)
            next(self._kept.parts(plan.query, plan.alike), None)

    def handle_find(self, event: Event) -> Iterator[Answer]:
        """Handler of ``EVT_C_FIND``: writes the responses; yields the status of a failure.

        A door: whatever goes wrong becomes a failure status, never half a data set and never a
        traceback with a patient in it.
        """
        scanner = self._scanner(event.assoc.requestor.ae_title.strip())
        with self._audit.query(event, _identifier(event)) as how:
            yield from self._door(event, scanner, how)

    def _door(self, event: Event, scanner: Scanner, how: QueryOutcome) -> Iterator[Answer]:
        began = time.perf_counter()
        try:
            plan = self._plan(event, scanner)
            final = self._answer(event, plan, how)
        except InvalidQuery as error:
            how.failed(error.for_log, Outcome.MINOR)
            log.warning("C-FIND from %s refused: %s", scanner.ae_title, error.for_log)
            yield answers.status(answers.IDENTIFIER_DOES_NOT_MATCH, error.for_log), None
        except StoreError as error:
            how.failed(error.for_log)
            log.error("C-FIND from %s failed: %s", scanner.ae_title, error.for_log)
            yield answers.status(answers.OUT_OF_RESOURCES, "worklist database unavailable"), None
        except PylantirError as error:
            how.failed(error.for_log)
            log.error("C-FIND from %s failed: %s", scanner.ae_title, error.for_log)
            yield answers.status(answers.UNABLE_TO_PROCESS, error.for_log), None
        except Exception as error:
            how.failed(type(error).__name__)
            log.error("C-FIND from %s failed: %s", scanner.ae_title, type(error).__name__)
            log.debug("cause", exc_info=True)
            yield answers.status(answers.UNABLE_TO_PROCESS, "internal error"), None
        else:
            elapsed_ms = (time.perf_counter() - began) * 1000
            self._tell(event, scanner, plan, how, final, elapsed_ms)

    def _plan(self, event: Event, scanner: Scanner) -> Plan:
        identifier, now = _identifier(event), self._clock.now()
        today, elsewhere = self._clock.wall_of(now).date(), scanner.elsewhere(now)
        make = plan_again if len(identifier) <= SHORT_IDENTIFIER else make_plan
        syntax = str(event.context.transfer_syntax)
        return make(identifier, syntax, Cut.of(event), scanner, today, elsewhere)

    def _answer(self, event: Event, plan: Plan, how: QueryOutcome) -> int | None:
        """Send the answer; returns its final status, nothing when the scanner has gone."""
        responses = Responses(event, plan.pending)
        try:
            final = self._send(event, responses, plan.query, plan.alike)
        finally:
            how.found = responses.sent  # what has been shown has been shown, however it ends
        if final is not None:
            cancelled = final == answers.CANCELLED
            how.answered(responses.sent, "cancelled by the scanner" if cancelled else "")
        return final

    def _tell(
        self,
        event: Event,
        scanner: Scanner,
        plan: Plan,
        how: QueryOutcome,
        final: int | None,
        elapsed_ms: float,
    ) -> None:
        """Whoever looks later is told; the scanner has its answer already."""
        if final is not None and self._answered is not None:
            self._answered(event, C_FIND_RSP, final)
        if final == answers.CANCELLED:
            log.info("C-FIND from %s: cancelled after %d items", scanner.ae_title, how.found)
        elif final is not None:
            self._keep(event, scanner, plan, how.found)
            log.info("C-FIND from %s: %d items in %.1f ms", scanner.ae_title, how.found, elapsed_ms)

    def _keep(self, event: Event, scanner: Scanner, plan: Plan, sent: int) -> None:
        if self._journal is not None:
            address = event.assoc.requestor.address or ""
            now = self._clock.now()
            self._journal.note(now, scanner.ae_title, address, plan.asked, sent)

    def _send(
        self, event: Event, responses: Responses, query: WorklistQuery, alike: Alike
    ) -> int | None:
        """Send the answer; returns its final status, nothing when the scanner has gone."""
        whole = self._kept.whole(query, alike)
        if whole is not None and len(whole) <= _SHORT and not cancellations.is_cancelled(event):
            responses.send(whole, final=answers.SUCCESS)
            return answers.SUCCESS if event.assoc.is_established else None
        found = chain.from_iterable(self._kept.parts(query, alike)) if whole is None else whole
        final = self._stream(event, responses, iter(found))
        if final is not None:
            responses.send([], final=final)
        return final

    def _stream(self, event: Event, responses: Responses, left: Iterator[bytes]) -> int | None:
        """Send responses, the first at once, then several at a time; returns the final status.

        Some hundred answers are on their way faster than a console reads the first. So after ten
        it gets a moment to say that it has enough; DCMTK's findscu takes ten milliseconds.
        """
        number = 1
        while some := list(islice(left, number)):
            many_left = len(some) == number
            waits = responses.sent == _LISTEN_AFTER and many_left
            if cancellations.listen(event, _LISTEN_S if waits else 0.0):
                return answers.CANCELLED
            if not event.assoc.is_established:
                return None
            responses.send(some)
            number = _NEXT.get(responses.sent) or _fitting(some)
        return answers.SUCCESS if event.assoc.is_established else None


def _fitting(some: list[bytes]) -> int:
    """How many responses like these to send at a time."""
    return max(1, _SEND_AT * len(some) // sum(map(len, some)))


def _identifier(event: Event) -> bytes:
    request: Any = event.request
    encoded = request.Identifier
    return b"" if encoded is None else bytes(encoded.getvalue())
