"""A REDCap server to test against: ``POST /api/`` as the documentation and its clients record it.

As a library::

    with RedcapStandIn() as redcap:
        project = redcap.add_project(sample_project())
        Project(redcap.api_url, project.token).export_records()

As a program: ``python -m tests.standins.redcap --port 8081 --live``.
"""

from __future__ import annotations

import datetime as dt
import ssl
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from tests.standins import redcap_structure as structure
from tests.standins.base import StandIn
from tests.standins.clock import VirtualClock
from tests.standins.redcap_data import Project, RowKey, token_for
from tests.standins.redcap_export import export
from tests.standins.redcap_format import (
    FORMATS,
    ApiError,
    Row,
    error_reply,
    rows_reply,
    value_reply,
    xml_error,
)
from tests.standins.redcap_import import delete, import_records
from tests.standins.wire import Reply, Request, page

DENIED = "You do not have permissions to use the API"
_LISTS: dict[str, Callable[[Project, Request], Sequence[Row]]] = {
    "metadata": structure.metadata,
    "instrument": structure.instruments,
    "event": structure.events,
    "arm": structure.arms,
    "formEventMapping": structure.form_events,
    "repeatingFormsEvents": structure.repeating,
    "exportFieldNames": structure.export_names,
    "log": structure.log,
}


class RateLimiter:
    """Counts requests per IP address and bans who asks too much.

    Parameters
    ----------
    per_minute : int, optional
        More requests than this in 60 s of server time ban the address; None never does.
    ban_s : float, optional
        How long a ban lasts; None until an administrator lifts it (`lift`).
    """

    def __init__(self, per_minute: int | None = 600, ban_s: float | None = None) -> None:
        self.per_minute = per_minute
        self.ban_s = ban_s
        self.banned: dict[str, dt.datetime] = {}
        self._recent: dict[str, deque[dt.datetime]] = defaultdict(deque)

    def admits(self, client: str, now: dt.datetime) -> bool:
        """Count a request; False when the address is, or now becomes, banned."""
        since = self.banned.get(client)
        if since is not None:
            if self.ban_s is None or (now - since).total_seconds() < self.ban_s:
                return False
            self.lift(client)
        recent = self._recent[client]
        recent.append(now)
        while recent and (now - recent[0]).total_seconds() >= 60:
            recent.popleft()
        if self.per_minute is not None and len(recent) > self.per_minute:
            self.banned[client] = now
            return False
        return True

    def lift(self, client: str | None = None) -> None:
        """Lift the ban of one address, or of all."""
        for address in [client] if client else list(self.banned):
            self.banned.pop(address, None)
            self._recent.pop(address, None)


