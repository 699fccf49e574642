"""Points in time as people type them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from pylantir.errors import ConfigProblem, ConfigurationError

if TYPE_CHECKING:
    from pylantir.clock import SiteClock

_DAYS = {"today": 0, "yesterday": -1}


def moment(
    shown: str | None, clock: SiteClock, option: str, *, end: bool = False
) -> dt.datetime | None:
    """The instant that ``today``, ``2026-11-21`` or ``2026-11-21 14:30`` means, aware.

    Parameters
    ----------
    shown : str or None
        What was typed; nothing means no limit.
    clock : SiteClock
        The times are those of the site.
    option : str
        Name of the option, for the message.
    end : bool
        A day alone means its end instead of its beginning.

    Raises
    ------
    ConfigurationError
        It is no point in time.
    """
    if shown is None:
        return None
    try:
        return _moment(shown.strip(), clock, end)
    except (ValueError, OverflowError):
        message = f"expected YYYY-MM-DD, today, yesterday, or YYYY-MM-DD HH:MM, got {shown!r}"
        raise ConfigurationError([ConfigProblem("command line", option, message)]) from None


def _moment(shown: str, clock: SiteClock, end: bool) -> dt.datetime:
    if shown in _DAYS:
        shown = (clock.today() + dt.timedelta(days=_DAYS[shown])).isoformat()
    if len(shown) <= 10:
        day = dt.date.fromisoformat(shown) + dt.timedelta(days=int(end))
        return clock.localize(dt.datetime.combine(day, dt.time()))
    at = dt.datetime.fromisoformat(shown)
    return at if at.tzinfo is not None else clock.localize(at)
