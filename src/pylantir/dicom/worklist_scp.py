"""C-FIND of the Modality Worklist Information Model (PS3.4 Annex K)."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from pylantir.audit.events import Outcome
from pylantir.clock import SiteClock
from pylantir.dicom import answers
from pylantir.dicom.audited import DicomAudit, QueryOutcome
from pylantir.dicom.charsets import Terms
from pylantir.dicom.elements import Encoding
from pylantir.dicom.encoder import AnswerEncoder
from pylantir.dicom.identifiers import Asked, FindRequest, read_identifier
from pylantir.dicom.scanners import Scanner, scanner_for
from pylantir.dicom.stream import PendingResponses
from pylantir.dicom.transport import Cancellations
from pylantir.errors import InvalidQuery, PylantirError, StoreError
from pylantir.worklist.query import STATION, SingleValue
from pylantir.worklist.store import ItemStore

if TYPE_CHECKING:
    from pynetdicom.events import Event

    from pylantir.config.schema import Config

log = logging.getLogger(__name__)

Answer = tuple[int | Dataset, Dataset | None]
_Alike = tuple[tuple[Asked, ...], Encoding, str, Terms, Terms]
"""What answers depend on, besides their item."""

_LONG_ANSWER = 100
_LISTEN_AFTER = (10, 100)
_LISTEN_S = 0.005
_KEPT_ENCODERS = 8
"""Kinds of queries whose answers are kept: a room has a few scanners with two or three each."""


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
    """

    def __init__(
        self, store: ItemStore, config: Config, clock: SiteClock, audit: DicomAudit
    ) -> None:
        self._store = store
        self._audit = audit
        self._config = config
        self._clock = clock
        self.cancellations = Cancellations()
        self._encoders: dict[_Alike, AnswerEncoder] = {}
        self._encoding_alike = threading.Lock()

    def handle_find(self, event: Event) -> Iterator[Answer]:
        """Handler of ``EVT_C_FIND``: pending responses, then the final status.

        A door: whatever goes wrong becomes a failure status, never half a data set and never a
        traceback with a patient in it.
        """
        scanner = scanner_for(self._config, event.assoc.requestor.ae_title)
        with self._audit.query(event, _identifier(event)) as how:
            yield from self._door(event, scanner, how)

    def _door(self, event: Event, scanner: Scanner, how: QueryOutcome) -> Iterator[Answer]:
        try:
            yield from self._answers(event, scanner, how)
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

    def _answers(self, event: Event, scanner: Scanner, how: QueryOutcome) -> Iterator[Answer]:
        began = time.perf_counter()
        request = read_identifier(_identifier(event), _encoding(event))
        query = scanner.limit(request.query(), self._clock.today())
        items = self._store.find(query)
        pending = answers.PENDING_UNSUPPORTED if request.unsupported else answers.PENDING
        encoder = self._encoder(request, scanner, _encoding(event))
        responses = PendingResponses(event, pending)
        for number, item in enumerate(items):
            if self._is_cancelled(event, responses, len(items) - number):
                responses.flush()
                how.answered(responses.sent, "cancelled by the scanner")
                log.info(
                    "C-FIND from %s: cancelled after %d items", scanner.ae_title, responses.sent
                )
                yield answers.CANCELLED, None
                return
            if not event.assoc.is_established:
                return  # the scanner has gone
            responses.add(encoder.encode(item))
        responses.flush()
        how.answered(responses.sent)
        elapsed_ms = (time.perf_counter() - began) * 1000
        log.info(
            "C-FIND from %s: %d items in %.1f ms", scanner.ae_title, responses.sent, elapsed_ms
        )
        yield answers.SUCCESS, None

    def _is_cancelled(self, event: Event, responses: PendingResponses, left: int) -> bool:
        """Whether the scanner has had enough; in a long answer it gets a moment to say so.

        Some hundred answers are on their way faster than a console reads the first.
        """
        if left >= _LONG_ANSWER and responses.sent in _LISTEN_AFTER:
            responses.flush()
            return self.cancellations.listen(event, _LISTEN_S)
        return self.cancellations.is_cancelled(event)

    def _encoder(self, request: FindRequest, scanner: Scanner, encoding: Encoding) -> AnswerEncoder:
        """The encoder for requests that ask alike: a scanner sends the same query all day."""
        alike: _Alike = (
            request.asked,
            encoding,
            _station(request, scanner),
            request.character_set,
            scanner.character_set,
        )
        with self._encoding_alike:
            encoder = self._encoders.pop(alike, None)
            if encoder is None:
                asked, encoding, station, character_set, preferred = alike
                encoder = AnswerEncoder(
                    asked,
                    encoding,
                    station=station,
                    character_set=character_set,
                    preferred=preferred,
                )
            self._encoders[alike] = encoder  # the newest last
            while len(self._encoders) > _KEPT_ENCODERS:
                self._encoders.pop(next(iter(self._encoders)))
        return encoder


def _identifier(event: Event) -> bytes:
    request: Any = event.request
    encoded = request.Identifier
    return b"" if encoded is None else bytes(encoded.getvalue())


def _encoding(event: Event) -> Encoding:
    return Encoding(
        implicit_vr=event.context.transfer_syntax.is_implicit_VR,
        little_endian=event.context.transfer_syntax.is_little_endian,
    )


def _station(request: FindRequest, scanner: Scanner) -> str:
    """The AE title that stands for "whichever scanner asks": the one it asked for, else its own."""
    for key in request.keys:
        if key.attribute is STATION and isinstance(key.match, SingleValue):
            return str(key.match.value)
    return scanner.ae_title
