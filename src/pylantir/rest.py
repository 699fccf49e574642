"""The REST API as a part of a process: what it is made of, and what has to work.

In ``start --with-api`` it shares the daemon's worklist and sources; ``start-api`` runs it alone on
the same files.
"""

from __future__ import annotations

import datetime as dt
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pylantir.api.oidc import Issuer
from pylantir.api.server import ApiServer
from pylantir.api.services import Check, Services
from pylantir.dicom.scu import echo
from pylantir.errors import NotFound, PeerError, StoreError
from pylantir.polling import SourcePoller, pollers, settings_for
from pylantir.serving import configured_peer, told_peer
from pylantir.sources import mapping_of
from pylantir.users.account import Principal
from pylantir.users.failures import FailureStore
from pylantir.users.signin import Lives, SignIn
from pylantir.users.store import UserStore, open_users, users_location
from pylantir.users.throttle import Throttle
from pylantir.users.tokens import Tokens, signing_key
from pylantir.web.app import page_over
from pylantir.worklist.database import database_url
from pylantir.worklist.instance import is_served, told
from pylantir.worklist.sources import SourceStore

if TYPE_CHECKING:
    from pylantir.config.schema import Config
    from pylantir.daemon import Worklist
    from pylantir.dicom.peer import Peer
    from pylantir.sources.mapping import FieldMapping

log = logging.getLogger(__name__)

_TRUSTED_S = 2.0
"""How long an outcome of the checks stands: asking often costs nobody a C-ECHO each time."""

_ECHO_S = 4.0
_LATE_INTERVALS = 5