class RedcapStandIn(StandIn):
    """REDCap on loopback.

    Parameters
    ----------
    prefix : str
        Where REDCap is installed, such as ``/redcap``; the API is below it.
    version : str
        What ``content=version`` says.
    per_minute, ban_s
        See `RateLimiter`.
    ban_status : int
        403 or 200: with which status a banned address gets its HTML page.
    denied_status : int
        Status for an unknown token: 403 in practice, 401 by the documentation.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: VirtualClock | None = None,
        ssl_context: ssl.SSLContext | None = None,
        compress: bool = False,
        prefix: str = "",
        version: str = "14.9.1",
        per_minute: int | None = 600,
        ban_s: float | None = None,
        ban_status: int = 403,
        denied_status: int = 403,
    ) -> None:
        super().__init__(
            host=host, port=port, clock=clock, ssl_context=ssl_context, compress=compress
        )
        self.prefix = prefix
        self.version = version
        self.limiter = RateLimiter(per_minute, ban_s)
        self.ban_status = ban_status
        self.denied_status = denied_status
        self.projects: dict[str, Project] = {}

    @property
    def api_url(self) -> str:
        """The URL that clients are configured with; it ends in ``/api/``."""
        return f"{self.url}{self.prefix}/api/"

    def add_project(self, project: Project) -> Project:
        """Put a project on the server; it lives by the server's clock from now on."""
        with self.lock:
            project.lock = self.lock
            project.move_to(self.clock)
            self.projects[project.name] = project
        return project

    # The API -------------------------------------------------------------------------------

    def routes(self, request: Request) -> tuple[str, ...]:
        """``record``, ``record.import``, ``record.delete``, ``metadata`` ..., and each again with
        the project before it (``mri/record``); ``page`` for all that is not the API.
        """
        if request.path != f"{self.prefix}/api/":
            return ("page", request.path)
        name = request.form.get("content", "none")
        if name == "record" and request.form.get("action") == "delete":
            name = "record.delete"
        elif name == "record" and "data" in request.form:
            name = "record.import"
        project = self._project(request)
        return (name, f"{project.name}/{name}") if project else (name,)

    def secrets(self) -> Iterable[str]:
        return [p.token for p in list(self.projects.values()) if p.token]

    def answer(self, request: Request) -> Reply:
        if not self.limiter.admits(request.client, self.clock.now()):
            text = "IP address banned due to suspected abuse"
            return page("REDCap", text, self.ban_status)
        if request.path != f"{self.prefix}/api/":
            return page("Not Found", "The requested URL was not found on this server.", 404)
        if request.method != "POST":
            return xml_error("The requested method is not implemented.", 501)
        form = request.form.get("format") or "xml"
        answer_form = request.form.get("returnFormat") or form
        try:
            project = self._project(request)
            if project is None:
                raise ApiError(self.denied_status, DENIED)
            if not project.rights.api:
                raise ApiError(403, DENIED)
            if form not in (*FORMATS, "odm"):
                raise ApiError(400, 'The value of the parameter "format" is not valid')
            return self._content(project, request, form, answer_form)
        except ApiError as error:
            return error_reply(error, answer_form)

    def _project(self, request: Request) -> Project | None:
        token = request.form.get("token")
        projects = list(self.projects.values())
        return next((p for p in projects if token and p.token == token), None)

    def _content(self, project: Project, request: Request, form: str, answer_form: str) -> Reply:
        content = request.form.get("content", "")
        if content == "version":
            return Reply(200, self.version.encode())
        if content == "record" and request.form.get("action") == "delete":
            return delete(project, request, answer_form)
        if content == "record" and "data" in request.form:
            return import_records(project, request, form, answer_form)
        if content == "record":
            return export(project, request, form)
        if content == "project":
            told = structure.info(project)
            if form == "json":
                return value_reply(told, form, "project")
            return rows_reply([told], form)
        if content == "generateNextRecordName":
            return Reply(200, project.next_record().encode())
        if content not in _LISTS:
            raise ApiError(400, 'The value of the parameter "content" is not valid')
        return rows_reply(_LISTS[content](project, request), form)

    # The control door ----------------------------------------------------------------------

    def actions(self) -> dict[str, Callable[..., object]]:
        return {
            "projects": self._show_projects,
            "records": self._show_records,
            "put": self.put,
            "delete_instance": self.delete_instance,
            "delete_record": self.delete_record,
            "rename_record": self.rename_record,
            "rename_field": self.rename_field,
            "remove_field": self.remove_field,
            "set_rights": self.set_rights,
            "set_max_rows": self.set_max_rows,
            "revoke_token": self.revoke_token,
            "issue_token": self.issue_token,
            "lift_ban": self.limiter.lift,
        }

    def project(self, name: str = "") -> Project:
        """The project of that name; without a name, the only or first one."""
        if not name and self.projects:
            return next(iter(self.projects.values()))
        if name not in self.projects:
            raise LookupError(f"no project {name!r}: there are {', '.join(self.projects)}")
        return self.projects[name]

    def put(
        self,
        record: str,
        project: str = "",
        event: str = "",
        instrument: str = "",
        instance: int = 0,
        **values: object,
    ) -> dict[str, object]:
        """Create or edit a record or an instance, as a coordinator does in the browser."""
        with self.lock:
            target = self.project(project)
            key = self._key(target, event, instrument, instance)
            changed = target.put(record, values, key)
        return {"record": record, "changed": changed}

    def delete_instance(
        self,
        record: str,
        project: str = "",
        event: str = "",
        instrument: str = "",
        instance: int = 0,
    ) -> None:
        """Delete one instance of a record, or one event's base row."""
        with self.lock:
            target = self.project(project)
            target.delete_row(record, self._key(target, event, instrument, instance))

    def delete_record(self, record: str, project: str = "") -> None:
        """Delete a record."""
        with self.lock:
            self.project(project).delete_record(record)

    def rename_record(self, record: str, new: str, project: str = "") -> None:
        """Give a record another id."""
        with self.lock:
            self.project(project).rename_record(record, new)

    def rename_field(self, field: str, new: str, project: str = "") -> None:
        """Rename a field with its data; the first one is the record-id field."""
        with self.lock:
            target = self.project(project)
            self._check_field(target, field)
            target.fields = [replace(f, name=new) if f.name == field else f for f in target.fields]
            for row in (row for rows in target.records.values() for row in rows.values()):
                if field in row:
                    row[new] = row.pop(field)
            target.write_log("manage", "Manage/Design", f"Rename field {field} to {new}")

    def remove_field(self, field: str, project: str = "") -> None:
        """Take a field out of the dictionary; its data is no longer seen."""
        with self.lock:
            target = self.project(project)
            self._check_field(target, field)
            target.fields = [f for f in target.fields if f.name != field]
            target.write_log("manage", "Manage/Design", f"Delete field {field}")

    def set_rights(self, project: str = "", **rights: object) -> dict[str, object]:
        """Change what the token may do: export, api, imports, delete, logging, dag."""
        with self.lock:
            held = self.project(project).rights
            for name, value in rights.items():
                if name not in vars(held):
                    raise LookupError(f"no right {name!r}: there are {', '.join(vars(held))}")
                flag = isinstance(getattr(held, name), bool)
                text = str(value)
                setattr(held, name, text.lower() in {"1", "true", "yes"} if flag else text)
            return dict(vars(held))

    def set_max_rows(self, rows: int = 0, project: str = "") -> None:
        """Run out of memory beyond this many rows of an export; 0 never does."""
        with self.lock:
            self.project(project).max_rows = rows or None

    def revoke_token(self, project: str = "") -> None:
        """Make the project's token unknown."""
        with self.lock:
            self.project(project).revoke_token()

    def issue_token(self, project: str = "") -> dict[str, str]:
        """Give the project its token again, as far as it was revoked."""
        with self.lock:
            target = self.project(project)
            target.token = target.token or token_for(target.name)
            return {"token": target.token}

    def _show_projects(self) -> list[dict[str, object]]:
        return [
            {"name": p.name, "token": p.token, "url": self.api_url, "records": len(p.records)}
            for p in self.projects.values()
        ]

    def _show_records(self, project: str = "", record: str = "") -> list[dict[str, object]]:
        target = self.project(project)
        return [
            {"record": name, **key._asdict(), **values}
            for name, rows in target.records.items()
            if record in ("", name)
            for key, values in rows.items()
        ]

    def _check_field(self, project: Project, name: str) -> None:
        if all(item.name != name for item in project.fields):
            raise LookupError(f"project {project.name!r} has no field {name!r}")

    def _key(self, project: Project, event: str, instrument: str, instance: int) -> RowKey:
        event = event or project.first_key().event
        if project.longitudinal and project.event_named(event) is None:
            raise LookupError(f"project {project.name!r} has no event {event!r}")
        if instance and (event, instrument) not in project.repeating:
            raise LookupError(f"{instrument or event!r} does not repeat in event {event!r}")
        if instrument and not instance:
            raise LookupError(f"instrument {instrument!r} needs an instance number")
        return RowKey(event, instrument, instance)


if __name__ == "__main__":
    from tests.standins.programs import redcap_main

    raise SystemExit(redcap_main())
