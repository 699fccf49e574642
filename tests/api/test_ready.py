"""``/ready`` asks the DICOM server for a C-ECHO, whichever process it is in."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from tests.api.conftest import Api

from pylantir.daemon import Daemon, open_worklist
from pylantir.rest import RestApi
from pylantir.worklist.instance import InstanceLock


def ready(api: Api) -> tuple[int, dict[str, Any]]:
    """Status, and what is said of the DICOM server; tried anew."""
    api.part._checked = None
    answer = api("GET", "/ready", None)
    (dicom,) = [check for check in answer.json()["checks"] if check["name"] == "dicom"]
    return answer.status_code, dicom


def test_that_no_server_serves_the_worklist_is_said_and_is_no_fault_of_the_api(api: Api) -> None:
    status, dicom = ready(api)

    assert status == 200
    assert (dicom["ok"], dicom["required"]) == (False, False)
    assert "no DICOM server serves this worklist" in dicom["detail"]


def test_the_server_beside_it_is_asked_where_it_said_that_it_listens(api: Api) -> None:
    config = api.config.model_copy(update={"ip": "127.0.0.1", "port": 0, "allowed_aet": ("MR1",)})
    daemon = Daemon(open_worklist(config, to_serve=True))
    daemon.start()
    try:
        status, dicom = ready(api)
    finally:
        daemon.stop()

    assert (status, dicom["ok"], dicom["required"]) == (200, True, True)
    assert "C-ECHO: 0x0000 Success" in dicom["detail"]
    assert ready(api)[1]["required"] is False, "it has stopped"


def test_a_server_that_does_not_answer_is_not_ready(api: Api) -> None:
    path = api.worklist.database.path
    assert path is not None
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
    lock = InstanceLock(path)
    lock.acquire()
    try:
        lock.say({"host_address": "127.0.0.1", "port": port, "called": "X", "calling": "X"})
        status, dicom = ready(api)
    finally:
        lock.release()

    assert (status, dicom["ok"], dicom["required"]) == (503, False, True)
    assert "no answer to a C-ECHO" in dicom["detail"]


def test_who_asks_meanwhile_is_told_what_was_found_before(api: Api, monkeypatch: Any) -> None:
    """A door that does not open keeps one thread of the API, and not all of them."""
    before = api.part._checks()
    begun, answers = threading.Event(), threading.Event()
    genuine = RestApi._check

    def slow(part: RestApi) -> Any:
        begun.set()
        answers.wait(60)
        return genuine(part)

    monkeypatch.setattr(RestApi, "_check", slow)
    monkeypatch.setattr("pylantir.rest._TRUSTED_S", -1.0)
    waiting = threading.Thread(target=api.part._checks)
    waiting.start()
    assert begun.wait(30)

    assert api.part._checks() is before
    answers.set()
    waiting.join(30)
    assert not waiting.is_alive()
