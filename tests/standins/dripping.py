"""A server that sends the same few bytes for ever, so that no time-out of a socket fires."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def dripping(text: bytes, before: bytes = b"") -> Iterator[str]:
    """Its address, for one connection.

    Parameters
    ----------
    text : bytes
        Sent again and again.
    before : bytes
        Sent once.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        over = threading.Event()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                try:
                    connection.sendall(before)
                    while not over.wait(0.02):
                        connection.sendall(text)
                except OSError:
                    return

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            over.set()
            serving.join(5)
