"""How an answer leaves the server: whole, or as a fault wants it."""

from __future__ import annotations

import gzip
import os
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler

from tests.standins.faults import Fault
from tests.standins.wire import Reply

_COMPRESSED_FROM_BYTES = 1_000
_CHUNK_BYTES = 8_192
_LINGER = "hh" if os.name == "nt" else "ii"


def send(handler: BaseHTTPRequestHandler, reply: Reply, *, compress: bool = False) -> int:
    """Send a reply as it should be; returns the bytes of the body."""
    body = reply.body
    headers = dict(reply.headers)
    accepted = handler.headers.get("Accept-Encoding", "") if handler.headers else ""
    if compress and len(body) >= _COMPRESSED_FROM_BYTES and "gzip" in accepted:
        body = gzip.compress(body, 1)
        headers["Content-Encoding"] = "gzip"
    _head(handler, reply, headers, {"Content-Length": str(len(body))})
    if handler.command != "HEAD":
        handler.wfile.write(body)
    return len(body)


def send_faulty(
    handler: BaseHTTPRequestHandler, reply: Reply, fault: Fault, released: threading.Event
) -> int:
    """Send a reply the way the fault says; returns the bytes of the body that were sent."""
    body = reply.body
    if fault.truncate_after is not None:
        body = body[: fault.truncate_after]
    if fault.chunked:
        length = {"Transfer-Encoding": "chunked"}
    else:
        length = {"Content-Length": str(max(0, len(reply.body) + fault.length_error))}
    handler.close_connection = handler.close_connection or _spoils_connection(fault)
    _head(handler, reply, reply.headers, length)
    if fault.drip_s:
        sent = _drip(handler, body, fault, released)
    elif fault.chunked:
        for start in range(0, len(body), _CHUNK_BYTES):
            handler.wfile.write(_chunk(body[start : start + _CHUNK_BYTES]))
        sent = len(body)
    else:
        handler.wfile.write(body)
        sent = len(body)
    if fault.chunked and fault.truncate_after is None:
        handler.wfile.write(b"0\r\n\r\n")
    handler.wfile.flush()
    if fault.cut == "reset":
        reset(handler.connection)
    return sent


def reset(connection: socket.socket) -> None:
    """Make the end of a connection a reset (RST), not an orderly close (FIN)."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack(_LINGER, 1, 0))


def _spoils_connection(fault: Fault) -> bool:
    return bool(fault.cut or fault.length_error or fault.truncate_after is not None)


def _head(
    handler: BaseHTTPRequestHandler, reply: Reply, headers: dict[str, str], length: dict[str, str]
) -> None:
    handler.send_response_only(reply.status)
    own = {
        "Server": handler.version_string(),
        "Date": handler.date_time_string(),
        "Content-Type": reply.content_type,
    }
    for name, value in {**own, **headers, **length}.items():  # a fault may lie about the date
        handler.send_header(name, value)
    handler.end_headers()


def _drip(
    handler: BaseHTTPRequestHandler, body: bytes, fault: Fault, released: threading.Event
) -> int:
    for sent in range(len(body)):
        one = body[sent : sent + 1]
        handler.wfile.write(_chunk(one) if fault.chunked else one)
        handler.wfile.flush()
        if released.wait(fault.drip_s):
            handler.close_connection = True
            return sent + 1
    return len(body)


def _chunk(part: bytes) -> bytes:
    return f"{len(part):x}\r\n".encode() + part + b"\r\n"
