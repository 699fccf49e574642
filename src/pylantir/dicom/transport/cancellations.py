"""C-CANCEL: which queries their scanners want no more of (PS3.7 9.3.2.3)."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

_C_FIND_RQ, _C_CANCEL_RQ = 0x0020, 0x0FFF


class Cancellations:
    """Which queries their scanners have cancelled (PS3.7 9.3.2.3).

    The library forgets a C-CANCEL that is read before the query's handler runs. So they are noted
    here, in the order in which the messages come.
    """

    def __init__(self) -> None:
        self._message_ids: WeakKeyDictionary[Association, set[int]] = WeakKeyDictionary()

    def note(self, event: Event) -> None:
        """Handler of ``EVT_DIMSE_RECV``."""
        command = event.message.command_set
        if command.CommandField == _C_FIND_RQ:
            # An earlier query with the same Message ID is over, cancelled or not.
            self._of(event).discard(command.MessageID)
        elif command.CommandField == _C_CANCEL_RQ:
            self._of(event).add(command.MessageIDBeingRespondedTo)

    def _of(self, event: Event) -> set[int]:
        return self._message_ids.setdefault(event.assoc, set())

    def listen(self, event: Event, for_s: float) -> bool:
        """Wait for a C-CANCEL of this query; returns whether one came in time.

        Parameters
        ----------
        event : Event
            Of the query.
        for_s : float
            Longest wait in seconds; 0 hears what is there already.
        """
        layer: Any = event.assoc.dul
        end = time.monotonic() + for_s
        while not self.is_cancelled(event) and event.assoc.is_established:
            left = end - time.monotonic()
            layer.look(max(left, 0.0))
            if left <= 0:
                break
        return self.is_cancelled(event)

    def is_cancelled(self, event: Event) -> bool:
        """Whether the query that an ``EVT_C_FIND`` brought has been cancelled."""
        request: Any = event.request
        return request.MessageID in self._message_ids.get(event.assoc, ())
