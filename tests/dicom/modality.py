"""A modality on a bare socket: the DICOM upper layer (PS3.8) without pynetdicom.

The server speaks through that library; whoever talks to it here does not, so that a mistake of
the library cannot cancel itself out, and a test may say what no library would send.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from types import TracebackType

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, ImplicitVRLittleEndian

VERIFICATION = "1.2.840.10008.1.1"
WORKLIST = "1.2.840.10008.5.1.4.31"
MPPS = "1.2.840.10008.3.1.2.3.3"
RETRIEVE = "1.2.840.10008.3.1.2.3.4"

C_FIND, C_ECHO, C_CANCEL = 0x0020, 0x0030, 0x0FFF
N_GET, N_SET, N_ACTION, N_CREATE, N_DELETE = 0x0110, 0x0120, 0x0130, 0x0140, 0x0150
_RESPONSE = 0x8000
_NO_DATA_SET, _DATA_SET = 0x0101, 0x0001
_MAX_FRAGMENT = 16_000

Proposals = Sequence[tuple[str, Sequence[str]]]
"""Abstract syntax and transfer syntaxes of each presentation context."""


class Refused(Exception):
    """A-ASSOCIATE-RJ: result, source, reason (PS3.8 Table 9-21)."""


class Aborted(Exception):
    """A-ABORT: source, reason (PS3.8 Table 9-26)."""


class HungUp(Exception):
    """The connection ended without a word."""


@dataclass
class Answer:
    """The response to one request.

    `raw` is the encoded data set; `items` and `codes` belong to the pending responses of C-FIND.
    """

    command: Dataset
    data: Dataset | None = None
    raw: bytes = b""
    items: list[Dataset] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    encoded: list[bytes] = field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.command.Status)

    @property
    def comment(self) -> str:
        return str(self.command.get("ErrorComment", ""))

    @property
    def tags(self) -> list[int]:
        """Attribute Identifier List."""
        given = self.command.get("AttributeIdentifierList")
        if given is None:
            return []
        return [int(given)] if isinstance(given, int) else [int(tag) for tag in given]

    @property
    def uid(self) -> str:
        return str(self.command.get("AffectedSOPInstanceUID", ""))


def encode(ds: Dataset, syntax: str = ImplicitVRLittleEndian) -> bytes:
    """A data set in a transfer syntax."""
    uid = UID(syntax)
    target = DicomBytesIO()
    target.is_little_endian, target.is_implicit_VR = uid.is_little_endian, uid.is_implicit_VR
    write_dataset(target, ds)
    return target.getvalue()


def decode(data: bytes, syntax: str = ImplicitVRLittleEndian) -> Dataset:
    """The data set of some bytes, every value of it read."""
    uid = UID(syntax)
    ds = read_dataset(BytesIO(data), uid.is_implicit_VR, uid.is_little_endian)
    ds.decode()
    return ds


class Modality:
    """One association; ``with`` opens and releases it."""

    def __init__(
        self,
        port: int,
        *,
        calling: str = "MR1",
        called: str = "MWL_SERVER",
        syntax: str = ImplicitVRLittleEndian,
        proposals: Proposals | None = None,
    ) -> None:
        self._port, self._calling, self._called = port, calling, called
        self._proposals = proposals or [
            (uid, [syntax]) for uid in (VERIFICATION, WORKLIST, MPPS, RETRIEVE)
        ]
        self.results: dict[str, tuple[int, str]] = {}
        self._message_id = 0

    def __enter__(self) -> Modality:
        self.open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.release()
        else:
            self.hang_up()

    # --- association ---

    def open(self) -> None:
        """Connect and associate; `results` then has the result and transfer syntax of each
        abstract syntax.
        """
        self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(self._associate_rq())
        try:
            kind, body = self._pdu()
        except (Refused, Aborted, HungUp):
            self.hang_up()
            raise
        assert kind == 0x02
        self._read_results(body)

    def _associate_rq(self) -> bytes:
        contexts = b"".join(
            _item(
                0x20,
                bytes((2 * number + 1, 0, 0, 0))
                + _item(0x30, abstract.encode())
                + b"".join(_item(0x40, syntax.encode()) for syntax in syntaxes),
            )
            for number, (abstract, syntaxes) in enumerate(self._proposals)
        )
        user = _item(0x51, struct.pack(">I", 16384)) + _item(0x52, b"2.25.1")
        titles = f"{self._called:16}{self._calling:16}".encode("ascii")
        body = struct.pack(">HH", 1, 0) + titles + bytes(32)
        body += _item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + _item(0x50, user)
        return struct.pack(">BBI", 1, 0, len(body)) + body

    def _read_results(self, body: bytes) -> None:
        position = 68
        while position < len(body):
            kind, length = struct.unpack_from(">BxH", body, position)
            item = body[position + 4 : position + 4 + length]
            if kind == 0x21:
                abstract = self._proposals[item[0] // 2][0]
                self.results[abstract] = (item[2], item[8:].decode("ascii"))
            position += 4 + length

    def release(self) -> None:
        """A-RELEASE, and wait for its confirmation."""
        self._socket.sendall(struct.pack(">BBII", 5, 0, 4, 0))
        try:
            assert self._pdu()[0] == 0x06
        finally:
            self.hang_up()

    def hang_up(self) -> None:
        """Close the connection without a word."""
        self._socket.close()

    def wait_for_the_end(self) -> None:
        """Read until the peer aborts or hangs up, which is raised."""
        try:
            while True:
                self._pdu()
        finally:
            self.hang_up()

    def is_open(self) -> bool:
        """Whether the peer has not ended the association: it says nothing unasked."""
        return not select.select([self._socket], [], [], 0)[0]

    # --- requests ---

    def echo(self) -> Answer:
        self._send(VERIFICATION, C_ECHO, None, AffectedSOPClassUID=VERIFICATION)
        return self._answer(VERIFICATION)

    def find(self, identifier: Dataset | bytes, *, cancel_after: int | None = None) -> Answer:
        """C-FIND; C-CANCEL follows once so many pending responses have come."""
        self._send(WORKLIST, C_FIND, identifier, AffectedSOPClassUID=WORKLIST, Priority=0)
        if cancel_after == 0:
            self.cancel()
        pending: list[Answer] = []
        while True:
            answer = self._answer(WORKLIST)
            if answer.status not in (0xFF00, 0xFF01):
                answer.items = [item.data for item in pending if item.data is not None]
                answer.codes = [item.status for item in pending]
                answer.encoded = [item.raw for item in pending]
                return answer
            pending.append(answer)
            if cancel_after == len(pending):
                self.cancel()

    def cancel(self, message_id: int | None = None) -> None:
        command = Dataset()
        command.CommandField = C_CANCEL
        command.MessageIDBeingRespondedTo = message_id or self._message_id
        command.CommandDataSetType = _NO_DATA_SET
        self._send_message(WORKLIST, command, b"")

    def create(
        self, attributes: Dataset | bytes | None, uid: str = "", sop_class: str = MPPS
    ) -> Answer:
        affected = {"AffectedSOPInstanceUID": uid} if uid else {}
        self._send(sop_class, N_CREATE, attributes, AffectedSOPClassUID=MPPS, **affected)
        return self._answer(sop_class)

    def set(self, uid: str, modifications: Dataset | bytes, sop_class: str = MPPS) -> Answer:
        requested = {"RequestedSOPClassUID": MPPS, "RequestedSOPInstanceUID": uid}
        self._send(sop_class, N_SET, modifications, **requested)
        return self._answer(sop_class)

    def get(self, uid: str, tags: Sequence[int] = (), sop_class: str = RETRIEVE) -> Answer:
        asked = {"AttributeIdentifierList": list(tags)} if tags else {}
        self._send(
            sop_class,
            N_GET,
            None,
            RequestedSOPClassUID=MPPS,
            RequestedSOPInstanceUID=uid,
            **asked,
        )
        return self._answer(sop_class)

    def ask(self, sop_class: str, operation: int, **elements: object) -> Answer:
        """Any other operation, without a data set."""
        self._send(sop_class, operation, None, **elements)
        return self._answer(sop_class)

    # --- messages ---

    def _send(
        self, sop_class: str, operation: int, data: Dataset | bytes | None, **elements: object
    ) -> None:
        self._message_id += 1
        command = Dataset()
        command.CommandField = operation
        command.MessageID = self._message_id
        command.CommandDataSetType = _NO_DATA_SET if data is None else _DATA_SET
        for keyword, value in elements.items():
            setattr(command, keyword, value)
        if isinstance(data, Dataset):
            data = encode(data, self.results[sop_class][1])
        self._send_message(sop_class, command, data or b"")

    def _send_message(self, sop_class: str, command: Dataset, data: bytes) -> None:
        body = encode(command)
        length = Dataset()
        length.CommandGroupLength = len(body)
        context = 2 * [abstract for abstract, _ in self._proposals].index(sop_class) + 1
        pdus = list(_p_data(context, encode(length) + body, 0x01))
        if command.CommandDataSetType == _DATA_SET:
            pdus += _p_data(context, data, 0x00)
        self._socket.sendall(b"".join(pdus))

    def _answer(self, sop_class: str) -> Answer:
        command = decode(self._fragments(0x01))
        assert command.CommandField & _RESPONSE
        assert command.MessageIDBeingRespondedTo == self._message_id
        if command.CommandDataSetType == _NO_DATA_SET:
            return Answer(command)
        raw = self._fragments(0x00)
        return Answer(command, decode(raw, self.results[sop_class][1]), raw)

    def _fragments(self, wanted: int) -> bytes:
        found = b""
        while True:
            kind, body = self._pdu()
            assert kind == 0x04
            position = 0
            while position < len(body):
                length, _, control = struct.unpack_from(">IBB", body, position)
                assert control & 0x01 == wanted
                found += body[position + 6 : position + 4 + length]
                position += 4 + length
            if control & 0x02:
                return found

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._read(6))
        body = self._read(length)
        if kind == 0x03:
            raise Refused(body[1], body[2], body[3])
        if kind == 0x07:
            raise Aborted(body[2], body[3])
        return kind, body

    def _read(self, length: int) -> bytes:
        found = b""
        while len(found) < length:
            try:
                part = self._socket.recv(length - len(found))
            except ConnectionResetError:
                part = b""
            if not part:
                raise HungUp
            found += part
        return found


def _item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def _p_data(context: int, data: bytes, control: int) -> Iterator[bytes]:
    for start in range(0, max(len(data), 1), _MAX_FRAGMENT):
        part = data[start : start + _MAX_FRAGMENT]
        last = 0x02 if start + _MAX_FRAGMENT >= len(data) else 0
        value = struct.pack(">IBB", len(part) + 2, context, control | last) + part
        yield struct.pack(">BxI", 4, len(value)) + value
