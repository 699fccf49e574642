"""C-CANCEL: which queries their scanners want no more of (PS3.7 9.3.2.3).

The library forgets a C-CANCEL that is read before the query's handler runs. So
:class:`~pylantir.dicom.transport.dimse.Messages` notes them in the order in which they come.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pynetdicom.events import Event


def listen(event: Event, for_s: float) -> bool:
    """Wait for a C-CANCEL of a query; returns whether one came in time.

    Parameters
    ----------
    event : Event
        Of the query.
    for_s : float
        Longest wait in seconds; 0 hears what is there already.
    """
    layer: Any = event.assoc.dul
    end = time.monotonic() + for_s
    while not is_cancelled(event) and event.assoc.is_established:
        left = end - time.monotonic()
        layer.look(max(left, 0.0))
        if left <= 0:
            break
    return is_cancelled(event)


def is_cancelled(event: Event) -> bool:
    """Whether the query that an ``EVT_C_FIND`` brought has been cancelled."""
    request: Any = event.request
    messages: Any = event.assoc.dimse
    return request.MessageID in messages.cancelled
