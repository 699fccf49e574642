"""A real Application Entity for the scanner's side to talk to, with handlers of the test's own."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.transport import ThreadedAssociationServer

from pylantir.dicom import scu


@contextmanager
def server(
    handlers: list[tuple[Any, Callable[[Any], Any]]] | None = None,
    classes: tuple[str, ...] = scu.SOP_CLASSES,
    syntaxes: tuple[str, ...] = (ImplicitVRLittleEndian, ExplicitVRLittleEndian),
    **settings: Any,
) -> Iterator[scu.Peer]:
    """A real AE on a free port, and the peer to reach it."""
    ae = AE(ae_title="MWL_SERVER")
    for uid in classes:
        ae.add_supported_context(uid, list(syntaxes))
    for name, value in settings.items():
        setattr(ae, name, value)
    listening = ae.make_server(
        ("127.0.0.1", 0),
        evt_handlers=list(handlers or []),
        server_class=ThreadedAssociationServer,
    )
    thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield scu.Peer("127.0.0.1", listening.socket.getsockname()[1], timeout_s=20)
    finally:
        for association in listening.active_associations:
            association.abort()
        socketserver.BaseServer.shutdown(listening)  # pynetdicom's own wants start_server
        listening.server_close()
        thread.join()


def answer(code: int, **elements: Any) -> Dataset:
    status = Dataset()
    status.Status = code
    for keyword, value in elements.items():
        setattr(status, keyword, value)
    return status
