"""``audit``: reading, checking and exporting the audit trail; which is audited itself."""

from __future__ import annotations

import argparse
import base64
import csv
import io
import json
import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylantir.cli import table
from pylantir.cli.audited import trail_for
from pylantir.cli.moments import moment
from pylantir.cli.opening import load, log_to_stderr
from pylantir.errors import ConfigProblem, ConfigurationError

if TYPE_CHECKING:
    from pylantir.audit.files import TrailFiles
    from pylantir.audit.lines import Place, Record
    from pylantir.audit.reading import Selection
    from pylantir.audit.trail import AuditTrail
    from pylantir.clock import SiteClock
    from pylantir.config.load import LoadedConfig

_DEFAULT_LIMIT = 100
_FORMATS = ("json", "csv", "xml")
_OUTCOMES = {0: "ok", 4: "minor", 8: "serious", 12: "major"}


def configure_audit(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``audit``."""
    parser.add_argument(
        "action",
        nargs="?",
        choices=("show", "verify", "export"),
        default="show",
        help="show the newest events (default), verify that nothing was changed, or export",
    )
    group = parser.add_argument_group("filters")
    group.add_argument(
        "--since", metavar="WHEN", help="YYYY-MM-DD, today, yesterday, or with HH:MM"
    )
    group.add_argument("--until", metavar="WHEN", help="the same; a day counts to its end")
    group.add_argument(
        "--event", action="append", metavar="EVENT", help="such as query; may be repeated"
    )
    group.add_argument(
        "--user", metavar="WHO", help="account, AE title, source or address; * works"
    )
    group.add_argument("--patient", metavar="ID", help="patient id; * and ? are wild cards")
    group.add_argument("--limit", type=int, metavar="N", help=f"newest N (show: {_DEFAULT_LIMIT})")
    parser.add_argument("--json", action="store_true", help="show as JSON")
    parser.add_argument("--format", choices=_FORMATS, help="of the export; else by --output, json")
    parser.add_argument("--output", default="-", metavar="FILE", help="of the export (stdout)")
    parser.add_argument(
        "--known",
        metavar="NUMBER:HASH",
        help="verify: an event that was written down elsewhere must still be there",
    )


def run_audit(args: argparse.Namespace) -> int:
    """Show, verify or export the audit trail."""
    loaded = load(args)
    log_to_stderr(args)
    trail, files = _trail(loaded)
    if args.action == "verify":
        return _verify(trail, files, args)
    from pylantir.clock import SiteClock

    clock = SiteClock(loaded.config.timezone)
    selection = _selection(args, clock)
    _note_use(trail, files, args)
    return (
        _export(files, selection, args, loaded)
        if args.action == "export"
        else _show(files, selection, args, clock)
    )


def _trail(loaded: LoadedConfig) -> tuple[AuditTrail, TrailFiles]:
    trail = trail_for(loaded.config)
    where = loaded.origins.get("audit", "configuration")
    if trail.files is None:
        problem = ConfigProblem(where, "audit.enabled", "no audit trail is kept", "set it to true")
        raise ConfigurationError([problem])
    if not trail.files.folder.is_dir():
        message = f"there is no audit trail at {trail.files.folder} yet"
        raise ConfigurationError([ConfigProblem(where, "audit.path", message)])
    return trail, trail.files


def _note_use(trail: AuditTrail, files: TrailFiles, args: argparse.Namespace) -> None:
    """Who reads is kept before anything is shown."""
    from pylantir.audit import events

    names = ("since", "until", "event", "user", "patient", "limit", "format", "output", "known")
    given = [f"--{n} {v}" for n in names if (v := getattr(args, n, None)) not in (None, "-")]
    what = " ".join([args.action, *given])
    trail.record(events.audit_used(events.operator(), files.uri, what))


def _selection(args: argparse.Namespace, clock: SiteClock) -> Selection:
    from pylantir.audit.events import Kind
    from pylantir.audit.reading import Selection

    for name in args.event or ():
        if name not in set(Kind):
            known = ", ".join(Kind)
            problem = f"expected one of {known}; got {name!r}"
            raise ConfigurationError([ConfigProblem("command line", "--event", problem)])
    return Selection(
        since=moment(args.since, clock, "--since"),
        until=moment(args.until, clock, "--until", end=True),
        kinds=tuple(Kind(name) for name in args.event or ()),
        user=args.user or "",
        patient=args.patient or "",
    )


def _chosen(files: TrailFiles, selection: Selection, limit: int | None) -> Iterable[Record]:
    from pylantir.audit.reading import read

    records = read(files, selection)
    return records if limit is None else deque(records, maxlen=max(0, limit))


def _show(
    files: TrailFiles, selection: Selection, args: argparse.Namespace, clock: SiteClock
) -> int:
    limit = _DEFAULT_LIMIT if args.limit is None else args.limit
    records = list(_chosen(files, selection, limit))
    if args.json:
        table.write_json([plain_record(record) for record in records])
    elif records:
        headers = ("N", "TIME", "EVENT", "OUTCOME", "WHO", "FROM", "WHAT")
        table.write_table(headers, [_row(record, clock) for record in records])
    print(f"{len(records)} events", file=sys.stderr)
    return 0


def _row(record: Record, clock: SiteClock) -> list[str]:
    values = record.values
    who = next((a for a in values["actors"] if a.get("requestor")), values["actors"][-1])
    return [
        str(record.number),
        f"{clock.wall_of(record.at):%Y-%m-%d %H:%M:%S}",
        values["event"],
        _OUTCOMES.get(values["outcome"], str(values["outcome"])),
        who.get("user", ""),
        who.get("address", ""),
        "; ".join(filter(None, [*map(_subject_words, values["subjects"]), values.get("reason")])),
    ]


def _subject_words(subject: dict[str, Any]) -> str:
    details = subject.get("details", {})
    if "query" in subject:
        return f"{query_text(subject)}: {details.get('NumberOfItems', '?')} items"
    shown = [f"{n} {v}" for n, v in details.items() if n != "Alert Description"]
    named = subject.get("id", "") if subject["kind"] in ("patient", "node", "configuration") else ""
    return ", ".join(filter(None, [f"{subject['kind']} {named}" if named else "", *shown]))


def query_text(subject: dict[str, Any]) -> str:
    """What was asked for, in words."""
    asked = base64.b64decode(subject["query"])
    syntax = subject.get("details", {}).get("TransferSyntax")
    if not syntax:
        return asked.decode("utf-8", "replace")
    from pylantir.dicom.query_words import query_words

    return query_words(asked, syntax)


def plain_record(record: Record) -> dict[str, Any]:
    """A line of the trail as JSON shows it, with each query in words as well."""
    subjects = [
        {**subject, "asked": query_text(subject)} if "query" in subject else subject
        for subject in record.values["subjects"]
    ]
    values = {**record.values, "subjects": subjects}
    return {"n": record.number, "previous": record.previous, **values}


def _export(
    files: TrailFiles, selection: Selection, args: argparse.Namespace, loaded: LoadedConfig
) -> int:
    suffix = Path(args.output).suffix.lower().removeprefix(".")
    chosen = args.format or (suffix if suffix in _FORMATS else "json")
    records = _chosen(files, selection, args.limit)
    counted = _Counted(records)
    parts = {"json": _as_json, "csv": _as_csv}.get(chosen)
    data = parts(counted) if parts else _as_xml(counted, loaded.config.site or "")
    try:
        _write(data, args.output)
    except BrokenPipeError:
        raise
    except OSError as error:
        problem = f"cannot write {args.output}: {error.strerror or error}"
        raise ConfigurationError([ConfigProblem("command line", "--output", problem)]) from error
    print(f"events written: {counted.number}", file=sys.stderr)
    return 0


class _Counted:
    """Passes events on and counts them."""

    def __init__(self, records: Iterable[Record]) -> None:
        self.number = 0
        self._records = records

    def __iter__(self) -> Iterator[Record]:
        for record in self._records:
            self.number += 1
            yield record


def _write(parts: Iterable[bytes], output: str) -> None:
    if output == "-":
        sys.stdout.flush()
        for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.buffer.flush()
        return
    path = Path(output)
    if not path.exists():
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with path.open("wb") as file:
        for part in parts:
            file.write(part)


def _as_json(records: Iterable[Record]) -> Iterator[bytes]:
    before = b"[\n"
    for record in records:
        yield before + json.dumps(plain_record(record), ensure_ascii=False).encode()
        before = b",\n"
    yield b"[]\n" if before == b"[\n" else b"\n]\n"


def _as_csv(records: Iterable[Record]) -> Iterator[bytes]:
    names = ("n", "at", "event", "outcome", "user", "ae_title", "address")
    more = ("patients", "studies", "steps", "asked", "found", "details", "reason")
    line = io.StringIO()
    writer = csv.writer(line)
    writer.writerow((*names, *more))
    for record in records:
        yield _taken(line)
        writer.writerow([table.no_formula(value) for value in _csv_row(record)])
    yield _taken(line)


def _taken(line: io.StringIO) -> bytes:
    text = line.getvalue()
    line.seek(0)
    line.truncate()
    return text.encode()


def _csv_row(record: Record) -> list[str]:
    values = record.values
    who = next((a for a in values["actors"] if a.get("requestor")), values["actors"][-1])
    subjects = values["subjects"]
    details = {n: v for s in subjects for n, v in s.get("details", {}).items()}
    found = details.pop("NumberOfItems", "")
    return [
        str(record.number),
        values["at"],
        values["event"],
        str(values["outcome"]),
        *(who.get(name, "") for name in ("user", "ae_title", "address")),
        *(_ids(subjects, kind) for kind in ("patient", "study", "step")),
        "; ".join(query_text(s) for s in subjects if "query" in s),
        found,
        "; ".join(f"{name}={value}" for name, value in details.items()),
        values.get("reason", ""),
    ]


def _ids(subjects: Iterable[dict[str, Any]], kind: str) -> str:
    return " ".join(subject.get("id", "") for subject in subjects if subject["kind"] == kind)


def _as_xml(records: Iterable[Record], site: str) -> Iterable[bytes]:
    import socket

    from pylantir.audit.message import audit_messages

    return audit_messages(records, socket.gethostname(), site)


def _verify(trail: AuditTrail, files: TrailFiles, args: argparse.Namespace) -> int:
    from pylantir.audit.verification import verify

    found = verify(files, _known(args.known))
    _note_use(trail, files, args)
    for alert in found.alerts:
        print(f"note  {alert}", file=sys.stderr)
    for fault in found.faults:
        print(f"FAIL  {fault}", file=sys.stderr)
    print(f"{found.events} events in {found.files} files, from number {found.first}")
    print(f"last  {found.last.number}:{found.last.digest}")
    if not found.is_intact:
        print(f"{len(found.faults)} faults: the trail is not as it was written", file=sys.stderr)
        return 1
    print("OK    nothing was changed, removed or put in")
    return 0


def _known(shown: str | None) -> Place | None:
    from pylantir.audit.lines import Place

    if shown is None:
        return None
    number, _, digest = shown.partition(":")
    if not (number.isascii() and number.isdigit() and len(digest) == 64):
        problem = f"expected NUMBER:HASH as verify prints it, got {shown!r}"
        raise ConfigurationError([ConfigProblem("command line", "--known", problem)])
    return Place(int(number), digest.lower())
