"""An association that we accept, from its request to its end, on one thread."""

from __future__ import annotations

import logging
import socket
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from pynetdicom import evt
from pynetdicom.association import Association
from pynetdicom.dimse_primitives import C_ECHO, C_FIND, N_CREATE, N_GET, N_SET
from pynetdicom.pdu_primitives import A_ASSOCIATE
from pynetdicom.service_class import BasicWorklistManagementServiceClass
from pynetdicom.service_class_n import ProcedureStepServiceClass

from pylantir.dicom.sop_classes import MPPS, MPPS_RETRIEVE, VERIFICATION, WORKLIST_FIND
from pylantir.dicom.stream import C_ECHO_RSP, N_CREATE_RSP, N_SET_RSP, Cut, command_set
from pylantir.dicom.transport import pdus
from pylantir.dicom.transport.blank import Blank
from pylantir.dicom.transport.dimse import Messages
from pylantir.dicom.transport.message_limits import MessageLimits
from pylantir.dicom.transport.openings import KnownOpenings, Negotiation
from pylantir.dicom.transport.pdus import AssociateRequest
from pylantir.dicom.transport.peer_socket import PeerSocket
from pylantir.dicom.transport.requests import KnownRequests
from pylantir.dicom.transport.upper_layer import UpperLayer

if TYPE_CHECKING:
    from pynetdicom.dimse_primitives import DimseServiceType
    from pynetdicom.presentation import PresentationContext

    from pylantir.dicom.transport.slots import Slot

log = logging.getLogger(__name__)

_SUCCESS = 0x0000
_PROCESSING_FAILURE = 0x0110
_UNRECOGNISED_OPERATION = 0x0211
_MISTYPED_ARGUMENT = 0x0212
_UNABLE_TO_PROCESS = 0xC000
"""PS3.7 Annex C; the last is what a C-FIND answers for the one before."""

_MPPS_OPERATIONS = (N_CREATE, N_SET, N_GET)
_OPERATIONS: dict[str, tuple[type, ...]] = {
    VERIFICATION: (C_ECHO,),
    WORKLIST_FIND: (C_FIND,),
    MPPS: _MPPS_OPERATIONS,
    MPPS_RETRIEVE: _MPPS_OPERATIONS,
}
"""What a service class of ours answers; the library aborts or says nothing to all else."""

_PERFORMED: dict[type, tuple[evt.EventType, int]] = {
    N_CREATE: (evt.EVT_N_CREATE, N_CREATE_RSP),
    N_SET: (evt.EVT_N_SET, N_SET_RSP),
}
"""What tells the handler, and what tells the peer."""


@dataclass(frozen=True, slots=True)
class Shared:
    """What all associations of an AE have in common.

    Parameters
    ----------
    blank : Blank
        What each is before anybody has asked for anything.
    handlers : dict
        Handlers by event, as the library keeps them.
    limits : MessageLimits
        What a peer may send.
    openings, requests : KnownOpenings, KnownRequests
        What any peer has sent before.
    """

    blank: Blank
    handlers: dict[Any, Any]
    limits: MessageLimits
    openings: KnownOpenings = field(default_factory=KnownOpenings)
    requests: KnownRequests = field(default_factory=KnownRequests)


