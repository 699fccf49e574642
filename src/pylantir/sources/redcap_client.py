"""Asking REDCap through PyCap, held so that nothing it does can hang, mislead or leak.

Every request has a time-out and its place in a budget; a response hook refuses what is not the
answer of an API before PyCap reads it (see :mod:`~pylantir.sources.redcap_answers`); and every
message that leaves this module has been searched for the token.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3

from pylantir.errors import (
    ConfigProblem,
    ConfigurationError,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)
from pylantir.sources.connecting import why_insecure, why_unreachable
from pylantir.sources.deadline import Deadline
from pylantir.sources.pacing import budget_of
from pylantir.sources.patience import ATTEMPTS, WITHIN_A_ROUND_S, wait_after
from pylantir.sources.redcap_answers import (
    Answer,
    NotAllowed,
    NotUnderstood,
    Passing,
    checked,
)
from pylantir.sources.redcap_dictionary import Dictionary

TIMEOUT_S = (5.0, 60.0)
_ADDRESS = "its address (REDCAP_API_URL, or credentials)"
TOTAL_S = 300.0
"""An answer that is not there after so many seconds never will be, however it trickles."""

FORGET_AFTER = dt.timedelta(hours=1)

Row = dict[str, Any]


class RedcapClient:
    """One project, through its API token.

    Parameters
    ----------
    url : str
        Address of the API, ``https://HOST/…/api/``.
    token : str
        32 letters and digits; belongs to one user and one project.
    verify : bool or str
        Check certificates, or the path of the authority's certificate.
    where : str
        Names the source in messages.
    """

    def __init__(self, url: str, token: str, verify: bool | str, where: str) -> None:
        self.url = url if url.endswith("/") else url + "/"
        self._token = token.strip()
        self._check_settings(where)
        self._verify = verify
        self._dictionary: Dictionary | None = None
        self._events: list[str] | None = None
        # Until it is known, it may have events.
        self._info: Any = {"project_id": "", "is_longitudinal": 1}
        self.log_is_closed = False
        """Whether the token may not read the log, as far as tried since :meth:`learn`."""
        self._known_at: dt.datetime | None = None
        self._budget = budget_of(urlsplit(self.url).netloc)
        self._closed = threading.Event()
        self._made: Any = None
        self._session: requests.Session | None = None
        self.server_time: dt.datetime | None = None

    def _check_settings(self, where: str) -> None:
        problems = []
        if not self.url.startswith(("https://", "http://")) or not self.url.endswith("/api/"):
            problems.append("the REDCap address must look like https://HOST/api/")
        if len(self._token) != 32 or not (self._token.isascii() and self._token.isalnum()):
            problems.append("a REDCap token has 32 letters and digits; this one has not")
        if problems:
            raise ConfigurationError([ConfigProblem(where, "", text) for text in problems])

    @property
    def _project(self) -> Any:
        if self._made is None:
            from pylantir.sources.redcap_project import HeldProject, held_session

            self._session = self._session or held_session()
            if self._verify is False:  # the source itself says so, where people look
                urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
            self._made = HeldProject(
                self._session,
                self.url,
                self._token,
                verify_ssl=self._verify,
                timeout=TIMEOUT_S,
                hooks={"response": self._check},
            )
        return self._made

    def has_token_of(self, other: RedcapClient) -> bool:
        """Whether both ask with the same token."""
        return self._token == other._token

    def close(self) -> None:
        """Ask no more; whoever waits for a place in the budget gives up."""
        self._closed.set()
        if self._session is not None:
            self._session.close()

    def look_again(self) -> None:
        """Forget what the project is like: it may have changed."""
        self._known_at = None

    def learn(self, now: dt.datetime) -> bool:
        """Read the project's fields and missing-data codes, unless they are fresh.

        Returns
        -------
        bool
            Whether they were read now.

        Raises
        ------
        SourceError
            No answer, or none that can be used.
        """
        if self._known_at is not None and abs(now - self._known_at) < FORGET_AFTER:
            return False
        self._made = None  # PyCap keeps what it has learnt for as long as it lives
        metadata = self._ask(lambda: self._project.metadata)
        self._dictionary = Dictionary.read(metadata, self._project_info())
        self._events, self.log_is_closed = None, False
        self._known_at = now
        return True

    def _project_info(self) -> Any:
        """What the project is like as a whole, as far as that may be asked."""
        with contextlib.suppress(NotAllowed, NotUnderstood):
            self._info = self._ask(lambda: self._project.export_project_info(format_type="json"))
        return self._info

    @property
    def dictionary(self) -> Dictionary:
        """The project's fields; :meth:`learn` comes first."""
        if self._dictionary is None:
            raise SourceUnavailable("REDCap has not described the project yet")
        return self._dictionary

    def start_watch(self) -> None:
        """From now on, the next answer tells the server's time."""
        self.server_time = None

    def events(self) -> list[str]:
        """Unique names of the project's events, in order; none in a classic project.

        Raises
        ------
        SourceError
            No answer, or one that is no list of events.
        """
        if not self.dictionary.longitudinal:
            return []
        if self._events is None:
            self._events = self._read_events()
        return self._events

    def _read_events(self) -> list[str]:
        try:
            exported = self._ask(lambda: self._project.export_events(format_type="json"))
        except NotUnderstood:
            return []  # "You cannot export events for classic projects"
        return [str(row.get("unique_event_name", "")) for row in _rows(exported, "events")]

    def record_ids(
        self, since: dt.datetime | None = None, among: Sequence[str] | None = None
    ) -> list[str]:
        """Record ids of the project in its order: all, or those changed since then.

        Parameters
        ----------
        since : datetime, optional
            Wall clock of the server.
        among : sequence of str, optional
            Only those of these that there are.

        Raises
        ------
        SourceRefused
            Rows come without their record id.
        SourceError
            No answer, or one that is no list of rows.
        """
        name = self.dictionary.record_id_field
        rows = self.rows(fields=[name], records=among, since=since)
        if not all(row.get(name) for row in rows):
            raise SourceRefused(
                f"REDCap leaves out {name}: the token's user may not export record ids "
                "(Data Export Rights: Full Data Set)"
            )
        return list(dict.fromkeys(str(row[name]).strip() for row in rows))

    def rows(
        self,
        *,
        fields: Sequence[str],
        records: Sequence[str] | None = None,
        since: dt.datetime | None = None,
    ) -> list[Row]:
        """Rows of the project.

        Parameters
        ----------
        fields : sequence of str
            Fields to return.
        records : sequence of str, optional
            Only these records; of no record there are no rows.
        since : datetime, optional
            Only records created or changed since then, in the wall clock of the server.

        Raises
        ------
        TooMuch
            More than fits into an answer: ask for fewer records.
        SourceError
            No answer, or one that is no list of rows.
        """
        if records is not None and not records:
            return []  # PyCap would leave the empty list out, and REDCap send everything
        rows = self._ask(
            lambda: self._project.export_records(
                format_type="json",
                fields=list(fields),
                records=list(records) if records is not None else None,
                date_begin=since,
            )
        )
        return _rows(rows, "rows")

    def deleted_since(self, since: dt.datetime) -> list[str] | None:
        """Records that were deleted since then, by the project's log.

        Returns
        -------
        list of str or None
            None when the token may not read the log, or REDCap is too old to show it (before
            10.8); asked again after :data:`FORGET_AFTER`.

        Raises
        ------
        SourceError
            No answer, or one that is no log.
        """
        if self.log_is_closed:
            return None
        try:
            entries = self._ask(
                lambda: self._project.export_logging(
                    format_type="json", log_type="record_delete", begin_time=since
                )
            )
        except (NotAllowed, NotUnderstood):
            self.log_is_closed = True
            return None
        return [name for entry in _rows(entries, "its log") if (name := _deleted(entry))]

    def import_records(self, rows: Sequence[Row]) -> None:
        """Write values into records; empty ones change nothing.

        Raises
        ------
        SourceError
            REDCap would not take them; says which field, never its value.
        """
        if not rows:
            return
        taken = self._ask(
            lambda: self._project.import_records(
                list(rows), import_format="json", overwrite="normal", return_content="count"
            )
        )
        if not isinstance(taken, dict) or str(taken.get("count", "")) in ("", "0"):
            raise SourceUnavailable("REDCap does not say that it has taken the values")

    def _ask(self, question: Callable[[], Any]) -> Any:
        """The answer to one request, made a second and third time when its failure may pass."""
        failures = 0
        while True:
            try:
                return self._once(question)
            except Passing as error:
                failures += 1
                if failures == ATTEMPTS or error.retry_after_s > WITHIN_A_ROUND_S:
                    raise
                pause = max(error.retry_after_s, wait_after(failures))
            self._wait(pause)

    def _wait(self, seconds: float) -> None:
        if self._closed.wait(seconds):
            raise SourceUnavailable("stopped while waiting to ask REDCap")

    def _once(self, question: Callable[[], Any]) -> Any:
        self._wait(self._budget.reserve())
        with Deadline(TOTAL_S) as deadline:
            try:
                with self._named_errors():
                    return question()
            except SourceError:
                if deadline.expired:
                    raise SourceUnavailable("REDCap did not finish its answer in time") from None
                raise

    @contextlib.contextmanager
    def _named_errors(self) -> Iterator[None]:
        from redcap import RedcapError  # type: ignore[attr-defined]

        try:
            yield
        except NotUnderstood:
            self.look_again()  # perhaps a field has been renamed
            raise
        except SourceError:
            raise
        except requests.exceptions.SSLError as error:
            raise SourceUnavailable(why_insecure(error, "REDCap", _ADDRESS)) from None
        except requests.exceptions.Timeout:
            raise SourceUnavailable("REDCap did not answer in time") from None
        except requests.exceptions.ConnectionError as error:
            why = why_unreachable(error, "REDCap", _ADDRESS)
            raise Passing(f"REDCap cannot be reached: {why}") from None
        except (AttributeError, KeyError, TypeError):  # PyCap reads without looking
            raise SourceUnavailable("REDCap's answer has not the shape of one") from None
        except (RedcapError, OSError, AssertionError, ValueError) as error:
            # requests says with a plain OSError that a file of certificates is not there
            raise SourceUnavailable(
                "REDCap cannot be asked", quoted=self.scrubbed(str(error))[:200]
            ) from None

    def _check(self, response: requests.Response, *_: Any, **__: Any) -> Answer:
        """Response hook: only the answer of an API passes."""
        if self.server_time is None:
            self._note_time(response)
        return checked(response, self.scrubbed)

    def _note_time(self, response: requests.Response) -> None:
        with contextlib.suppress(TypeError, ValueError):
            told = parsedate_to_datetime(response.headers.get("Date", ""))
            self.server_time = told if told.tzinfo else told.replace(tzinfo=dt.UTC)

    def scrubbed(self, message: str) -> str:
        """A message without the token, in any case."""
        for token in {self._token, self._token.lower(), self._token.upper()}:
            message = message.replace(token, "***")
        return message


def _rows(answer: Any, what: str) -> list[Row]:
    if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
        raise SourceUnavailable(f"REDCap answered with something else than {what}")
    return answer


def _deleted(entry: Row) -> str:
    """The record of a log entry; some releases name it in the action only."""
    words = str(entry.get("action") or "").removeprefix("Delete record").strip()
    return str(entry.get("record") or words.removeprefix("(API)").strip())