class RestApi:
    """The REST API: accounts, services and the HTTP server, started and stopped together.

    Parameters
    ----------
    config : Config
        The site's settings.
    environ : mapping
        Where sources find their secrets.
    worklist : Worklist
        The open worklist; whoever opened it closes it.
    running : sequence of SourcePoller
        Sources of this process; without them a round that somebody asks for runs here.
    """

    def __init__(
        self,
        config: Config,
        environ: Mapping[str, str],
        worklist: Worklist,
        running: Sequence[SourcePoller] = (),
    ) -> None:
        self._config = config
        self._environ = environ
        self._worklist = worklist
        self._running = {poller.name: poller for poller in running}
        self._users: UserStore | None = None
        self._server: ApiServer | None = None
        self._rounds: dict[str, threading.Thread] = {}
        self._mappings: dict[str, FieldMapping | None] = {}
        self._checked: tuple[float, list[Check]] | None = None
        self._checking = threading.Lock()
        self.scp: Callable[[], Peer] | None = None
        self.setup_code = ""

    @property
    def url(self) -> str:
        """Where it listens."""
        return self._server.url if self._server is not None else ""

    @property
    def has_page(self) -> bool:
        """Whether the page on the workstation is served as well."""
        return self._config.page.enabled

    def start(self) -> None:
        """Open the accounts and listen.

        Raises
        ------
        StartError
            See :meth:`ApiServer.start`.
        StoreError
            The accounts cannot be used.
        """
        clock = self._worklist.clock
        self._users = open_users(self._config, clock.now)
        try:
            key = signing_key(key_path(self._config))
            tokens = Tokens(key, clock.now)
            throttle = Throttle(kept=FailureStore(self._users.database, clock.now), key=key)
            api = self._config.api
            lives = Lives(
                api.access_token_expire_minutes,
                api.access_token_max_minutes,
                api.session_max_minutes,
            )
            sign_in = SignIn(self._users, tokens, throttle, lives=lives, now=clock.now)
            services = self._services(self._users, sign_in)
            self._server = ApiServer(services, page_over(services))
            self._server.start()
        except BaseException:
            self.stop()
            raise
        self.setup_code = sign_in.setup_code.text if sign_in.setup_code else ""
        log.info("REST API: %s", self._server.url)

    def stop(self) -> None:
        """End and close the accounts."""
        if self._server is not None:
            self._server.stop()
        if self._users is not None:
            self._users.close()
        self._server = self._users = None

    def _services(self, users: UserStore, sign_in: SignIn) -> Services:
        worklist = self._worklist
        return Services(
            config=self._config,
            clock=worklist.clock,
            items=worklist.items,
            steps=worklist.steps,
            sources=SourceStore(worklist.database),
            audit=worklist.audit,
            journal=worklist.journal,
            users=users,
            sign_in=sign_in,
            identify=self._identify(sign_in),
            checks=self._checks,
            request_sync=self._request_sync,
            origin_of=self._origin_of,
        )

    def _identify(self, sign_in: SignIn) -> Callable[[str], Principal]:
        settings = self._config.api.oidc
        if settings is None:
            return sign_in.principal
        issuer = Issuer(settings)

        def identify(token: str) -> Principal:
            return issuer.identify(token) if issuer.issued(token) else sign_in.principal(token)

        return identify

    def _request_sync(self, name: str) -> None:
        poller = self._running.get(name)
        if poller is not None:
            poller.fetch_now()
            return
        present = self._rounds.get(name)
        if present is not None and present.is_alive():
            return  # it is being fetched already
        worklist = self._worklist
        made = pollers(self._config, self._environ, worklist.database, worklist.clock)
        found = next((each for each in made if each.name == name), None)
        if found is None:
            raise NotFound(f"no enabled source {name!r}")
        thread = threading.Thread(target=found.run_once, name=f"source-{name}", daemon=True)
        self._rounds[name] = thread
        thread.start()

    def _origin_of(self, source: str, name: str) -> str:
        if source not in self._mappings:
            self._mappings[source] = self._mapping_of(source)
        mapping = self._mappings[source]
        return mapping.origin_of(name) if mapping is not None else ""

    def _mapping_of(self, source: str) -> FieldMapping | None:
        entry = next((e for e in self._config.data_sources if e.name == source), None)
        if entry is None:
            return None
        settings = settings_for(entry, self._config, self._environ, self._worklist.clock)
        try:
            return mapping_of(entry.type, settings)
        except Exception:  # a door: another package may read its settings, and the page goes on
            log.debug("source %s: its field mapping cannot be shown", source, exc_info=True)
            return None

    def _checks(self) -> list[Check]:
        # Whoever asks while others wait for an answer is told the one before: a scanner's door that
        # does not open must not take every thread of the API.
        if not self._checking.acquire(blocking=self._checked is None):
            return self._checked[1] if self._checked is not None else []
        try:
            now = time.monotonic()
            if self._checked is None or now - self._checked[0] > _TRUSTED_S:
                found = list(self._check())
                self._checked = (time.monotonic(), found)
            return self._checked[1]
        finally:
            self._checking.release()

    def _check(self) -> list[Check]:
        try:
            self._worklist.items.count()
            found = [Check("database", True, "answers")]
        except StoreError:
            return [Check("database", False, "cannot be read; the log says why")]
        found.append(self._dicom_check())
        return [*found, *self._source_checks()]

    def _dicom_check(self) -> Check:
        """The DICOM server of this process, or else the one that serves the same worklist."""
        if self.scp is not None:
            return _echo_check(self.scp())
        path = self._worklist.database.path
        if path is None:
            return replace(_echo_check(configured_peer(self._config, _ECHO_S)), is_required=False)
        if not is_served(path):
            words = "no DICOM server serves this worklist, so scanners get nothing: pylantir start"
            return Check("dicom", False, words, is_required=False)
        said = told(path)
        peer = told_peer(said, self._config, _ECHO_S) or configured_peer(self._config, _ECHO_S)
        check = _echo_check(peer)
        return replace(check, detail=f"{check.detail} (process {said.get('pid', '?')})")

    def _source_checks(self) -> list[Check]:
        states = {s.name: s for s in SourceStore(self._worklist.database).states()}
        now = self._worklist.clock.now()
        checks = []
        for entry in self._config.data_sources:
            if not entry.enabled:
                continue
            state = states.get(entry.name)
            last = state.last_success if state else ""
            age_s = (now - dt.datetime.fromisoformat(last)).total_seconds() if last else None
            is_ok = age_s is not None and age_s <= _LATE_INTERVALS * entry.sync_interval
            words = "no success yet" if age_s is None else f"last success {age_s:.0f} s ago"
            checks.append(Check(f"source {entry.name}", is_ok, words, is_required=False))
        return checks


def _echo_check(peer: Peer) -> Check:
    try:
        status = echo(peer)
    except PeerError as error:
        return Check("dicom", False, f"no answer to a C-ECHO: {error.for_log}")
    return Check("dicom", status.is_success, f"C-ECHO: {status.words}")


def key_path(config: Config) -> Path:
    """Where the key is that signs tokens: beside the accounts."""
    location = database_url(users_location(config))
    if location.get_backend_name() == "sqlite" and location.database:
        return Path(location.database).with_suffix(".key")
    from pylantir.config.load import data_folder

    return data_folder() / "users.key"
