"""How long to wait before a server is asked once more.

Within a round few and short: the round itself is repeated by whoever polls, who is more patient.
Every wait is random, so that many clients do not come back at the same moment.
"""

from __future__ import annotations

import datetime as dt
import random
from email.utils import parsedate_to_datetime

ATTEMPTS = 3
"""How often one request is made within a round."""

FIRST_WAIT_S = 1.0
WITHIN_A_ROUND_S = 20.0
"""A server that wants more than this is left alone until a later round."""

LONGEST_WAIT_S = 3600.0
"""No server can send us away for longer."""


def wait_after(failures: int) -> float:
    """Seconds to wait after so many failed attempts (1 or more): doubled each time, full jitter."""
    return random.uniform(0, min(WITHIN_A_ROUND_S, FIRST_WAIT_S * 2**failures))  # noqa: S311


def asked_wait_s(retry_after: str, now: dt.datetime) -> float:
    """Seconds that a ``Retry-After`` header asks us to wait (RFC 9110 section 10.2.3).

    Parameters
    ----------
    retry_after : str
        The header: seconds, or the date of an instant.
    now : datetime
        The present instant, aware.

    Returns
    -------
    float
        0 to :data:`LONGEST_WAIT_S`; 0 for no header and for one that has no meaning.
    """
    text = retry_after.strip()
    if text.isascii() and text.isdecimal():
        return min(float(text), LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return 0.0
    until = until if until.tzinfo else until.replace(tzinfo=dt.UTC)
    return min(max(0.0, (until - now).total_seconds()), LONGEST_WAIT_S)
