"""The stand-ins as programs, for people who want to look."""

from __future__ import annotations

import argparse
import datetime as dt
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence

from tests.standins import calpendo_data, calpendo_samples, redcap_samples
from tests.standins.calpendo import CalpendoStandIn
from tests.standins.clock import VirtualClock
from tests.standins.redcap import RedcapStandIn

_LOOK_S = 0.5
Say = Callable[[str], None]


def _print(line: str) -> None:
    print(line, flush=True)


def redcap_main(
    arguments: Sequence[str] | None = None,
    stopped: threading.Event | None = None,
    say: Say = _print,
) -> int:
    """``python -m tests.standins.redcap``"""
    parser = _parser("REDCap on loopback.", 8081)
    parser.add_argument(
        "--records", type=int, metavar="N", help="generated records instead of the sample's three"
    )
    parser.add_argument("--shape", choices=redcap_samples.SHAPES, default="longitudinal")
    parser.add_argument("--record-id", default="record_id", help="name of the record-id field")
    parser.add_argument(
        "--rate-limit", type=int, default=600, metavar="N", help="requests per minute, 0 for none"
    )
    told = parser.parse_args(arguments)
    server = RedcapStandIn(
        host=told.host,
        port=told.port,
        clock=_clock(told),
        ssl_context=_tls(told),
        per_minute=told.rate_limit or None,
    )
    if told.records is None:
        project = redcap_samples.sample_project()
    else:
        project = redcap_samples.generate(
            told.records,
            told.shape,
            record_id=told.record_id,
            seed=told.seed,
            clock=server.clock,
        )
    server.add_project(project)
    with server:
        control = f"{server.url}/__control__"
        place = redcap_samples.scan_key(project, 1)._asdict().items()
        where = " ".join(f"-d {name}={value}" for name, value in place if value)
        say(f"REDCap answers at {server.api_url}")
        say(f"  export REDCAP_API_URL={server.api_url}")
        say(f"  export REDCAP_API_TOKEN={project.token}")
        say("Try:")
        for line in (
            f"  curl -d token={project.token} -d content=record -d format=json {server.api_url}",
            f"  curl {control}/",
            f"  curl -d record=1 {where} -d mri_time=11:45 {control}/put",
            f"  curl -d record=2 {control}/delete_record",
            f"  curl -d route=record -d status=503 -d times=3 {control}/fault",
            f"  curl {control}/journal",
        ):
            say(line)
        return _run(told, stopped, say, redcap_samples.live_day(server))


def calpendo_main(
    arguments: Sequence[str] | None = None,
    stopped: threading.Event | None = None,
    say: Say = _print,
) -> int:
    """``python -m tests.standins.calpendo``"""
    parser = _parser("Calpendo on loopback.", 8082)
    parser.add_argument("--version", type=int, default=11, metavar="N", help="10: API at /webdav")
    parser.add_argument(
        "--bookings", type=int, default=8, metavar="N", help="how many to begin with"
    )
    told = parser.parse_args(arguments)
    server = CalpendoStandIn(
        host=told.host,
        port=told.port,
        clock=_clock(told),
        ssl_context=_tls(told),
        version=told.version,
    )
    made = calpendo_data.fill(server.bookings, told.bookings, seed=told.seed, days=2)
    with server:
        control = f"{server.url}/__control__"
        login = ":".join(server.auth)
        day = server.clock.wall().date()
        query = (
            f"q/Calpendo.Booking/dateRange.start.date/EQ/{day:%Y%m%d}?paths=title,dateRange.start"
        )
        some_id = made[0].id if made else 1
        say(f"Calpendo {told.version} answers at {server.api_url}, zone {server.clock.zone}")
        say(f"  export CALPENDO_USERNAME={server.auth[0]}")
        say(f"  export CALPENDO_PASSWORD={server.auth[1]}")
        say(f'  "base_url": "{server.base_url}", "api_path": "{server.api_path}"')
        say("Try:")
        ask = f"  curl -u {login} -H 'Accept: application/json'"
        for line in (
            f"{ask} '{server.api_url}/{query}'",
            f"{ask} {server.api_url}/b/Calpendo.Booking/{some_id}",
            f"  curl -d title=SUB999_Ada_Lovelace -d start={day}T16:00 {control}/create",
            f"  curl -d id={some_id} {control}/cancel",
            f"  curl {control}/",
        ):
            say(line)
        return _run(told, stopped, say, calpendo_samples.live_day(server))


def _parser(description: str, port: int) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=port, help="0 takes a free one (%(default)s)")
    parser.add_argument("--zone", default="America/Edmonton", help="the server's (%(default)s)")
    parser.add_argument("--clock", type=dt.datetime.fromisoformat, help="first time, wall or UTC")
    parser.add_argument("--seed", type=int, default=0, help="of generated data")
    parser.add_argument("--certificate", metavar="PEM", help="serve HTTPS with it")
    parser.add_argument("--key", metavar="PEM", help="of the certificate, when in its own file")
    parser.add_argument("--live", action="store_true", help="let a day go by: book, move, cancel")
    parser.add_argument("--step", type=float, default=15.0, help="seconds between its steps")
    return parser


def _clock(told: argparse.Namespace) -> VirtualClock:
    return VirtualClock(told.zone, told.clock)


def _tls(told: argparse.Namespace) -> ssl.SSLContext | None:
    if not told.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(told.certificate, told.key)
    return context


def _run(
    told: argparse.Namespace,
    stopped: threading.Event | None,
    say: Say,
    day: Iterator[str],
) -> int:
    ended = stopped or threading.Event()
    try:
        say("Ctrl+C ends it.")
        if told.live:
            _live(told.step, ended, say, day)
        while not ended.wait(_LOOK_S):  # without an end, Ctrl+C would not be heard on Windows
            pass
    except KeyboardInterrupt:
        say("")
    return 0


def _live(step_s: float, ended: threading.Event, say: Say, day: Iterator[str]) -> None:
    waited = step_s
    while not ended.wait(min(_LOOK_S, step_s)):
        waited += min(_LOOK_S, step_s)
        if waited >= step_s:
            waited = 0.0
            say(f"* {next(day)}")
