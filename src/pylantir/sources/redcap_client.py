"""Asking REDCap through PyCap, held so that nothing it does can hang, mislead or leak.

Every request has a time-out; a response hook refuses what is not the answer of an API (bad status,
redirects, pages in HTML, bodies without end) before PyCap reads it; and every message that leaves
this module has been searched for the token.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
from collections.abc import Iterator, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from pylantir.errors import (
    ConfigProblem,
    ConfigurationError,
    SourceError,
    SourceRefused,
    SourceUnavailable,
)

TIMEOUT_S = (5.0, 60.0)
MAX_BODY_BYTES = 50_000_000
FORGET_AFTER = dt.timedelta(hours=1)

Row = dict[str, Any]


class RedcapClient:
    """One project, through its API token.

    Parameters
    ----------
    url : str
        Address of the API, ``https://HOST/…/api/``.
    token : str
        32 hexadecimal digits; belongs to one user and one project.
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
        self._fields: list[str] = []
        self._codes: frozenset[str] = frozenset()
        self._known_at: dt.datetime | None = None
        self.server_time: dt.datetime | None = None
        self._made: Any = None

    def _check_settings(self, where: str) -> None:
        problems = []
        if not self.url.startswith(("https://", "http://")) or not self.url.endswith("/api/"):
            problems.append("the REDCap address must look like https://HOST/api/")
        digits = set("0123456789abcdefABCDEF")
        if len(self._token) != 32 or not set(self._token) <= digits:
            problems.append("a REDCap token has 32 hexadecimal digits; this one has not")
        if problems:
            raise ConfigurationError([ConfigProblem(where, "", text) for text in problems])

    @property
    def _project(self) -> Any:
        if self._made is None:
            from redcap import Project  # type: ignore[attr-defined]

            self._made = Project(
                self.url,
                self._token,
                verify_ssl=self._verify,
                timeout=TIMEOUT_S,
                hooks={"response": self._check},
            )
        return self._made

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
        if self._known_at is not None and now - self._known_at < FORGET_AFTER:
            return False
        self._made = None  # PyCap keeps what it has learnt for as long as it lives
        with self._asking():
            metadata = self._project.metadata
            info = self._project.export_project_info(format_type="json")
        if not metadata or not isinstance(metadata, list):
            raise SourceUnavailable("REDCap described no fields of the project")
        self._fields = [str(row.get("field_name", "")) for row in metadata]
        listed = str(info.get("missing_data_codes") or "") if isinstance(info, dict) else ""
        codes = (part.partition(",")[0].strip() for part in listed.split("|"))
        self._codes = frozenset(code for code in codes if code)
        self._known_at = now
        return True

    @property
    def record_id_field(self) -> str:
        """Name of the field that holds the record id: the first of the project."""
        return self._fields[0]

    @property
    def fields(self) -> frozenset[str]:
        """Names of all fields of the project."""
        return frozenset(self._fields)

    @property
    def missing_codes(self) -> frozenset[str]:
        """Values that stand for "unknown" in any field of the project."""
        return self._codes

    def record_ids(self) -> list[str]:
        """Every record id of the project, in the order of the project."""
        rows = self.rows(fields=[self.record_id_field])
        return list(dict.fromkeys(str(row.get(self.record_id_field, "")) for row in rows))

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
            Only these records.
        since : datetime, optional
            Only records created or changed since then, in the wall clock of the server.

        Raises
        ------
        SourceError
            No answer, or one that is no list of rows.
        """
        with self._asking():
            rows = self._project.export_records(
                format_type="json",
                fields=list(fields),
                records=list(records) if records is not None else None,
                date_begin=since,
            )
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise SourceUnavailable("REDCap answered with something else than rows")
        return rows

    def deleted_since(self, since: dt.datetime) -> list[str]:
        """Records that were deleted since then, by the project's log.

        Raises
        ------
        SourceRefused
            The token may not read the log.
        SourceUnavailable
            No answer, or one that is no log.
        """
        with self._asking():
            entries = self._project.export_logging(
                format_type="json", log_type="record_delete", begin_time=since
            )
        if not isinstance(entries, list):
            raise SourceUnavailable("REDCap answered with something else than its log")
        return [str(entry["record"]) for entry in entries if entry.get("record")]

    def import_records(self, rows: Sequence[Row]) -> None:
        """Write values into records; empty ones change nothing.

        Raises
        ------
        SourceError
            REDCap would not take them; says which field, never its value.
        """
        with self._asking():
            self._project.import_records(
                list(rows), import_format="json", overwrite="normal", return_content="count"
            )

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        from redcap import RedcapError  # type: ignore[attr-defined]

        try:
            yield
        except SourceError:
            raise
        except requests.exceptions.SSLError as error:
            raise SourceUnavailable(
                f"REDCap's certificate is not trusted ({_cause(error)}); set ca_bundle"
            ) from None
        except requests.exceptions.Timeout:
            raise SourceUnavailable("REDCap did not answer in time") from None
        except (requests.exceptions.ConnectionError, requests.exceptions.ChunkedEncodingError) as e:
            raise SourceUnavailable(f"REDCap cannot be reached: {_cause(e)}") from None
        except (RedcapError, requests.RequestException, AssertionError, ValueError) as error:
            raise SourceUnavailable(
                f"REDCap's answer cannot be used: {self.scrubbed(str(error))[:200]}"
            ) from None

    def _check(self, response: requests.Response, *_: Any, **__: Any) -> None:
        """Response hook: only the answer of an API passes."""
        with contextlib.suppress(TypeError, ValueError):
            self.server_time = parsedate_to_datetime(response.headers.get("Date", ""))
        code = response.status_code
        if 300 <= code < 400:
            raise SourceRefused(f"REDCap sent us to another page (HTTP {code}), as to a login page")
        body = self._body(response)
        if code != 200:
            self._refuse(code, body)
        if body.lstrip()[:1] == b"<":
            raise SourceUnavailable("REDCap answered with a page instead of data")

    def _body(self, response: requests.Response) -> bytes:
        body = bytearray()
        for chunk in response.iter_content(65536):
            body += chunk
            if len(body) > MAX_BODY_BYTES:
                raise SourceUnavailable(f"REDCap answered with more than {MAX_BODY_BYTES} bytes")
        response._content = bytes(body)
        return bytes(body)

    def _refuse(self, code: int, body: bytes) -> None:
        words = self.scrubbed(_error_text(body))
        if code in (401, 403):
            raise SourceRefused(f"REDCap refused (HTTP {code}): {words or 'check the token'}")
        if code == 400:
            self._known_at = None  # perhaps a field has been renamed: look again next time
        if code == 404:
            words = words or "check REDCAP_API_URL, it must end with /api/"
        raise SourceUnavailable(f"REDCap answered HTTP {code}" + (f": {words}" if words else ""))

    def scrubbed(self, message: str) -> str:
        """A message without the token, in any case."""
        for token in {self._token, self._token.lower(), self._token.upper()}:
            message = message.replace(token, "***")
        return message


def _error_text(body: bytes) -> str:
    """What REDCap says is wrong; nothing for a page."""
    try:
        said = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(said, dict):
        return ""
    # An import error quotes the value it does not like after the field: only the first two parts.
    text = str(said.get("error", ""))
    if text.startswith('"'):
        parts = [part.strip('"') for part in text.split(",")[:2]]
        return f"field {parts[-1]} was not taken"
    return text[:200]


def _cause(error: BaseException) -> str:
    """The kind of failure, without the address that requests puts into its messages."""
    inner: Any = error
    while getattr(inner, "args", None) and isinstance(inner.args[0], BaseException):
        inner = inner.args[0]
    reason = getattr(inner, "reason", None)
    return type(reason if isinstance(reason, BaseException) else inner).__name__
