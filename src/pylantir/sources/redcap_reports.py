"""What scanners did, written into the rows of their bookings.

An import into a row that is not there makes one, and in a record that is not there makes that: a
booking that was deleted or renamed since its scan began must not come back as a ghost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pylantir.sources.redcap_answers import NotUnderstood
from pylantir.sources.redcap_client import RedcapClient
from pylantir.sources.redcap_records import EVENT, INSTANCE, INSTRUMENT, booking_key, unescaped
from pylantir.sources.redcap_settings import WriteBack
from pylantir.worklist.outbox import PerformedReport

_NOWHERE = "the row of the booking is no longer in the project"


def send(
    client: RedcapClient,
    reports: Sequence[PerformedReport],
    wanted: WriteBack,
    date_field: str,
) -> dict[PerformedReport, str]:
    """Write reports into REDCap; returns those that it would not take, each with the reason.

    REDCap takes all of an import or nothing: when it refuses, each is tried by itself, so that one
    locked record does not keep the others waiting.

    Raises
    ------
    SourceError
        It would not take any.
    """
    there = _places(client, reports, date_field)
    refused = {report: _NOWHERE for report in reports if report.record_id not in there}
    name = client.dictionary.record_id_field
    rows = {each: _row(each, wanted, name) for each in reports if each not in refused}
    try:
        client.import_records(list(rows.values()))
    except NotUnderstood:
        if len(rows) == 1 and not refused:
            raise
        for report, row in rows.items():
            try:
                client.import_records([row])
            except NotUnderstood as error:
                refused[report] = str(error)
    return refused


def _places(
    client: RedcapClient, reports: Iterable[PerformedReport], date_field: str
) -> frozenset[str]:
    """Keys of all rows that the records of some bookings have."""
    name = client.dictionary.record_id_field
    records = sorted({unescaped(report.record_id.partition("/")[0]) for report in reports})
    rows = client.rows(fields=client.dictionary.to_ask({name, date_field}), records=records)
    texts = ({k: "" if v is None else str(v).strip() for k, v in row.items()} for row in rows)
    return frozenset(booking_key(row.get(name, ""), row) for row in texts)


def _row(report: PerformedReport, wanted: WriteBack, record_id_field: str) -> dict[str, Any]:
    parts = [unescaped(part) for part in report.record_id.split("/")]
    record, event, instrument, instance = (*parts, "", "", "", "")[:4]
    row: dict[str, Any] = {record_id_field: record}
    if event:
        row[EVENT] = event
    if instance:
        row |= {INSTRUMENT: instrument, INSTANCE: int(instance)}
    values: Mapping[str | None, str] = {
        wanted.status: wanted.status_codes.get(report.status, report.status),
        wanted.started: report.started[:16],
        wanted.ended: report.ended[:16],
        wanted.operator: report.operator,
        wanted.series_count: str(report.series_count),
    }
    return row | {name: value for name, value in values.items() if name and value}