class ScannerAssociation(Association):
    """An accepted association; :meth:`serve` is its whole life.

    Parameters
    ----------
    shared : Shared
        What it has in common with others.
    request : AssociateRequest
        What the peer asks for.
    connection : socket
        Where it came from.
    """

    def __init__(
        self, shared: Shared, request: AssociateRequest, connection: socket.socket
    ) -> None:
        shared.blank.copy_to(self, request.address, connection.getsockname())
        self._handlers = shared.handlers
        self._handlers_are_shared = True
        self._openings = shared.openings
        self.acse = Negotiation(self)
        self.dul = UpperLayer(self, shared.limits, shared.blank)
        self.dimse = Messages(self, shared.requests)
        self._request = request
        self.slot: Slot | None = None
        self.set_socket(PeerSocket(self, connection, shared.limits.message_s))

    def bind(self, event: evt.EventType, handler: Any, args: list[Any] | None = None) -> None:
        """Bind a handler, for this association only."""
        self._have_own_handlers()
        super().bind(event, handler, args)

    def unbind(self, event: evt.EventType, handler: Any) -> None:
        """Unbind a handler, for this association only."""
        self._have_own_handlers()
        super().unbind(event, handler)

    def _have_own_handlers(self) -> None:
        if self._handlers_are_shared:
            self._handlers_are_shared = False
            self._handlers = {
                event: list(bound) if isinstance(bound, list) else bound
                for event, bound in self._handlers.items()
            }

    def serve(self) -> socket.socket | None:
        """Answer the request, then every message until the end.

        Returns
        -------
        socket or None
            Where the peer is the one to close the connection.
        """
        layer = cast(UpperLayer, self.dul)
        evt.trigger(self, evt.EVT_CONN_OPEN, {"address": self._request.address})
        try:
            self._negotiate(layer)
            # The library takes it for established even when nobody was there to hear the answer.
            while self.is_established and not (self._kill or layer.is_over):
                self._answer(layer)
        except Exception as error:  # a door: one association must not take the others with it
            log.error("association with %s failed: %s", self._request.calling, type(error).__name__)
            log.debug("cause", exc_info=True)
            self.abort(block=False)
        self._note_the_end()
        connection = layer.finish()
        self._take_apart(layer)
        return connection

    def _take_apart(self, layer: UpperLayer) -> None:
        """Cut the circles of references, so that memory is free without a garbage collection."""
        parts: list[Any] = [self.acse, self.dimse, layer.socket]
        for part in filter(None, parts):
            part._assoc = None
        users: list[Any] = [self.requestor, self.acceptor]
        for user in users:
            user.assoc = None
        whole: Any = layer
        whole._assoc = whole.state_machine.dul = None
        vars(self).pop("abort", None)

    def _negotiate(self, layer: UpperLayer) -> None:
        opening = self._openings.find(self._request.pdu)
        if opening is not None:
            layer.open_again()
            primitive: Any = opening.primitive
        else:
            layer.open(self._request.pdu)
            primitive = layer.receive_pdu()
            if not isinstance(primitive, A_ASSOCIATE):
                return
        self.requestor.primitive = primitive
        self.requestor.ae_title = primitive.calling_ae_title
        evt.trigger(self, evt.EVT_REQUESTED, {})
        if self.is_aborted or self.is_rejected:
            return
        withheld = cast(Negotiation, self.acse).withheld
        agreement = opening.agreements.get(withheld) if opening is not None else None
        if agreement is None:
            self.acse.negotiate_association()
            if self.is_established:
                self._openings.keep(self._request.pdu, self, withheld)
            return
        agreement.apply(self)
        layer.accept(agreement.answer)
        evt.trigger(self, evt.EVT_ACCEPTED, {})
        self.is_established = True
        evt.trigger(self, evt.EVT_ESTABLISHED, {})

    def _answer(self, layer: UpperLayer) -> None:
        """The next message, the peer's wish to leave, or a wait for either."""
        context_id, message = self.dimse.get_msg(block=False)
        if message is not None:
            self._serve_request(message, cast(int, context_id))
        elif layer.is_asked_to_release:
            self.leave()
            layer.agree_to_release()
            self.is_released = True
            self.is_established = False
            evt.trigger(self, evt.EVT_RELEASED, {})
        else:
            layer.wait()

    @property
    def calling(self) -> str:
        """The peer's AE title."""
        return self._request.calling

    def leave(self) -> None:
        """Give the slot back: at the latest before the peer learns that it is released."""
        if self.slot is not None:
            self.slot.free()

    def break_off(self, within_s: float) -> None:
        """Abort and hang up, whatever is going on; any thread may call.

        Parameters
        ----------
        within_s : float
            Longest wait for a PDU to be sent whole, in seconds.
        """
        connection = self.dul.socket
        if isinstance(connection, PeerSocket):
            connection.break_off(pdus.abort(0), within_s)
        self._kill = True  # not before: its thread would hang up without the abort

    def _note_the_end(self) -> None:
        if self.acse.is_aborted() and not self._sent_abort:
            self.dul.receive_pdu(wait=False)
            self.is_aborted = True
            evt.trigger(self, evt.EVT_ABORTED, {})
        self.is_established = False

    def _abort_blocking(self, block: bool = True) -> None:
        """There is no other thread to wait for."""
        super()._abort_blocking(block=False)
        self._kill = True

    def _serve_request(self, msg: DimseServiceType, context_id: int) -> None:
        """Answer what no service class of ours would, then let the library do its work."""
        request: Any = msg
        context = self._accepted_cx.get(context_id)
        if context is None or request.MessageID is None:
            super()._serve_request(msg, context_id)
            return
        status = _refusal(context.abstract_syntax, request)
        if status:
            answer = type(request)()
            answer.MessageIDBeingRespondedTo = request.MessageID
            answer.AffectedSOPClassUID = context.abstract_syntax
            answer.Status = status
            self.dimse.send_msg(answer, context_id)
        elif isinstance(request, C_FIND):
            self._find(request, context)
        elif isinstance(request, C_ECHO):
            self._echo(request, context)
        elif context.abstract_syntax == MPPS and (uid := _named_instance(request)):
            self._perform(request, context, uid)
        else:
            super()._serve_request(msg, context_id)

    def _echo(self, request: C_ECHO, context: PresentationContext) -> None:
        """Tell the handler and answer success, the only status there is (PS3.7 9.1.5.1.4)."""
        evt.trigger(self, evt.EVT_C_ECHO, {"request": request, "context": context.as_tuple})
        self._succeed(C_ECHO_RSP, request, context, str(request.AffectedSOPClassUID))

    def _perform(self, request: N_CREATE | N_SET, context: PresentationContext, uid: str) -> None:
        """Have an N-CREATE or N-SET of a named instance done, and say how it went."""
        kind = type(request)
        event, response = _PERFORMED[kind]
        about = {"request": request, "context": context.as_tuple}
        try:
            status, _ = cast(tuple[Any, Any], evt.trigger(self, event, about))
        except Exception as error:  # a door: the peer hears that nothing was kept
            log.error("a request of %s failed: %s", self.calling, type(error).__name__)
            log.debug("cause", exc_info=True)
            status = _PROCESSING_FAILURE
        if status == _SUCCESS and not self.get_handlers(evt.EVT_DIMSE_SENT):
            self._succeed(response, request, context, MPPS, uid)
            return
        answer = kind()
        answer.MessageIDBeingRespondedTo = request.MessageID
        answer.AffectedSOPClassUID = MPPS
        answer.AffectedSOPInstanceUID = uid
        answer = ProcedureStepServiceClass(self).validate_status(status, answer)
        self.dimse.send_msg(answer, cast(int, context.context_id))

    def _succeed(
        self,
        response: int,
        request: Any,
        context: PresentationContext,
        sop_class: str,
        instance_uid: str | None = None,
    ) -> None:
        """Write a response that says success and nothing more."""
        answer = command_set(
            response, sop_class, request.MessageID, _SUCCESS, instance_uid=instance_uid
        )
        cut = Cut.within(cast(int, context.context_id), self.dimse.maximum_pdu_size)
        cast(UpperLayer, self.dul).write(cut.command(answer))

    def _find(self, request: C_FIND, context: PresentationContext) -> None:
        """Have a query answered: the handler writes its responses, and yields a failure if any.

        The library would make each response anew from data sets, which takes longer than to find
        what is in it, and send one of its own at the end.
        """
        service = BasicWorklistManagementServiceClass(self)
        about = {
            "request": request,
            "context": context.as_tuple,
            "_is_cancelled": service.is_cancelled,
        }
        for status, _ in evt.trigger(self, evt.EVT_C_FIND, about) or ():
            answer = C_FIND()
            answer.MessageIDBeingRespondedTo = request.MessageID
            answer.AffectedSOPClassUID = request.AffectedSOPClassUID
            self.dimse.send_msg(
                service.validate_status(status, answer), cast(int, context.context_id)
            )


def _named_instance(request: Any) -> str | None:
    """The SOP Instance UID that an N-CREATE or N-SET of MPPS names; the library sees to others."""
    if isinstance(request, N_CREATE):
        sop_class, instance = request.AffectedSOPClassUID, request.AffectedSOPInstanceUID
    elif isinstance(request, N_SET):
        sop_class, instance = request.RequestedSOPClassUID, request.RequestedSOPInstanceUID
    else:
        return None
    return instance if sop_class == MPPS else None


def _refusal(sop_class: str | None, request: Any) -> int:
    """The status for what is no operation of a SOP class, or lacks a mandatory parameter."""
    operations = _OPERATIONS.get(str(sop_class))
    if operations and not isinstance(request, operations):
        return _UNRECOGNISED_OPERATION
    if isinstance(request, C_FIND) and request.Priority is None:
        request.Priority = 0  # nothing depends on it
    if request.is_valid_request:
        return 0
    return _UNABLE_TO_PROCESS if isinstance(request, C_FIND) else _MISTYPED_ARGUMENT
