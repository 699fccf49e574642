"""The scanner's side: C-ECHO, C-FIND, N-CREATE, N-SET and N-GET over real associations.

``test-client``, ``test-mpps``, the daemon's own check of itself and the tests all speak to a
server through this door. :class:`Scanner` keeps one association open; the functions open one for
a single request.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import TracebackType

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag, Tag
from pynetdicom.association import Association

from pylantir.dicom.peer import Peer
from pylantir.dicom.scu_association import RequestedAssociation
from pylantir.dicom.scu_charset import unencodable
from pylantir.dicom.scu_identifier import build_identifier, keyword_of
from pylantir.dicom.scu_mpps import (
    DISCONTINUATION_REASONS,
    final_attributes,
    new_uid,
    step_attributes,
)
from pylantir.dicom.scu_status import Status, status_of
from pylantir.dicom.sop_classes import (
    MPPS,
    MPPS_RETRIEVE,
    SOP_CLASSES,
    VERIFICATION,
    WORKLIST_FIND,
)
from pylantir.errors import InvalidItem, InvalidQuery, PeerError, ValueProblem
from pylantir.worklist import values

__all__ = [
    "DISCONTINUATION_REASONS",
    "MPPS",
    "MPPS_RETRIEVE",
    "SOP_CLASSES",
    "VERIFICATION",
    "WORKLIST_FIND",
    "FindResult",
    "Peer",
    "Scanner",
    "Status",
    "StepResult",
    "build_identifier",
    "create_step",
    "echo",
    "final_attributes",
    "find",
    "get_step",
    "new_uid",
    "set_step",
    "step_attributes",
]


@dataclass(frozen=True)
class FindResult:
    """What a worklist query brought.

    Parameters
    ----------
    status : Status
        Of the final response.
    items : list of Dataset
        Identifiers of the pending responses, in the order they came, as they came.
    pending_codes : list of int
        Status of each pending response: 0xFF00 or 0xFF01.
    """

    status: Status
    items: list[Dataset]
    pending_codes: list[int]


@dataclass(frozen=True)
class StepResult:
    """What came of a request about a performed procedure step.

    Parameters
    ----------
    status : Status
        Of the response.
    sop_instance_uid : str
        Of the step: the one in the response, else the one that was asked for.
    attributes : Dataset, optional
        Attribute list of the response; nothing when it failed.
    """

    status: Status
    sop_instance_uid: str
    attributes: Dataset | None


class Scanner:
    """A modality with one association open, for one request at a time.

    ``with`` opens it and releases it; without, the first request does the opening.

    Parameters
    ----------
    peer : Peer
        The server.
    sop_classes : sequence of str
        Abstract syntaxes to propose; all four a scanner uses when absent.

    Raises
    ------
    PeerError
        From every method: the peer refused, aborted or did not answer, in plain words. A status
        that says failure is no error but a result.
    """

    def __init__(self, peer: Peer, sop_classes: Sequence[str] = SOP_CLASSES) -> None:
        self.peer = peer
        self._sop_classes = tuple(sop_classes)
        self._open: RequestedAssociation | None = None
        self._message_id = 0

    def __enter__(self) -> Scanner:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def open(self) -> None:
        """Associate, unless that is done already."""
        self._requested()

    def close(self) -> None:
        """Release the association, if there is one."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def abort(self) -> None:
        """Break off without release, as a scanner that is switched off."""
        if self._open is not None:
            self._open.abort()
            self._open = None

    @property
    def is_open(self) -> bool:
        """Whether the association stands."""
        return self._open is not None and self._open.is_open

    @property
    def accepted(self) -> dict[str, str]:
        """Abstract syntaxes that the peer accepted, each with its transfer syntax."""
        return self._requested().accepted

    @property
    def association(self) -> Association:
        """The library's association, for what a well-behaved scanner would not say."""
        return self._requested().association

    @property
    def message_id(self) -> int:
        """Message ID of the last request; 0 before the first."""
        return self._message_id

    def echo(self) -> Status:
        """C-ECHO (PS3.7 9.1.5): is there a DICOM server that answers?"""
        with self._request(VERIFICATION) as (requested, assoc):
            answer = assoc.send_c_echo(msg_id=self._next_message_id())
            return _status(requested, answer)

    def find(
        self, identifier: Dataset, *, cancel_after: int | None = None, limit: int | None = None
    ) -> FindResult:
        """C-FIND of the Modality Worklist Information Model (PS3.4 K.4.1).

        Parameters
        ----------
        identifier : Dataset
            The request identifier, as from :func:`build_identifier`.
        cancel_after : int, optional
            Send C-CANCEL once that many pending responses have come; 0 sends it at once.
        limit : int, optional
            Keep no more items than that, and cancel the rest.

        Raises
        ------
        InvalidQuery
            A value that the identifier's own character set has no bytes for.
        """
        problems = list(unencodable(identifier))
        if problems:
            raise InvalidQuery(problems)
        cancel_at = min((n for n in (cancel_after, limit) if n is not None), default=None)
        items: list[Dataset] = []
        codes: list[int] = []
        with self._request(WORKLIST_FIND) as (requested, assoc):
            message_id = self._next_message_id()
            responses = assoc.send_c_find(identifier, WORKLIST_FIND, msg_id=message_id)
            while True:
                if cancel_at == len(codes):
                    assoc.send_c_cancel(message_id, query_model=WORKLIST_FIND)
                    cancel_at = None
                status, item = _next_response(requested, responses)
                if not status.is_pending:
                    return FindResult(status, items, codes)
                codes.append(status.code)
                if limit is None or len(items) < limit:
                    items.append(item)

    def cancel(self, message_id: int | None = None) -> None:
        """C-CANCEL for a query that has ended already: by default for the last request."""
        with self._request(WORKLIST_FIND) as (_, assoc):
            assoc.send_c_cancel(message_id or self._message_id, query_model=WORKLIST_FIND)

    def create(self, attributes: Dataset, sop_instance_uid: str | None = None) -> StepResult:
        """N-CREATE of a Modality Performed Procedure Step (PS3.4 F.7.2.1).

        Parameters
        ----------
        attributes : Dataset
            As from :func:`step_attributes`.
        sop_instance_uid : str, optional
            Of the new step; when absent the peer is left to assign one (PS3.7 10.1.5.1.4).

        Raises
        ------
        InvalidItem
            No UID, or a value that the data set's own character set has no bytes for.
        """
        _refuse_invalid(attributes, sop_instance_uid)
        with self._request(MPPS) as (requested, assoc):
            message_id = self._next_message_id()
            answer, created = assoc.send_n_create(attributes, MPPS, sop_instance_uid, message_id)
            return _step_result(requested, answer, created, sop_instance_uid)

    def set(self, sop_instance_uid: str, modifications: Dataset) -> StepResult:
        """N-SET of a Modality Performed Procedure Step (PS3.4 F.7.2.2).

        Raises
        ------
        InvalidItem
            No UID, or a value that the data set's own character set has no bytes for.
        """
        _refuse_invalid(modifications, sop_instance_uid)
        with self._request(MPPS) as (requested, assoc):
            message_id = self._next_message_id()
            answer, changed = assoc.send_n_set(modifications, MPPS, sop_instance_uid, message_id)
            return _step_result(requested, answer, changed, sop_instance_uid)

    def get(self, sop_instance_uid: str, keywords: Sequence[str] = ()) -> StepResult:
        """N-GET of the MPPS Retrieve SOP class (PS3.4 F.8.2.1).

        Parameters
        ----------
        sop_instance_uid : str
            Of the step.
        keywords : sequence of str
            Attributes to ask for; all of them when empty.

        Raises
        ------
        InvalidItem
            No UID, or a keyword that the DICOM dictionary does not have.
        """
        _refuse_invalid(None, sop_instance_uid)
        tags = _tags(keywords)
        with self._request(MPPS_RETRIEVE) as (requested, assoc):
            message_id = self._next_message_id()
            answer, kept = assoc.send_n_get(tags, MPPS_RETRIEVE, sop_instance_uid, message_id)
            return _step_result(requested, answer, kept, sop_instance_uid)

    def _requested(self) -> RequestedAssociation:
        if self._open is None:
            self._open = RequestedAssociation(self.peer, self._sop_classes)
        return self._open

    @contextmanager
    def _request(self, sop_class: str) -> Iterator[tuple[RequestedAssociation, Association]]:
        requested = self._requested()
        try:
            yield requested, requested.ready_for(sop_class)
        except RuntimeError as error:
            # The association ended between our look at it and pynetdicom's.
            raise requested.lost() from error

    def _next_message_id(self) -> int:
        self._message_id = self._message_id % 0xFFFF + 1
        return self._message_id


