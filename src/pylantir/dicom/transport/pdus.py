"""Bytes of the upper layer that are read or written outside an association (PS3.8 9.3)."""

from __future__ import annotations

import struct
from dataclasses import dataclass

A_ASSOCIATE_RQ, P_DATA_TF, A_RELEASE_RQ, A_ABORT = 0x01, 0x04, 0x05, 0x07
RELEASE_RP = bytes((0x06, 0, 0, 0, 0, 4, 0, 0, 0, 0))
"""An A-RELEASE-RP (9.3.7)."""

HEADER_BYTES = 6
MAX_ASSOCIATE_BYTES = 131_072
"""Longest association request: 128 presentation contexts with every known transfer syntax fit."""

_FIXED_BYTES = 68
"""Protocol version, AE titles and what is reserved, before the variable items (Table 9-11)."""

_ITEMS = frozenset((0x10, 0x20, 0x50))
_FIXED = struct.Struct(">HH16s16s32x")
_HEADER = struct.Struct(">BxI")
_VALUE = struct.Struct(">IB")
_ITEM = struct.Struct(">BxH")

VERSION_NOT_SUPPORTED = (1, 2, 2)
TEMPORARY_CONGESTION = (2, 3, 1)
LOCAL_LIMIT_EXCEEDED = (2, 3, 2)
"""Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""


class NotARequest(Exception):
    """What a peer sent is no association request."""


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """An A-ASSOCIATE-RQ whose items fill it exactly.

    Parameters
    ----------
    pdu : bytes
        All of it.
    calling, called : str
        AE titles without leading and trailing spaces.
    address : tuple
        Of the peer: host, port, and for IPv6 flow and scope.
    """

    pdu: bytes
    calling: str
    called: str
    address: tuple[str, int] | tuple[str, int, int, int]

    @property
    def host(self) -> str:
        """IP address of the peer."""
        return self.address[0]

    @property
    def speaks_our_version(self) -> bool:
        """Whether bit 0 of the protocol version is set, the only one to be tested (9.3.2)."""
        return bool(self.pdu[7] & 0x01)


def header(received: bytes | bytearray) -> tuple[int, int]:
    """Type and length of the PDU that begins here; six bytes must be there."""
    kind, length = _HEADER.unpack_from(received)
    return kind, length


def missing_bytes(received: bytes | bytearray) -> int:
    """How many bytes an association request lacks; 0 or less when it is complete.

    Raises
    ------
    NotARequest
        It is something else, or too long.
    """
    if received and received[0] != A_ASSOCIATE_RQ:
        raise NotARequest(_guess(bytes(received[:6])))
    if len(received) < HEADER_BYTES:
        return HEADER_BYTES - len(received)
    _, length = header(received)
    if not _FIXED_BYTES <= length <= MAX_ASSOCIATE_BYTES - HEADER_BYTES:
        raise NotARequest(f"an association request of {length} bytes")
    return HEADER_BYTES + length - len(received)


def associate_request(
    pdu: bytes, address: tuple[str, int] | tuple[str, int, int, int]
) -> AssociateRequest:
    """Read the head of a complete association request.

    Raises
    ------
    NotARequest
        Its items do not fill it, or its AE titles are none (PS3.8 9.3.2).
    """
    _, _, called, calling = _FIXED.unpack_from(pdu, HEADER_BYTES)
    position = HEADER_BYTES + _FIXED_BYTES
    while position < len(pdu):
        if position + 4 > len(pdu):
            raise NotARequest("an association request that ends within an item")
        kind, length = _ITEM.unpack_from(pdu, position)
        if kind not in _ITEMS:
            raise NotARequest("an association request with an unknown item")
        position += 4 + length
    if position != len(pdu):
        raise NotARequest("an association request that ends within an item")
    return AssociateRequest(pdu, _title(calling), _title(called), address)


def data_values(pdu: bytes) -> list[tuple[int, bytes]] | None:
    """Presentation contexts and fragments of a P-DATA-TF (9.3.5), nothing when they do not fill it.

    Each fragment begins with its message control header.
    """
    values, position = [], HEADER_BYTES
    while position < len(pdu):
        if position + _VALUE.size > len(pdu):
            return None
        length, context_id = _VALUE.unpack_from(pdu, position)
        end = position + 4 + length
        if length < 2 or end > len(pdu):
            return None
        values.append((context_id, pdu[position + _VALUE.size : end]))
        position = end
    return values


def _title(encoded: bytes) -> str:
    title = encoded.decode("latin-1").strip(" \0")
    if not title or not (title.isascii() and title.isprintable()) or "\\" in title:
        raise NotARequest("an association request with an AE title that is none")
    return title


def _guess(start: bytes) -> str:
    if start[:2] == b"\x16\x03":
        return "a TLS handshake on a port without TLS"
    if start[:4] in (b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"CONN", b"PRI "):
        return "an HTTP request"
    if start[0] <= A_ABORT:
        return f"a PDU of type {start[0]} before any association"
    return "no DICOM"


def reject(result: int, source: int, reason: int) -> bytes:
    """An A-ASSOCIATE-RJ (9.3.4)."""
    return struct.pack(">BxIxBBB", 0x03, 4, result, source, reason)


def abort(source: int, reason: int = 0) -> bytes:
    """An A-ABORT (9.3.8); source 0 is the user, 2 the provider."""
    return struct.pack(">BxIxxBB", A_ABORT, 4, source, reason)
