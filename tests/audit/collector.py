"""A syslog collector: takes RFC 5425 frames, over TLS or without."""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
from collections.abc import Callable

FRAME = re.compile(rb"([1-9][0-9]*) ")


class Collector:
    """Listens on a free port; a connection at a time."""

    def __init__(self, context: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self.messages: list[bytes] = []
        self.connections = 0
        self._arrived = threading.Condition()
        self._connection: socket.socket | None = None
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def wait(self, condition: Callable[[], bool]) -> None:
        with self._arrived:
            assert self._arrived.wait_for(condition, 30), len(self.messages)

    def numbers(self) -> list[int]:
        """``sequenceId`` of each message."""
        return [int(re.search(rb'sequenceId="([0-9]+)"', m)[1]) for m in self.messages]  # type: ignore[index]

    def hang_up(self) -> None:
        """Reset the connection, as a collector does that is killed."""
        connection = self._connection
        assert connection is not None
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)

    def stop(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        if self._connection is not None:
            self.hang_up()
        self._thread.join(30)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self._connection = connection
                with self._arrived:
                    self.connections += 1
                    self._arrived.notify_all()
                with contextlib.suppress(OSError):
                    self._serve(connection)

    def _serve(self, connection: socket.socket) -> None:
        if self._context is None:
            self._read(connection)
            return
        with self._context.wrap_socket(connection, server_side=True) as secured:
            self._connection = secured
            self._read(secured)
            with contextlib.suppress(OSError):
                secured.unwrap()

    def _read(self, connection: socket.socket) -> None:
        buffer = b""
        while data := connection.recv(65_536):
            buffer += data
            while (found := FRAME.match(buffer)) and len(buffer) >= found.end() + int(found[1]):
                end = found.end() + int(found[1])
                with self._arrived:
                    self.messages.append(buffer[found.end() : end])
                    self._arrived.notify_all()
                buffer = buffer[end:]