def echo(peer: Peer) -> Status:
    """One C-ECHO; see :meth:`Scanner.echo`."""
    with closing(Scanner(peer, (VERIFICATION,))) as scanner:
        return scanner.echo()


def find(
    peer: Peer,
    identifier: Dataset,
    *,
    cancel_after: int | None = None,
    limit: int | None = None,
) -> FindResult:
    """One worklist query; see :meth:`Scanner.find`."""
    with closing(Scanner(peer, (WORKLIST_FIND,))) as scanner:
        return scanner.find(identifier, cancel_after=cancel_after, limit=limit)


def create_step(peer: Peer, attributes: Dataset, sop_instance_uid: str | None = None) -> StepResult:
    """One N-CREATE; see :meth:`Scanner.create`."""
    with closing(Scanner(peer, (MPPS,))) as scanner:
        return scanner.create(attributes, sop_instance_uid)


def set_step(peer: Peer, sop_instance_uid: str, modifications: Dataset) -> StepResult:
    """One N-SET; see :meth:`Scanner.set`."""
    with closing(Scanner(peer, (MPPS,))) as scanner:
        return scanner.set(sop_instance_uid, modifications)


def get_step(peer: Peer, sop_instance_uid: str, keywords: Sequence[str] = ()) -> StepResult:
    """One N-GET; see :meth:`Scanner.get`."""
    with closing(Scanner(peer, (MPPS_RETRIEVE,))) as scanner:
        return scanner.get(sop_instance_uid, keywords)


