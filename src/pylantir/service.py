"""What a service manager wants to hear: systemd's notifications (sd_notify), nothing elsewhere."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Mapping


class ServiceManager:
    """Talks to systemd, when it has started us with ``Type=notify``.

    Parameters
    ----------
    environ : mapping, optional
        The environment; that of this process when absent.
    """

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self._address = environ.get("NOTIFY_SOCKET", "")
        self._watchdog_usec = environ.get("WATCHDOG_USEC", "")
        self._watched_pid = environ.get("WATCHDOG_PID", "")
        self._status = ""

    @property
    def watchdog_s(self) -> float | None:
        """Seconds after which it ends us unless it hears from us; nothing when it does not."""
        if not self._watchdog_usec.isdigit() or not self._address:
            return None
        if self._watched_pid and self._watched_pid != str(os.getpid()):
            return None
        return int(self._watchdog_usec) / 1e6 or None

    def ready(self) -> None:
        """We serve."""
        self._say("READY=1")

    def stopping(self) -> None:
        """We are about to end."""
        self._say("STOPPING=1")

    def alive(self) -> None:
        """We have proved that we work."""
        self._say("WATCHDOG=1")

    def status(self, words: str) -> None:
        """One line for ``systemctl status``; said when it changes."""
        line = " ".join(words.split())
        if line != self._status:
            self._status = line
            self._say(f"STATUS={line}")

    def _say(self, message: str) -> None:
        if not self._address or not hasattr(socket, "AF_UNIX"):
            return
        address = self._address
        if address.startswith("@"):  # Linux' abstract names
            address = "\0" + address[1:]
        # It may have gone, or be busy: what it wants to know, it will hear the next time.
        with (
            contextlib.suppress(OSError),
            contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)) as connection,
        ):
            connection.settimeout(1.0)
            connection.sendto(message.encode(), address)
