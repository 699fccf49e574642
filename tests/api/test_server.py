"""Where it listens, over what, and how it ends."""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme
from tests.api.conftest import PASSWORDS, USERNAMES, Api, MakeApi

from pylantir.api import server
from pylantir.errors import StartError
from pylantir.rest import RestApi
from pylantir.users.roles import Role


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    authority = trustme.CA()
    made = authority.issue_cert("localhost", "127.0.0.1")
    paths = {name: str(tmp_path / f"{name}.pem") for name in ("certificate", "key", "ca")}
    made.private_key_pem.write_to_path(paths["key"])
    chain = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    Path(paths["certificate"]).write_bytes(chain)
    authority.cert_pem.write_to_path(paths["ca"])
    return paths


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "some.host.example"])
def test_an_address_that_others_reach_needs_tls_or_a_word_about_a_proxy(
    make_api: MakeApi, host: str
) -> None:
    with pytest.raises(StartError, match=r"behind_proxy.*127\.0\.0\.1"):
        make_api(api={"host": host})


def test_behind_a_proxy_any_address_will_do(make_api: MakeApi) -> None:
    api = make_api(api={"host": "0.0.0.0", "behind_proxy": True})

    answer = api("GET", "/health", None)

    assert answer.status_code == 200
    assert "strict-transport-security" in answer.headers


def test_over_tls_with_the_site_s_certificate(
    make_api: MakeApi, certificate: dict[str, str]
) -> None:
    files = {"tls_certificate": certificate["certificate"], "tls_key": certificate["key"]}
    api = make_api(api={"host": "0.0.0.0", **files})

    assert api.part.url.startswith("https://")
    answer = requests.get(f"{api.part.url}/health", verify=certificate["ca"], timeout=30)
    assert answer.status_code == 200
    assert "strict-transport-security" in answer.headers
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{api.part.url}/health", timeout=30)


def test_a_certificate_that_cannot_be_used_is_said(make_api: MakeApi, tmp_path: Path) -> None:
    (tmp_path / "x.pem").write_text("no certificate", encoding="utf-8")
    files = {"tls_certificate": str(tmp_path / "x.pem"), "tls_key": str(tmp_path / "none.pem")}

    with pytest.raises(StartError, match="tls_certificate"):
        make_api(api=files)


def test_a_taken_port_is_said(make_api: MakeApi) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(StartError, match="--api-port"),
    ):
        make_api(api={"port": other.getsockname()[1]})


def test_the_port_is_free_again_afterwards(make_api: MakeApi) -> None:
    api = make_api()
    port = int(api.part.url.rpartition(":")[2])

    api.part.stop()

    with socket.create_server(("127.0.0.1", port)):
        pass


def test_it_ends_while_clients_are_connected(make_api: MakeApi) -> None:
    api = make_api()
    host, port = "127.0.0.1", int(api.part.url.rpartition(":")[2])
    silent = [socket.create_connection((host, port), 30) for _ in range(5)]
    assert api("GET", "/health", None).status_code == 200

    api.part.stop()

    assert not any(thread.name == "rest" for thread in threading.enumerate())
    for each in silent:
        each.close()


def test_only_a_trusted_proxy_says_where_a_client_is(make_api: MakeApi) -> None:
    """Six wrong passwords from one forwarded address; the next comes from another one."""
    behind = make_api(api={"behind_proxy": True})
    alone = make_api()
    body = {"username": USERNAMES[Role.READ], "password": "wrong"}
    for api, from_elsewhere in ((behind, 401), (alone, 429)):
        for _ in range(5):
            headers = {"X-Forwarded-For": "203.0.113.1"}
            api("POST", "/auth/login", None, json=body, headers=headers)
        headers = {"X-Forwarded-For": "203.0.113.99"}
        answer = api("POST", "/auth/login", None, json=body, headers=headers)
        assert answer.status_code == from_elsewhere


def test_wrong_passwords_wait_with_retry_after(api: Api) -> None:
    body = {"username": USERNAMES[Role.READ], "password": "wrong"}
    answers = [api("POST", "/auth/login", None, json=body) for _ in range(6)]

    assert [answer.status_code for answer in answers] == [401] * 5 + [429]
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].json()["code"] == "too_many_attempts"
    assert api("POST", "/auth/login", None, json={**body, "username": USERNAMES[Role.WRITE],
               "password": PASSWORDS[Role.WRITE]}).status_code == 200  # fmt: skip


def test_a_restart_gives_nobody_another_five_guesses(api: Api) -> None:
    wrong = {"username": "guest", "password": "a wrong guess of somebody"}
    answers = [api("POST", "/auth/login", None, json=wrong) for _ in range(9)]
    assert answers[-1].status_code == 429
    again = RestApi(api.config, {}, api.worklist)
    again.start()
    try:
        answer = requests.post(f"{again.url}/auth/login", json=wrong, timeout=30)
        other = {"username": USERNAMES[Role.WRITE], "password": PASSWORDS[Role.WRITE]}
        others = requests.post(f"{again.url}/auth/login", json=other, timeout=30)
    finally:
        again.stop()

    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_attempts")
    assert int(answer.headers["retry-after"]) >= 1
    assert others.status_code == 200, "nobody else waits"


def test_health_answers_while_passwords_are_checked(api: Api) -> None:
    """What is measured elsewhere in milliseconds is proved here by order: hashing is held up,
    and the loop answers all the same."""
    hold, begun = threading.Event(), threading.Event()
    services_hashing = _hashing_of(api)
    for _ in range(services_hashing._max_workers):
        services_hashing.submit(lambda: (begun.set(), hold.wait(60)))
    assert begun.wait(30)
    with ThreadPoolExecutor(20) as pool:
        logins = [
            pool.submit(
                api, "POST", "/auth/login", None, json={"username": f"u{n}", "password": "wrong"}
            )
            for n in range(20)
        ]
        try:
            for _ in range(10):
                assert api("GET", "/health", None).status_code == 200
            assert not any(login.done() for login in logins)
        finally:
            hold.set()
        assert {login.result().status_code for login in logins} == {401}


def _hashing_of(api: Api) -> Any:
    server: Any = api.part._server
    return server._services.hashing


def test_who_comes_when_all_connections_are_taken_is_told(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Silent ones count, and those that ask beyond the limit are told, not left waiting."""
    monkeypatch.setattr(server, "MAX_CONNECTIONS", 8)
    port = int(api.part.url.rpartition(":")[2])
    silent = [socket.create_connection(("127.0.0.1", port), 30) for _ in range(8)]

    answer = api("GET", "/health", None)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-content-type-options"] == "nosniff"
    for each in silent:
        each.close()
    while api("GET", "/health", None).status_code != 200:
        pass  # until the server has seen that they are gone
