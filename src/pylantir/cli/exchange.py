"""``import`` and ``export``: items as files."""

from __future__ import annotations

import argparse
import contextlib
import os
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pylantir.cli import audited
from pylantir.cli.filters import add_filters, query_of
from pylantir.cli.opening import load, log_to_stderr, open_store
from pylantir.errors import ConfigProblem, ConfigurationError

if TYPE_CHECKING:
    from pylantir.daemon import Worklist
    from pylantir.worklist.imports import Importer, Reading
    from pylantir.worklist.item import WorklistItem
    from pylantir.worklist.store import ItemStore

STDIN = "-"
MAX_FILE_BYTES = 256 * 2**20
"""More than any worklist needs; keeps a wrong path from filling the memory."""

_SUFFIXES = {".wl": "dicom", ".dcm": "dicom", ".json": "json", ".csv": "csv"}
"""Files looked for in a folder, and what they are believed to be; others are told by content."""

_FORMATS = ("wl", "json", "dicom-json", "csv")
_FORMAT_OF_SUFFIX = {".csv": "csv", ".json": "json"}
_LOOKED_UP_AT_ONCE = 100
_WITHOUT_WAITING: int = getattr(os, "O_NONBLOCK", 0)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def configure_import(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``import``."""
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="DICOM worklist file, DICOM JSON, JSON or CSV; a folder of them; - for standard input",
    )
    parser.add_argument("--dry-run", action="store_true", help="check the files and store nothing")
    parser.add_argument(
        "--strict", action="store_true", help="store nothing when anything is refused"
    )
    parser.add_argument(
        "--source-name", default="import", metavar="NAME", help="source of the items (import)"
    )
    parser.add_argument(
        "--keep-source", action="store_true", help="keep the source that a file names for an item"
    )
    parser.add_argument(
        "--coding-scheme", default="", metavar="NAME", help="for protocol codes that name none"
    )
    parser.add_argument(
        "--ignore-unknown", action="store_true", help="leave out columns and keys nobody knows"
    )


def run_import(args: argparse.Namespace) -> int:
    """Read files into the worklist; what is refused is told on standard error."""
    from pylantir.worklist.imports import Importer

    files = files_of(args.files)
    _check_source_name(args.source_name)
    with _worklist(args) as worklist:
        importer = Importer(
            data_source=args.source_name,
            authority=worklist.authority if worklist else "",
            default_scheme=args.coding_scheme,
            keep_source=args.keep_source,
            ignore_unknown=args.ignore_unknown,
        )
        for name in files:
            importer.take(name, read_file(name, ignore_unknown=args.ignore_unknown))
        if worklist:
            refuse_what_others_keep(importer, worklist.items)
        for line in (*importer.notes, *importer.refused):
            print(line, file=sys.stderr)
        print(_store(importer, worklist, args))
    return int(bool(importer.refused))


def _check_source_name(name: str) -> None:
    if not name.strip() or len(name) > 255 or not name.isprintable():
        problem = "expected a name of at most 255 printable characters"
        raise ConfigurationError([ConfigProblem("command line", "--source-name", problem)])


@contextlib.contextmanager
def _worklist(args: argparse.Namespace) -> Iterator[Worklist | None]:
    """The open worklist; a dry run makes none where there is none."""
    if not args.dry_run:
        with open_store(args) as worklist:
            yield worklist
        return
    config = load(args).config
    log_to_stderr(args)
    if "://" not in config.db_path and not Path(config.db_path).expanduser().exists():
        yield None
        return
    from pylantir.daemon import open_worklist

    worklist = open_worklist(config)
    try:
        yield worklist
    finally:
        worklist.database.close()


def _store(importer: Importer, worklist: Worklist | None, args: argparse.Namespace) -> str:
    items, refused = importer.items, len(importer.refused)
    if worklist is None or args.dry_run:
        known = _identities(worklist.items) if worklist else set()
        present = sum(item.origin in known for item in items)
        return (
            f"would create {len(items) - present}, {present} here already, "
            f"refused {refused}; nothing stored (--dry-run)"
        )
    if refused and args.strict:
        return f"created 0, updated 0, unchanged 0, refused {refused}; nothing stored (--strict)"
    report = worklist.items.put(items, by=audited.who())
    audited.created(worklist, report.created_items)
    audited.updated(worklist, report.updated_items)
    return (
        f"created {report.created}, updated {report.updated}, "
        f"unchanged {report.unchanged}, refused {refused}"
    )


def _identities(items: ItemStore) -> set[tuple[str, str]]:
    from pylantir.worklist.query import WorklistQuery

    return {item.origin for item in items.find(WorklistQuery())}


def refuse_what_others_keep(importer: Importer, items: ItemStore) -> None:
    """Refuse steps that are in the worklist already, but as another record.

    A scanner names a step by Study Instance UID and SPS ID: when two items have the same, what it
    reports could belong to either.
    """
    from pylantir.worklist.attributes import BY_NAME
    from pylantir.worklist.query import Key, SingleValue, WorklistQuery, any_of

    steps = {(i.study_instance_uid, i.scheduled_procedure_step_id): i for i in importer.items}
    studies = sorted({study for study, _ in steps})
    for start in range(0, len(studies), _LOOKED_UP_AT_ONCE):
        some = studies[start : start + _LOOKED_UP_AT_ONCE]
        match = any_of([SingleValue(study) for study in some])
        query = WorklistQuery(keys=(Key(BY_NAME["study_instance_uid"], match),))
        for known in items.find(query):
            new = steps.get((known.study_instance_uid, known.scheduled_procedure_step_id))
            if new and new.origin != known.origin:
                record = f"record {known.source_record_id} of {known.data_source}"
                importer.refuse(new, f"this step is item {known.item_id} already ({record})")


def files_of(paths: Sequence[str]) -> list[str]:
    """The files that the command line names, those of folders sorted by path.

    Raises
    ------
    ConfigurationError
        A path where there is nothing.
    """
    found: list[str] = []
    missing: list[ConfigProblem] = []
    for shown in paths:
        path = Path(shown)
        if shown == STDIN:
            found.append(shown)
        elif path.is_dir():
            inside = (p for p in path.rglob("*") if p.suffix.lower() in _SUFFIXES and p.is_file())
            found += map(str, sorted(inside))
        elif path.exists():
            found.append(shown)
        else:
            missing.append(ConfigProblem("command line", "FILE", f"there is no {shown}"))
    if missing:
        raise ConfigurationError(missing)
    return list(dict.fromkeys(found))


def read_file(name: str, *, ignore_unknown: bool = False) -> Reading:
    """What a file holds; one that cannot be read is refused as a whole.

    Parameters
    ----------
    name : str
        Path, or ``-`` for standard input.
    ignore_unknown : bool
        See :func:`~pylantir.worklist.textfiles.read_csv`.
    """
    from pylantir.worklist.imports import refused_file

    try:
        with _opened(name) as file:
            size = os.fstat(file.fileno()).st_size if name != STDIN else 0
            data = file.read(MAX_FILE_BYTES + 1) if size <= MAX_FILE_BYTES else None
    except OSError as error:
        return refused_file(f"cannot be read: {error.strerror or error}")
    if data is None or len(data) > MAX_FILE_BYTES:
        return refused_file(f"expected at most {MAX_FILE_BYTES // 2**20} MiB")
    return reading_of(data, Path(name).suffix, ignore_unknown=ignore_unknown)


@contextlib.contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    """A file to read from, or standard input.

    Raises
    ------
    OSError
        It cannot be opened, or is a device: some of them never end.
    """
    if name == STDIN:
        yield sys.stdin.buffer
        return
    with open(name, "rb", opener=_open_without_waiting) as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
            raise OSError("a device, not a file")
        if _WITHOUT_WAITING:
            os.set_blocking(file.fileno(), True)
        yield file


def _open_without_waiting(path: str, flags: int) -> int:
    """A pipe that nobody writes into would keep us waiting for as long as nobody does."""
    return os.open(path, flags | _WITHOUT_WAITING)


def reading_of(data: bytes, suffix: str = "", *, ignore_unknown: bool = False) -> Reading:
    """What the bytes of a file hold.

    Parameters
    ----------
    data : bytes
        The file.
    suffix : str
        ``.wl``, ``.dcm``, ``.json`` or ``.csv``; any other leaves it to the content.
    ignore_unknown : bool
        See :func:`~pylantir.worklist.textfiles.read_csv`.
    """
    from pylantir.worklist import textfiles
    from pylantir.worklist.imports import refused_file

    kind = _SUFFIXES.get(suffix.lower()) or _kind_of(data)
    if kind == "csv":
        return textfiles.read_csv(data, ignore_unknown=ignore_unknown)
    from pylantir.dicom import worklist_files

    if kind == "dicom":
        return worklist_files.read_worklist_file(data)
    try:
        objects = textfiles.parse_json(data)
    except textfiles.UnreadableText as error:
        return refused_file(str(error))
    if textfiles.is_dicom_json(objects):
        return worklist_files.read_dicom_json(objects)
    return textfiles.read_json(objects)


def _kind_of(data: bytes) -> str:
    from pylantir.dicom.worklist_files import looks_like_dicom

    if looks_like_dicom(data):
        return "dicom"
    start = data.removeprefix(_BYTE_ORDER_MARK).lstrip()[:1]
    return "json" if start in (b"[", b"{") else "csv"


def configure_export(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``export``."""
    add_filters(parser)
    parser.add_argument(
        "--format",
        choices=_FORMATS,
        help="wl: a folder of DICOM worklist files, for wlmscpfs or Orthanc (without --status "
        "only what a scanner would see); default: by the name of the output, else json",
    )
    parser.add_argument(
        "--output", default="-", metavar="PATH", help="file, or folder for wl; - (default): stdout"
    )


def run_export(args: argparse.Namespace) -> int:
    """Write the items that match; how many is told on standard error."""
    from dataclasses import replace

    from pylantir.worklist.status import HIDDEN_BY_DEFAULT

    chosen = _format_of(args)
    with open_store(args, create=False) as worklist:
        query = query_of(args, worklist.clock.today())
        if chosen == "wl" and not args.status:
            query = replace(query, hidden=HIDDEN_BY_DEFAULT)
        items = worklist.items.find(query)
        audited.looked(worklist, args, len(items))
    try:
        _write(items, chosen, args.output)
    except BrokenPipeError:
        raise
    except OSError as error:
        problem = f"cannot write {args.output}: {error.strerror or error}"
        raise ConfigurationError([ConfigProblem("command line", "--output", problem)]) from error
    print(f"items written: {len(items)}", file=sys.stderr)
    return 0


def _format_of(args: argparse.Namespace) -> str:
    if args.format is None:
        path = Path(args.output)
        by_name = "wl" if path.is_dir() else _FORMAT_OF_SUFFIX.get(path.suffix.lower(), "json")
        return "json" if args.output == "-" else by_name
    if args.format == "wl" and args.output == "-":
        problem = ConfigProblem("command line", "--output", "wl needs a folder to write files into")
        raise ConfigurationError([problem])
    return str(args.format)


def _write(items: Sequence[WorklistItem], chosen: str, output: str) -> None:
    if chosen == "wl":
        write_folder(items, Path(output))
        return
    data = encoded(items, chosen)
    if output == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    # A spreadsheet takes UTF-8 for Windows-1252 unless a byte order mark says otherwise.
    mark = _BYTE_ORDER_MARK if chosen == "csv" else b""
    _replace(Path(output), mark + data, mode=0o600)


def encoded(items: Sequence[WorklistItem], chosen: str) -> bytes:
    """Items in one of the text formats, in UTF-8."""
    from pylantir.worklist import textfiles

    if chosen == "csv":
        return textfiles.write_csv(items).encode()
    if chosen == "json":
        return textfiles.write_json(items).encode()
    from pylantir.dicom.worklist_files import write_dicom_json

    return write_dicom_json(items).encode()


def write_folder(items: Sequence[WorklistItem], folder: Path) -> None:
    """Write a DICOM worklist file for each item, and the lock file that wlmscpfs wants.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    from pylantir.dicom.worklist_files import file_name, write_worklist_file

    folder.mkdir(parents=True, exist_ok=True)
    for item in items:
        # Another server reads these, often under another account: the umask decides who may.
        _replace(folder / file_name(item), write_worklist_file(item), mode=0o666)
    (folder / "lockfile").touch()
    open_to_all = sum(not item.scheduled_station_ae_title for item in items)
    if open_to_all:
        note = f"items without a scanner: {open_to_all}; wlmscpfs leaves such files out"
        print(note, file=sys.stderr)


def _replace(path: Path, data: bytes, mode: int) -> None:
    """Write a file so that whoever reads it meanwhile sees the old one or the new one."""
    if path.exists() and not path.is_file():
        path.write_bytes(data)  # a pipe or a device
        return
    part = path.with_name(f".{path.name}.part")
    part.unlink(missing_ok=True)
    try:
        with open(part, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            file.write(data)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
