"""A flood of refusals is counted, so that nobody fills the disk by knocking."""

from __future__ import annotations

import threading
import time

from pylantir.audit.events import AuditEvent, Kind, now

SINGLE = 10
"""So many alike are kept one by one within a window."""

WINDOW_S = 60.0
MAX_KINDS = 1_000
"""Kinds of refusals that are told apart; more are counted as one."""

_Key = tuple[str, str, str]
_COUNTED = (Kind.REFUSED, Kind.LOGIN)


class _Seen:
    __slots__ = ("last", "left_out", "number", "since")

    def __init__(self, event: AuditEvent, since: float) -> None:
        self.since = since
        self.number = 0
        self.left_out = 0
        self.last = event


class Repeats:
    """Lets the first refusals of a kind through and counts the others of the same minute."""

    def __init__(self) -> None:
        self._seen: dict[_Key, _Seen] = {}
        self._counting = threading.Lock()

    def admits(self, event: AuditEvent) -> bool:
        """Whether the event is kept by itself; if not, it has been counted."""
        if event.kind not in _COUNTED or not event.outcome:
            return True
        with self._counting:
            seen = self._of(_key(event), event)
            seen.number += 1
            if seen.number <= SINGLE:
                return True
            seen.left_out += 1
            seen.last = event
            return False

    def _of(self, key: _Key, event: AuditEvent) -> _Seen:
        if key not in self._seen and len(self._seen) >= MAX_KINDS:
            key = (str(event.kind), "", "")
        return self._seen.setdefault(key, _Seen(event, time.monotonic()))

    def pause(self) -> float | None:
        """Seconds until a window ends; nothing when there is none."""
        with self._counting:
            if not self._seen:
                return None
            first = min(seen.since for seen in self._seen.values())
        return max(0.05, first + WINDOW_S - time.monotonic())

    def summaries(self, *, final: bool = False) -> list[AuditEvent]:
        """One event for all that was counted in each window that is over."""
        if not self._seen:
            return []
        over = time.monotonic() - WINDOW_S
        with self._counting:
            ended = [key for key, seen in self._seen.items() if final or seen.since <= over]
            windows = [self._seen.pop(key) for key in ended]
        return [_summary(seen) for seen in windows if seen.left_out]


def _key(event: AuditEvent) -> _Key:
    address = next((actor.address for actor in event.actors if actor.address), "")
    return str(event.kind), address, event.reason


def _summary(seen: _Seen) -> AuditEvent:
    reason = f"{seen.last.reason}; and {seen.left_out} more like this within {WINDOW_S:.0f} s"
    return seen.last._replace(at=now(), reason=reason)
