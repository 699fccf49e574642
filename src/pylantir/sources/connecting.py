"""Why no connection came about, in words of the person on call and without the address.

The texts of ``requests`` hold the whole address; only the innermost cause is looked at.
"""

from __future__ import annotations

import ssl
from typing import Any

import requests


def why_insecure(error: BaseException, server: str, setting: str) -> str:
    """Why a server and we agree on no secure connection.

    Parameters
    ----------
    error : BaseException
        As ``requests`` raised it.
    server : str
        What to call the server, such as ``Calpendo``.
    setting : str
        Where its address is configured, such as ``base_url``.
    """
    cause = _innermost(error)
    if not isinstance(cause, ssl.SSLCertVerificationError):
        reason = getattr(cause, "reason", None) or type(cause).__name__
        return f"{server} and we agree on no secure connection: {reason}; check {setting}"
    told = cause.verify_message.rstrip(".")
    about_time_or_name = any(word in told.lower() for word in ("expired", "not yet", "mismatch"))
    way_out = "" if about_time_or_name else "; set ca_bundle to the certificate of its authority"
    return f"{server}'s certificate is not trusted: {told}{way_out}"


def why_unreachable(error: BaseException, server: str, setting: str) -> str:
    """Why a server cannot be reached; the parameters are those of :func:`why_insecure`."""
    cause = type(_innermost(error)).__name__
    if isinstance(error, requests.exceptions.ProxyError):
        return f"the proxy does not let us through ({cause}); check HTTPS_PROXY"
    return _IN_WORDS.get(cause, cause).format(server=server, setting=setting)


_UNKNOWN_NAME = "its name is not known; check {setting} and the name server"
_IN_WORDS = {
    "RemoteDisconnected": "it hung up without an answer; check {setting}, also its http or https",
    "ConnectionRefusedError": "connection refused; check {setting}, and whether {server} runs",
    "ConnectionResetError": "the connection was reset",
    "ConnectionAbortedError": "the connection was cut",
    "NameResolutionError": _UNKNOWN_NAME,
    "gaierror": _UNKNOWN_NAME,
    "TimeoutError": "no connection in time",
}


def _innermost(error: BaseException) -> BaseException:
    seen = [error]
    while True:
        last: Any = seen[-1]
        inside = [getattr(last, "reason", None), last.__cause__, *getattr(last, "args", ())]
        found = [e for e in inside if isinstance(e, BaseException) and e not in seen]
        if not found:
            return seen[-1]
        seen.append(found[0])
