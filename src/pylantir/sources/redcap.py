"""REDCap: scan appointments in a project's records.

Incremental fetches ask for records that changed since the last one; each comes back whole, so a
repeat that it no longer holds is gone. Once a day, and at the first run, everything is compared.
"""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pylantir.clock import SiteClock
from pylantir.errors import (
    ConfigProblem,
    ConfigurationError,
    InvalidItem,
    SourceUnavailable,
    ValueProblem,
)
from pylantir.sources.base import (
    Batch,
    BookingWindow,
    DaysCovered,
    Scope,
    Source,
    SourceRecord,
    SourceSettings,
)
from pylantir.sources.mapping import FieldMapping, Note, summarize
from pylantir.sources.options import OPTION_KEYS, MappingOptions
from pylantir.sources.redcap_client import RedcapClient
from pylantir.sources.redcap_layout import read_layout
from pylantir.sources.redcap_records import EVENT, INSTANCE, INSTRUMENT, escaped, unescaped
from pylantir.sources.redcap_reports import send
from pylantir.sources.redcap_settings import Credentials, RedcapSettings
from pylantir.sources.redcap_snapshot import (
    Snapshot,
    TouchedRecords,
    read_cursor,
    server_wall,
    written_cursor,
)
from pylantir.sources.settings import credential, read_settings
from pylantir.worklist.outbox import PerformedReport
from pylantir.worklist.packed import PackedList
from pylantir.worklist.values import patient_sex

NAME_TEMPLATE = "cpip-id-{study}^fa-{family}"
ID_TEMPLATE = "sub_{study}_ses_{session}_fam_{family}_site_{site}"
_NO_GUARDIAN = "neuro_pcp"

_SEX = "patient_sex"
_NAMING = frozenset({"patient_name", "patient_id"})
_IDENTIFYING = _NAMING | {"issuer_of_patient_id", "patient_birth_date", _SEX}

_OPTIONAL_FIELDS = frozenset({"study_id", "family_id", "demo_sex", "youth_dob_y"})
"""Fields of the published release that a project may do without."""

_PSEUDO_FIELDS = frozenset({EVENT, INSTRUMENT, INSTANCE})
_CLOSED_LOG = ("the token may not read the log: the records of bookings are asked for instead",)
_UNCHECKED = ("verify_ssl is false: anybody on the way may change bookings; set ca_bundle",)
_LARGE_AGAIN = dt.timedelta(minutes=15)
"""Between two questions for every record of a project that is too large to ask in one part."""


