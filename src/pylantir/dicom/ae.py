"""The Application Entity: presentation contexts, who may connect, start and stop (PS3.8, PS3.7 D).

Offers Verification, Modality Worklist FIND, MPPS and MPPS Retrieve, in implicit and explicit VR
little endian, and explicit VR big endian for consoles of long ago.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from pydicom import config as pydicom_config
from pydicom.uid import UID
from pynetdicom import _config, evt

from pylantir.audit.trail import AuditTrail
from pylantir.clock import SiteClock
from pylantir.dicom import answers, scanners
from pylantir.dicom.access import (
    CALLED_NOT_RECOGNISED,
    CALLING_NOT_RECOGNISED,
    Access,
    Decision,
)
from pylantir.dicom.audited import DicomAudit
from pylantir.dicom.certificates import Certificates, certificate_names, why_not
from pylantir.dicom.implementation import CLASS_UID, version_name
from pylantir.dicom.mpps_scp import MppsScp
from pylantir.dicom.sop_classes import SOP_CLASSES, TRANSFER_SYNTAXES
from pylantir.dicom.stream import C_ECHO_RSP
from pylantir.dicom.transport.admission import Doorway, Handshake
from pylantir.dicom.transport.message_limits import MessageLimits
from pylantir.dicom.transport.messages import refuse, withhold
from pylantir.dicom.transport.server import AssociationServer, Limits, LocalAE
from pylantir.dicom.transport.slots import Slots
from pylantir.dicom.worklist_scp import WorklistScp
from pylantir.errors import StartError
from pylantir.worklist.journal import QueryJournal
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

    from pylantir.config.schema import Config

log = logging.getLogger(__name__)

_ABORT_S = 1.0
"""How long a stop waits for associations that are busy."""

_PENDING = (answers.PENDING, answers.PENDING_UNSUPPORTED)


class ApplicationEntity:
    """The DICOM server.

    Parameters
    ----------
    config : Config
        AE title, address, port, who may connect, scanner profiles.
    items, steps : ItemStore, StepStore
        The worklist.
    clock : SiteClock
        The clock on the wall.
    audit : AuditTrail, optional
        Keeps who asked for and who changed what.
    journal : QueryJournal, optional
        Keeps what scanners asked lately.
    """

    def __init__(
        self,
        config: Config,
        items: ItemStore,
        steps: StepStore,
        clock: SiteClock,
        audit: AuditTrail | None = None,
        journal: QueryJournal | None = None,
    ) -> None:
        self._audit = DicomAudit(audit or AuditTrail(None), items)
        self._config = config
        self.access = Access(config)
        self._scanner = scanners.remembered(config)
        self._worklist = WorklistScp(items, config, clock, self._audit, journal)
        mpps = MppsScp(steps, config, clock, self._audit)
        self._handlers: list[evt.EventHandlerType] = [
            (evt.EVT_REQUESTED, self._admit),
            (evt.EVT_C_ECHO, self._handle_echo),
            (evt.EVT_C_FIND, self._worklist.handle_find),
            (evt.EVT_N_CREATE, mpps.handle_create),
            (evt.EVT_N_SET, mpps.handle_set),
            (evt.EVT_N_GET, mpps.handle_get),
        ]
        self._answered: Callable[[Event, int, int], None] | None = None
        self._ae = self._make_ae()
        self.certificates = Certificates(config.tls) if config.tls else None
        self._plain: AssociationServer | None = None
        self._secured: AssociationServer | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens without TLS, or with it if there is no other door.

        Host and port; the real port when 0 was asked for.
        """
        server = self._plain or self._secured
        return (self._config.ip, self._config.port) if server is None else _address_of(server)

    @property
    def tls_address(self) -> tuple[str, int] | None:
        """Where it listens for TLS, if it does."""
        return None if self._secured is None else _address_of(self._secured)

    @property
    def is_tls_only(self) -> bool:
        """Whether nobody gets in without TLS."""
        return self._config.tls is not None and not self._config.tls.plain

    def rehearse(self) -> None:
        """Put first answers together before anybody waits for one.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        self._worklist.rehearse(self._config.ae_title)

    def start(self) -> None:
        """Listen.

        Raises
        ------
        StartError
            A port is taken or the address is not this machine's.
        ConfigurationError
            A certificate cannot be used.
        """
        _silence_libraries()
        limits, tls = self._limits(), self._config.tls
        try:
            if not self.is_tls_only:
                self._plain = self._listen(self._config.port, limits)
            if tls is not None and self.certificates is not None:
                self.certificates.start()
                self._secured = self._listen(tls.port, limits, self.certificates.handshake)
        except BaseException:
            self.stop()
            raise

    def _listen(
        self, port: int, limits: Limits, handshake: Handshake | None = None
    ) -> AssociationServer:
        server = AssociationServer(
            self._ae, self._handlers, limits, handshake, self._audit.turned_away
        )
        address = (self._config.ip, port)
        try:
            server.start(address)
        except OSError as error:
            setting = "tls.port" if handshake else "--port"
            raise StartError(_why_not(address, error, setting)) from error
        return server

    def stop(self) -> None:
        """Abort open associations and stop listening; returns when the ports are free."""
        if self.certificates is not None:
            self.certificates.stop()
        servers = [server for server in (self._plain, self._secured) if server is not None]
        self._plain = self._secured = None
        with ThreadPoolExecutor(max(1, len(servers)), "stop-dicom") as pool:
            for stopped in [pool.submit(server.stop, _ABORT_S) for server in servers]:
                stopped.result()

    def observe(self, answered: Callable[[int, int], None]) -> None:
        """Tell somebody the command field and the status of each final answer; before a start."""

        def tell(event: Event, command_field: int, status: int) -> None:
            own = event.assoc.requestor.ae_title.strip() == self.access.own_ae_title
            if status not in _PENDING and not own:
                answered(command_field, status)

        def hear(event: Event) -> None:
            command = event.message.command_set
            status = getattr(command, "Status", None)
            if status is not None:
                tell(event, int(command.CommandField), int(status))

        self._answered = tell  # these two do not take the library's way
        self._worklist.observe(tell)
        self._handlers.append((evt.EVT_DIMSE_SENT, hear))

    def _limits(self) -> Limits:
        config, limits = self._config, self._config.limits
        slots = Slots(
            config.maximum_associations,
            limits.per_ae_title,
            limits.per_address,
            limits.reserved_per_scanner,
            known=self.access.known_titles(config),
            own=self.access.own_ae_title,
        )
        doorway = Doorway(config.timeouts.acse_s, limits.waiting_per_address, limits.waiting)
        messages = MessageLimits(
            limits.message_bytes, config.timeouts.dimse_s, config.timeouts.network_s
        )
        return Limits(slots, doorway, messages, self.access.names_address)

    def _make_ae(self) -> LocalAE:
        ae = LocalAE(ae_title=self._config.ae_title)
        ae.implementation_class_uid = UID(CLASS_UID)
        ae.implementation_version_name = version_name()
        for sop_class in SOP_CLASSES:
            ae.add_supported_context(sop_class, list(TRANSFER_SYNTAXES))
        ae.acse_timeout = self._config.timeouts.acse_s
        ae.dimse_timeout = self._config.timeouts.dimse_s
        ae.network_timeout = self._config.timeouts.network_s
        return ae

    def _handle_echo(self, event: Event) -> int:
        calling = event.assoc.requestor.ae_title.strip()
        if calling != self.access.own_ae_title:
            log.info("C-ECHO from %s", calling)
        if self._answered is not None:
            self._answered(event, C_ECHO_RSP, answers.SUCCESS)
        return answers.SUCCESS

    def _admit(self, event: Event) -> None:
        """Refuse who may not connect (PS3.8 Table 9-21)."""
        request = event.assoc.requestor.primitive
        assert request is not None
        calling = str(request.calling_ae_title).strip()
        called = str(request.called_ae_title).strip()
        decision = self.access.decide(calling, called, event.assoc.requestor.address or "")
        expected = self._scanner(calling).called_ae_titles
        if decision.refusal is None and expected and called not in expected:
            decision = Decision(CALLED_NOT_RECOGNISED, "called AE title not recognised")
        if decision.refusal is None and (words := self._is_impostor(event.assoc, calling)):
            decision = Decision(CALLING_NOT_RECOGNISED, words)
        if decision.refusal is not None:
            self._audit.refused(event.assoc, calling, called, decision.words)
            log.warning("association from %r refused: %s", calling, decision.words)
            refuse(event.assoc, *decision.refusal)
            return
        self._withhold(event.assoc, calling, called, decision)

    def _is_impostor(self, association: Association, calling: str) -> str:
        """Why somebody is not the scanner that a certificate belongs to; empty when it is."""
        tls, connection = self._config.tls, association.dul.socket
        if tls is None or calling == self.access.own_ae_title or connection is None:
            return ""
        return why_not(tls.scanner_names, calling, certificate_names(connection.socket))

    def _withhold(
        self, association: Association, calling: str, called: str, decision: Decision
    ) -> None:
        """Let the contexts be rejected that somebody has no right to use, and say so."""
        withhold(association, decision.withheld)
        request: Any = association.requestor.primitive
        asked = {c.abstract_syntax for c in request.presentation_context_definition_list}
        refused = sorted(UID(uid).name for uid in decision.withheld & asked)
        if refused and calling != self.access.own_ae_title:
            words = f"no right to use {', '.join(refused)}"
            self._audit.refused(association, calling, called, words)
            log.warning("association from %r: %s", calling, words)


def _silence_libraries() -> None:
    """No identifier in anybody's log, and no warning about values that we check ourselves."""
    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.LOG_HANDLER_LEVEL = "none"
    pydicom_config.settings.reading_validation_mode = pydicom_config.IGNORE
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)


def _address_of(server: AssociationServer) -> tuple[str, int]:
    host, port = server.server_address[:2]
    return str(host), int(port)


def _why_not(address: tuple[str, int], error: OSError, setting: str) -> str:
    host, port = address
    if error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1)):
        return (
            f"port {port} on {host} is taken: another program, perhaps another pylantir, "
            f"listens there. Stop it, or choose another port with {setting}."
        )
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs more rights; choose one above 1023 with {setting}."
    return (
        f"cannot listen on {host} port {port}: {error.strerror or error}. Check --ip and {setting}."
    )
