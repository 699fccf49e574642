"""The clock and the zone of a stand-in server, which need not be the client's."""

from __future__ import annotations

import datetime as dt
import time
import zoneinfo


def zone_of(zone: str | dt.tzinfo) -> dt.tzinfo:
    """The zone of that name, by pytz's rules where pytz is installed; a tzinfo is kept as it is.

    Hand in a ``zoneinfo.ZoneInfo`` to let the server live by the operating system's rules.

    Raises
    ------
    KeyError
        No zone of that name.
    """
    if isinstance(zone, dt.tzinfo):
        return zone
    try:
        import pytz
    except ImportError:
        return zoneinfo.ZoneInfo(zone)
    return pytz.timezone(zone)


class VirtualClock:
    """A settable clock that starts with the real time and runs at its speed.

    Parameters
    ----------
    zone : str or tzinfo
        Where the server stands; its log and its bookings are written in this zone's wall time.
    start : datetime, optional
        First instant (aware, or naive wall time of `zone`); the real present when absent.
    frozen : bool
        Stand still until advanced or set.
    """

    def __init__(
        self,
        zone: str | dt.tzinfo = "America/Edmonton",
        start: dt.datetime | None = None,
        *,
        frozen: bool = False,
    ) -> None:
        self.zone = zone_of(zone)
        self._state = (dt.datetime.now(dt.UTC), None if frozen else time.monotonic())
        if start is not None:
            self.set(start)

    @property
    def frozen(self) -> bool:
        """Whether the clock stands still."""
        return self._state[1] is None

    def now(self) -> dt.datetime:
        """The server's present instant, aware, in UTC."""
        base, since = self._state
        if since is None:
            return base
        return base + dt.timedelta(seconds=time.monotonic() - since)

    def wall(self) -> dt.datetime:
        """What the clock on the server's wall shows: naive, in the server's zone."""
        return self.to_wall(self.now())

    def set(self, when: dt.datetime, *, frozen: bool | None = None) -> None:
        """Jump to an instant (aware) or to a wall-clock time of the server (naive)."""
        instant = when.astimezone(dt.UTC) if when.tzinfo else self.to_instant(when)
        stand = self.frozen if frozen is None else frozen
        self._state = (instant, None if stand else time.monotonic())

    def advance(self, seconds: float = 0, **more: float) -> None:
        """Move on by seconds, and by whatever else a timedelta takes (``days=1``)."""
        self.set(self.now() + dt.timedelta(seconds=seconds, **more))

    def set_zone(self, zone: str | dt.tzinfo) -> None:
        """Move the server to another zone; what was written before keeps its old wall times."""
        self.zone = zone_of(zone)

    def to_wall(self, instant: dt.datetime) -> dt.datetime:
        """An instant as naive wall time of the server."""
        return instant.astimezone(self.zone).replace(tzinfo=None)

    def to_instant(self, wall: dt.datetime) -> dt.datetime:
        """A wall time of the server as an instant; the first one where it happens twice."""
        if hasattr(self.zone, "localize"):
            aware: dt.datetime = self.zone.localize(wall, is_dst=True)
        else:
            aware = wall.replace(tzinfo=self.zone)
        return aware.astimezone(dt.UTC)