def _refuse_invalid(ds: Dataset | None, sop_instance_uid: str | None) -> None:
    problems = list(unencodable(ds)) if ds is not None else []
    if sop_instance_uid is not None:
        try:
            if not values.uid(sop_instance_uid):
                problems.append(ValueProblem("SOPInstanceUID", "", "expected a UID"))
        except ValueError as error:
            problems.append(ValueProblem("SOPInstanceUID", sop_instance_uid, str(error)))
    if problems:
        raise InvalidItem(problems)


def _tags(keywords: Sequence[str]) -> list[BaseTag]:
    tags, problems = [], []
    for name in keywords:
        try:
            tags.append(Tag(keyword_of(name)))
        except ValueError as error:
            problems.append(ValueProblem(name, "", str(error)))
    if problems:
        raise InvalidItem(problems)
    return tags


def _next_response(
    requested: RequestedAssociation, responses: Iterator[tuple[Dataset, Dataset | None]]
) -> tuple[Status, Dataset]:
    requested.awaits_response()
    answer, item = next(responses)
    if "Status" not in answer:
        raise requested.lost()
    status = status_of(answer)
    if status.is_pending and item is None:
        # The rest of the answer cannot be trusted, and pynetdicom would tell it twice.
        requested.abort()
        raise PeerError(f"{requested.peer.address} sent an item that cannot be decoded")
    return status, item or Dataset()


def _step_result(
    requested: RequestedAssociation,
    answer: Dataset,
    attributes: Dataset | None,
    asked_uid: str | None,
) -> StepResult:
    status = _status(requested, answer)
    command = requested.response or Dataset()
    uid = str(command.get("AffectedSOPInstanceUID") or asked_uid or "")
    return StepResult(status, uid, attributes)


def _status(requested: RequestedAssociation, answer: Dataset) -> Status:
    if "Status" not in answer:
        raise requested.lost()
    # The command set has all there is; pynetdicom's own status leaves parts out.
    return status_of(requested.response or answer)
