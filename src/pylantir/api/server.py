"""The HTTP server: one more part of the daemon that starts and stops."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
import ssl
import threading
from typing import TYPE_CHECKING

import uvicorn

from pylantir.api.app import Extension, build_app
from pylantir.api.connection import Connection
from pylantir.api.guard import Guard
from pylantir.api.services import Services
from pylantir.errors import StartError

if TYPE_CHECKING:
    from pylantir.config.api import ApiSettings

MAX_CONNECTIONS = 200
_MAX_HEAD_BYTES = 16 * 1024
_KEEP_ALIVE_S = 10
_GRACE_S = 0.5
_STOP_S = 1.8
_START_S = 10.0


class ApiServer:
    """Serves the REST API in a thread of its own.

    Parameters
    ----------
    services : Services
        What it serves. It does not close them.
    extensions : Extension
        What it serves beside the API.
    """

    def __init__(self, services: Services, *extensions: Extension) -> None:
        self._services = services
        self._extensions = extensions
        self._api = services.config.api
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._address = (self._api.host, self._api.port)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens: host and port; the real port when 0 was asked for."""
        return self._address

    @property
    def url(self) -> str:
        """What to type into a browser on this machine."""
        host, port = self._address
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read only
        scheme = "https" if self._api.tls_certificate else "http"
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"

    def start(self) -> None:
        """Listen.

        Raises
        ------
        StartError
            The port is taken, the address is open to others without TLS, or the certificate
            cannot be used.
        """
        require_protected(self._api)
        listener = _listen(self._api.host, self._api.port)
        try:
            guard = build_app(self._services, *self._extensions)
            config = self._uvicorn_config(guard)
            config.load()
        except (OSError, ssl.SSLError) as error:
            listener.close()
            raise StartError(
                f"cannot use api.tls_certificate {self._api.tls_certificate} with api.tls_key "
                f"{self._api.tls_key}: {error.strerror or error}"
            ) from error
        self._address = listener.getsockname()[:2]
        self._server = _Server(config)
        open_ones = self._server.server_state.connections
        guard.is_full = lambda: len(open_ones) > MAX_CONNECTIONS
        self._thread = threading.Thread(
            target=self._server.run, args=([listener],), name="rest", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(_START_S):
            self.stop()
            raise StartError("the REST API did not start")

    def stop(self) -> None:
        """End; open requests get a moment to finish."""
        if self._server is None or self._thread is None:
            return
        self._services.closing.set()
        self._server.should_exit = True
        self._thread.join(_STOP_S)
        self._services.hashing.shutdown(wait=False, cancel_futures=True)
        self._server = None

    def _uvicorn_config(self, guard: Guard) -> uvicorn.Config:
        api = self._api
        return uvicorn.Config(
            guard,
            loop="asyncio",
            http=Connection,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=api.behind_proxy,
            forwarded_allow_ips=list(api.trusted_proxies),
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_GRACE_S,  # type: ignore[arg-type]  # asyncio's, so fractions do
            h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
            ssl_certfile=api.tls_certificate,
            ssl_keyfile=api.tls_key,
        )


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):  # who did not go in time
            connection.transport.abort()
        while self.server_state.connections:
            await asyncio.sleep(0)


def require_protected(api: ApiSettings) -> None:
    """Refuse to send names and passwords in the clear over a network.

    Raises
    ------
    StartError
        The address is not this machine's own, and nobody does TLS.
    """
    if api.tls_certificate or api.behind_proxy or _is_loopback(api.host):
        return
    raise StartError(
        f"the REST API on {api.host} could be reached over the network without TLS: set "
        "api.tls_certificate and api.tls_key, or say that a reverse proxy does TLS "
        "(api.behind_proxy, --behind-proxy), or listen on 127.0.0.1"
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, getattr(errno, "WSAEADDRINUSE", -1)):
            why = "it is taken: stop the other program, or choose another with --api-port"
        else:
            why = f"{error.strerror or error}; check --api-host and --api-port"
        raise StartError(f"the REST API cannot listen on {host} port {port}: {why}") from error
