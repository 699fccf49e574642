"""The socket of one association: written whole, waited for, never polled."""

from __future__ import annotations

import contextlib
import logging
import select
import socket
import ssl
import sys
import threading
import time
from typing import TYPE_CHECKING

from pynetdicom.transport import AssociationSocket

if TYPE_CHECKING:
    from pynetdicom.association import Association

log = logging.getLogger(__name__)

CLOSED = "Evt17"
"""Transport connection closed (PS3.8 Table 9-10)."""

_READ_BYTES = 65_536
_NOT_YET = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


def wait_for(connection: socket.socket, timeout_s: float, *, to_write: bool = False) -> None:
    """Wait until there is something to read, or room to write; the descriptor may be any number.

    Raises
    ------
    OSError, ValueError
        It is closed.
    """
    if sys.platform == "win32":
        sets = ([], [connection]) if to_write else ([connection], [])
        select.select(*sets, [], timeout_s)
        return
    poller = select.poll()
    poller.register(connection, select.POLLOUT if to_write else select.POLLIN)
    poller.poll(timeout_s * 1000)


def _has_decrypted(connection: socket.socket) -> bool:
    return isinstance(connection, ssl.SSLSocket) and connection.pending() > 0


class PeerSocket(AssociationSocket):
    """The library's socket, written by one thread at a time and with a deadline."""

    def __init__(self, association: Association, connection: socket.socket, send_s: float) -> None:
        super().__init__(association, client_socket=connection)
        connection.setblocking(False)
        self._send_s = send_s
        self._events = association.dul.event_queue
        self._writing = threading.Lock()

    def send(self, bytestream: bytes) -> None:
        """Send all of it, or report the connection closed."""
        with self._writing:
            try:
                self._send_all(memoryview(bytestream))
            except (OSError, ValueError) as error:  # hung up; closed meanwhile
                if isinstance(error, TimeoutError) and self.assoc is not None:
                    log.warning("association with %s ended: it does not read", name_of(self.assoc))
                self._events.put(CLOSED)

    def _send_all(self, left: memoryview) -> None:
        until = time.monotonic() + self._send_s
        while left:
            if self.socket is None:
                raise ConnectionError("closed")
            try:
                left = left[self.socket.send(left) :]
            except _NOT_YET:
                remains = until - time.monotonic()
                if remains <= 0:
                    raise TimeoutError from None
                wait_for(self.socket, remains, to_write=True)

    def receive(self, timeout_s: float) -> bytes | None:
        """What has come; nothing within the time is None, the end of the connection is empty."""
        connection = self.socket
        if connection is None:
            return b""
        try:
            if timeout_s and not _has_decrypted(connection):
                wait_for(connection, timeout_s)
            return connection.recv(_READ_BYTES)
        except _NOT_YET:
            return None
        except (OSError, ValueError):
            return b""

    def break_off(self, last_words: bytes, within_s: float) -> None:
        """Hang up, with a last PDU if there is room for one; any thread may call.

        Parameters
        ----------
        last_words : bytes
            A PDU.
        within_s : float
            Longest wait for the end of another PDU, in seconds.
        """
        connection = self.socket
        if connection is None:
            return
        if self._writing.acquire(timeout=within_s):
            with contextlib.suppress(OSError, ValueError):
                connection.send(last_words)
            self._writing.release()
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)  # wakes the thread that reads or writes

    def detach(self) -> socket.socket | None:
        """Give the socket away: the library closes nothing any more."""
        connection, self.socket = self.socket, None
        return connection

    def _shutdown_socket(self) -> None:
        if self.socket is not None:
            with contextlib.suppress(OSError):  # the peer was faster; the library closes nothing
                self.socket.shutdown(socket.SHUT_RDWR)
            self.socket.close()


def name_of(association: Association) -> str:
    """Whom a line in the log is about: calling AE title, or address before it is known."""
    requestor = association.requestor
    return requestor.ae_title.strip() or requestor.address