class RedcapSource(Source):
    """Bookings of one REDCap project."""

    default_credentials = Credentials()
    keys_may_change = True

    def __init__(self, settings: SourceSettings) -> None:
        super().__init__(settings)
        where = f"source {settings.name}"
        self._config = _own_settings(settings)
        self._site = self._config.site_id or self._config.site or settings.site or ""
        self._mapping = self.read_mapping(settings)
        self._client = self._make_client(where)
        zone = self._config.server_timezone
        self._server_clock = _server_clock(zone, where)
        self._asked: frozenset[str] = frozenset()
        self._named_by: frozenset[str] = frozenset()
        self._left_out: list[Note] = []
        self._window: BookingWindow | None = None
        self._ask_again = dt.datetime.min.replace(tzinfo=dt.UTC)

    @classmethod
    def read_mapping(
        cls, settings: SourceSettings, known_fields: Collection[str] = ()
    ) -> FieldMapping:
        """The field mapping; once the project's fields are known, they decide what is unclear."""
        where, config = f"source {settings.name}", settings.config
        own = _own_settings(settings)
        templates = {"patient_name_template": NAME_TEMPLATE, "patient_id_template": ID_TEMPLATE}
        written = {key: value for key, value in config.items() if key in OPTION_KEYS}
        return FieldMapping.read(
            settings.field_mapping,
            where=where,
            source_first=True,
            options=MappingOptions.read(templates | written, where),
            roles={
                "study_id": "study_id",
                "family_id": "family_id",
                "session_id": own.session_field,
                "scheduled_date": own.date_field,
                "scheduled_time": own.time_field,
                "demo_sex": "demo_sex",
                "youth_dob_y": "youth_dob_y",
                "t1_date": "",
                "instrument": INSTRUMENT,
            },
            parts=("study", "session", "family", "site"),
            known_fields=known_fields,
        )

    def _make_client(self, where: str) -> RedcapClient:
        written = self._config.credentials
        given = written if written != Credentials() else self.default_credentials
        environ = self.settings.environ
        url = given.url or credential(environ, given.url_env, where)
        if given.token_file:
            token = _from_file(given.token_file, where)
        else:
            token = credential(environ, given.token_env, where)
        verify: bool | str = self._config.ca_bundle or self._config.verify_ssl
        return RedcapClient(url, token, verify, where)

    def _renew_token(self) -> None:
        """A token that a person has put into its file since the last round."""
        if not self._config.credentials.token_file:
            return
        fresh = self._make_client(f"source {self.settings.name}")
        if not fresh.has_token_of(self._client):
            self._client.close()
            self._client = fresh

    @property
    def authority(self) -> str:
        """The address of the API, without its scheme."""
        return self._client.url.partition("://")[2].rstrip("/").lower()

    @property
    def days_ahead(self) -> int:
        """Days after today that are fetched."""
        return max(self._config.days_ahead, self._config.mwl_days_ahead or 0)

    def explain(self) -> list[str]:
        """How the field mapping was understood."""
        return self._mapping.explain()

    def fetch(self, window: BookingWindow) -> Batch:
        """Everything in the window, or what changed since the cursor."""
        self._renew_token()
        self._client.start_watch()
        if self._client.learn(window.now):
            self._mapping = self.read_mapping(self.settings, self._client.dictionary.names)
        self._window = window
        since, before = read_cursor(window.cursor)
        # A restart forgets what was asked for; the cursor does not.
        self._named_by |= before
        snapshot, notes = self._snapshot(window)
        scope: Scope
        if since is None or window.full:
            records = PackedList(snapshot.of(self._client.record_ids()))
            scope = DaysCovered(window.first_day, window.last_day)
        else:
            records, scope = self._changed(snapshot, server_wall(since, self._server_clock))
            notes += _CLOSED_LOG if self._client.log_is_closed else ()
        if not (self._config.verify_ssl or self._config.ca_bundle):
            notes += _UNCHECKED
        server_time = self._client.server_time or window.now
        # A clock that runs ahead must not make us miss what is written now.
        cursor = min(server_time, window.now)
        return Batch(records, scope, True, written_cursor(cursor, self._named_by), notes=notes)

    def _snapshot(self, window: BookingWindow) -> tuple[Snapshot, tuple[str, ...]]:
        """How to read records, and which fields the mapping names in vain."""
        layout = read_layout(self._config, self._mapping, self._client)
        dictionary = self._client.dictionary
        wanted = {layout.record_id_field, *layout.own, _NO_GUARDIAN, *self._mapping.source_fields}
        fields = dictionary.to_ask(wanted)
        self._refuse_strangers((self._asked | self._named_by).difference(fields))
        self._asked = frozenset(fields)
        self._named_by = self._mapping.fields_of(_NAMING).intersection(fields)
        at_once = self._config.chunk_size
        vain = sorted(self._written_fields() - dictionary.names - _PSEUDO_FIELDS)
        notes = (f"the project has no field {', '.join(vain)}, see field_mapping",) if vain else ()
        return Snapshot(self._client, layout, fields, window, at_once, self.progress), notes

    def _refuse_strangers(self, gone: Collection[str]) -> None:
        """Without a field that says who they are, patients would get other names and ids."""
        identifying = self._mapping.fields_of(_IDENTIFYING) | {_NO_GUARDIAN}
        lost = sorted(identifying.intersection(gone))
        if lost:
            self._client.look_again()
            raise SourceUnavailable(
                f"the project no longer has the field {', '.join(lost)}, which says who the "
                "patient is: put it back, or correct field_mapping (or patient_name_template and "
                "patient_id_template) and restart pylantir"
            )

    def _written_fields(self) -> frozenset[str]:
        """Fields that the mapping reads and that are not roles by default."""
        return self._mapping.source_fields - _OPTIONAL_FIELDS

    def _changed(
        self, snapshot: Snapshot, since: dt.datetime
    ) -> tuple[PackedList[SourceRecord], TouchedRecords]:
        ids = self._client.record_ids(since)
        records = PackedList(snapshot.of(ids))
        deleted = self._client.deleted_since(since) or ()
        keys = frozenset(map(escaped, (*ids, *deleted)))
        return records, TouchedRecords(keys, snapshot.window.first_day)

    def values_of(self, record: SourceRecord) -> dict[str, Any]:
        """Worklist values of a booking."""
        fields = record.fields
        study = _last_part(self._mapping.role_value("study_id", fields))
        if study and str(fields.get(_NO_GUARDIAN, "")).lower() in ("1", "true"):
            study = f"ng_{study}"
        if not study and "patient_id" not in self._direct_targets():
            name = self._mapping.roles.get("study_id", "study_id")
            raise InvalidItem([ValueProblem(name, "", "required, but empty")])
        parts = {
            "study": study,
            "family": _last_part(self._mapping.role_value("family_id", fields)),
            "session": self._mapping.role_value("session_id", fields),
            "site": self._site,
        }
        mapped = self._mapping.apply(fields, parts)
        values = mapped.values
        self._left_out += self._settle_sex(values, mapped.notes, fields)
        values.setdefault("modality", self._config.modality)
        if self._config.station_ae_title:
            values.setdefault("scheduled_station_ae_title", self._config.station_ae_title)
        protocol, scheme = self._protocol()
        if protocol:
            values.setdefault("protocol_name", protocol)
        if scheme:
            values.setdefault("hisris_coding_designator", scheme)
        return values

    def _settle_sex(
        self, values: dict[str, Any], notes: Sequence[Note], fields: Mapping[str, Any]
    ) -> Sequence[Note]:
        """A code that no value map knows means what the project's own dictionary calls it."""
        if not any(note.field == _SEX for note in notes):
            return notes
        choices = self._client.dictionary.choices
        named = (
            choices.get(n, {}).get(str(fields.get(n, ""))) for n in self._mapping.sources_of(_SEX)
        )
        for label in filter(None, named):
            with contextlib.suppress(ValueError):
                values[_SEX] = patient_sex(label)
                return [note for note in notes if note.field != _SEX]
        return notes

    def _direct_targets(self) -> frozenset[str]:
        return frozenset(t for t in ("patient_id",) if self._mapping.sources_of(t))

    def _protocol(self) -> tuple[str, str]:
        """Protocol name and coding scheme: the source's own, else the site's."""
        root = self.settings.protocol
        written = self._config.protocol if self._config.protocol is not None else root
        scheme = root.get("mapping", "") if isinstance(root, Mapping) else ""
        if isinstance(written, Mapping):
            return written.get(self._site, ""), written.get("mapping", scheme)
        return written or "", scheme

    def notes(self) -> tuple[str, ...]:
        """Values that were left out since the last call, and what the mapping warns of."""
        left_out, self._left_out = self._left_out, []
        return (*self._mapping.warnings, *summarize(left_out))

    def still_there(self, record_ids: Sequence[str]) -> frozenset[str]:
        """Those that are still bookings in the window, asked record by record."""
        if self._window is None:
            raise NotImplementedError
        parents = list(dict.fromkeys(unescaped(key.partition("/")[0]) for key in record_ids))
        snapshot, _ = self._snapshot(self._window)
        found = {record.record_id for record in snapshot.of(parents)}
        return frozenset(record_ids) & found

    def lost(self, record_ids: Sequence[str], *, newcomers: bool) -> frozenset[str]:
        """Those whose record is gone: renamed, or deleted while the log is closed to us."""
        now = self.settings.clock.now()
        unseen = self._client.log_is_closed and now >= self._ask_again
        if not newcomers and not unseen:
            return frozenset()
        keys = {key: unescaped(key.partition("/")[0]) for key in record_ids}
        parents = sorted(set(keys.values()))
        if len(parents) > self._config.chunk_size:
            there = self._client.record_ids()
            self._ask_again = now + _LARGE_AGAIN
        else:
            there = self._client.record_ids(among=parents)
        known = frozenset(there)
        return frozenset(key for key, parent in keys.items() if parent not in known)

    def close(self) -> None:
        """Ask no more."""
        self._client.close()

    def write_back(self, reports: Sequence[PerformedReport]) -> Mapping[PerformedReport, str]:
        """Write what scanners did into the fields that the configuration names."""
        wanted = self._config.write_back
        if wanted is None:
            return {}
        self._client.learn(self.settings.clock.now())
        date_field = self._mapping.roles.get("scheduled_date", self._config.date_field)
        return send(self._client, reports, wanted, date_field)


def _last_part(written: str) -> str:
    """What stands after the last hyphen: ``CPIP-0001`` is study 0001."""
    return written.rpartition("-")[2].strip()


def _from_file(path: str, where: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        message = f"the token file cannot be read: {getattr(error, 'strerror', error)}"
        problem = ConfigProblem(where, "config.credentials.token_file", message)
        raise ConfigurationError([problem]) from None


def _own_settings(settings: SourceSettings) -> RedcapSettings:
    own = {key: value for key, value in settings.config.items() if key not in OPTION_KEYS}
    return read_settings(RedcapSettings, own, f"source {settings.name}")


def _server_clock(zone: str | None, where: str) -> SiteClock | None:
    try:
        return SiteClock(zone) if zone is not None else None
    except KeyError:
        message = "expected an IANA time zone such as America/Edmonton"
        problem = ConfigProblem(where, "config.server_timezone", message)
        raise ConfigurationError([problem]) from None


SOURCE = RedcapSource
