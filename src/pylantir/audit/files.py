"""The files of the trail: appended under a lock, rotated, removed when they are too old.

``trail-<number of the first line>.jsonl``, one after the other; none is ever renamed, so that a
reader on Windows is in nobody's way. ``head`` holds number and hash of the last line that is
certainly on the disk: it tells when the end is missing, which no chain does by itself.
"""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import logging
import os
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise, takewhile
from pathlib import Path
from typing import NamedTuple

from pylantir.audit.events import AuditEvent, Kind, Outcome, now, trail_alert
from pylantir.audit.lines import START, Place, decoded, digest_of, encoded
from pylantir.audit.locking import locked

log = logging.getLogger(__name__)

LOCK_S = 5.0
"""How long an append waits for another process."""

LONGEST_FILE_DAYS = 31
"""A quiet site begins a new file after that many days, else nothing would ever be old enough."""

_BLOCK = 65_536
_NAME = re.compile(r"trail-.*\.jsonl")
_SHOWN_FRAGMENT = 4_096


class Tail(NamedTuple):
    """The end of the trail: place of the last line, its file, and the length of that file."""

    place: Place
    path: Path | None
    size: int


class TrailFiles:
    """A folder with the files of one trail; any number of processes may append.

    Parameters
    ----------
    folder : Path
        Made when it is missing, for its own account only.
    max_bytes : int
        Size after which the next file is begun.
    retention_days : int, optional
        A file whose last event is older is removed; kept for ever when absent.

    Attributes
    ----------
    head_path : Path
        Where number and hash of the last line that is on the disk stand.
    """

    def __init__(
        self, folder: Path, *, max_bytes: int = 50_000_000, retention_days: int | None = None
    ) -> None:
        self.folder = folder
        self.head_path = folder / "head"
        self._lock_path = folder / "lock"
        self._max_bytes = max_bytes
        self._retention_days = retention_days
        self._last = START
        self._written: Tail | None = None
        self._begun: tuple[Path, dt.datetime] | None = None
        self._read_head: tuple[tuple[int, int, int], Place] = ((0, 0, 0), START)

    @property
    def uri(self) -> str:
        """What the trail is called in messages about it."""
        return self.folder.absolute().as_uri()

    def make_folder(self) -> None:
        """Make the folder; one that is there keeps its rights.

        Raises
        ------
        OSError
            It cannot be made, or is no folder.
        """
        if self.folder.is_dir():
            return
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _give_to_owner_of(self.folder.parent, self.folder)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from appending."""
        is_new = not self._lock_path.exists()
        with locked(self._lock_path, LOCK_S):
            if is_new:
                _give_to_owner_of(self.folder, self._lock_path)
            yield

    def append(self, events: Sequence[AuditEvent], *, sync: bool) -> Place:
        """Write events at the end of the chain, all or none.

        Parameters
        ----------
        events : sequence of AuditEvent
            What happened, in this order.
        sync : bool
            Whether to return only when they are on the disk.

        Returns
        -------
        Place
            Of the last one.

        Raises
        ------
        OSError
            They cannot be written; nothing has changed.
        """
        self.make_folder()
        with self.locked():
            tail = self._sound_tail()
            if self._is_full(tail):
                tail = self._next_file(tail)
            tail = self._write(tail, events)
            if sync:
                self._sync(tail)
        return tail.place

    def _is_full(self, tail: Tail) -> bool:
        if tail.path is None or tail.size >= self._max_bytes:
            return True
        if self._begun is None or self._begun[0] != tail.path:
            first = first_place(tail.path)
            self._begun = (tail.path, first[1] if first else now())
        return now() - self._begun[1] > dt.timedelta(days=LONGEST_FILE_DAYS)

    def sync(self) -> None:
        """Return when all that this process wrote is on the disk.

        Raises
        ------
        OSError
            The disk refuses.
        """
        if self._written is None:
            return
        with self.locked():
            self._sync(self._written)

    def _sync(self, tail: Tail) -> None:
        assert tail.path is not None
        descriptor = os.open(tail.path, os.O_WRONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if tail.place.number > self.head().number or not self.head_path.exists():
            self._write_head(tail.place)

    def _write(self, tail: Tail, events: Sequence[AuditEvent]) -> Tail:
        assert tail.path is not None
        place, lines = tail.place, []
        for event in events:
            line, place = encoded(event, place)
            lines.append(line)
        data = b"".join(lines)
        descriptor = os.open(tail.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | _BINARY, 0o600)
        try:
            if tail.size == 0:
                _give_to_owner_of(self.folder, tail.path)
            _write_all(descriptor, data)
        except OSError:
            with contextlib.suppress(OSError):  # half a line is taken care of by the next append
                os.ftruncate(descriptor, tail.size)
            raise
        finally:
            os.close(descriptor)
        self._last = place
        self._written = Tail(place, tail.path, tail.size + len(data))
        return self._written

    def _sound_tail(self) -> Tail:
        """Where to go on; what is wrong with the end is written down first."""
        head = self._head_again()
        expected = max(head, self._last, key=lambda place: place.number)
        written = self._written
        if written is not None and self._is_as_left(written) and written.place == expected:
            return written
        try:
            tail, fragment = self._read_tail()
        except ValueError as error:
            return self._after_damage(expected, f"the last line is none of ours: {error}")
        if tail.place.number < expected.number:
            found = f"expected line {expected.number} at the end, found {tail.place.number}"
            return self._after_damage(expected, found)
        if tail.place.number == expected.number and tail.place.digest != expected.digest:
            return self._after_damage(expected, f"line {expected.number} was changed")
        if not self.head_path.exists():
            if tail.place.number:
                return self._after_damage(tail.place, "the file head was removed")
            self._write_head(START)  # before the first line, else a crash looked like a removal
        if fragment and tail.path is not None:
            return self._after_fragment(tail, fragment)
        return tail

    def _is_as_left(self, written: Tail) -> bool:
        assert written.path is not None
        try:
            size = written.path.stat().st_size
        except OSError:
            return False
        return size == written.size and max(self._names(), default="") == written.path.name

    def _after_damage(self, expected: Place, found: str) -> Tail:
        """Go on in a file of its own, behind all others; those stay as they are."""
        newest = max((number_in(path) for path in self.files()), default=0)
        expected = Place(max(expected.number, newest), expected.digest)
        path = self.folder / _name(expected.number + 1)
        log.error("audit trail: %s; see pylantir audit verify", found)
        alert = trail_alert(Kind.AUDIT_DAMAGED, self.uri, found, Outcome.MAJOR)
        tail = self._write(Tail(expected, path, 0), [alert])
        self._sync(tail)
        return tail

    def _after_fragment(self, tail: Tail, fragment: bytes) -> Tail:
        """Half a line at the end, as a power cut leaves it: keep it in an event of its own."""
        assert tail.path is not None
        os.truncate(tail.path, tail.size)
        alert = trail_alert(
            Kind.AUDIT_DAMAGED,
            self.uri,
            "an unfinished last line was set aside",
            Outcome.MINOR,
            Fragment=base64.b64encode(fragment[:_SHOWN_FRAGMENT]).decode("ascii"),
        )
        return self._write(tail, [alert])

    def _next_file(self, tail: Tail) -> Tail:
        if tail.path is not None:
            self._sync(tail)
        tail = Tail(tail.place, self.folder / _name(tail.place.number + 1), 0)
        if self._retention_days is None:
            return tail
        return self._without_old(tail, now() - dt.timedelta(days=self._retention_days))

    def _without_old(self, tail: Tail, before: dt.datetime) -> Tail:
        """Remove files whose events are all older; the chain says up to where."""
        files = self.files()
        old = [path for path, _ in takewhile(lambda two: _begins(two[1], before), pairwise(files))]
        if not old:
            return tail
        kept = files[len(old)]
        first = first_place(kept)
        assert first is not None
        alert = trail_alert(
            Kind.AUDIT_REMOVED,
            self.uri,
            f"files older than {self._retention_days} days removed",
            Outcome.SUCCESS,
            RemovedThrough=str(first[0].number),
            LastHash=first[0].digest,
        )
        tail = self._write(tail, [alert])
        self._sync(tail)  # on the disk first: a removal without its reason looks like a theft
        for path in old:
            path.unlink(missing_ok=True)
        return tail

    def _read_tail(self) -> tuple[Tail, bytes]:
        """The last whole line, and what stands behind it."""
        unfinished: tuple[Path, bytes] | None = None  # begun when the power went
        for path in reversed(self.files()):
            line, size, fragment = _last_line(path)
            if line:
                where, size, fragment = (
                    (path, size, fragment)
                    if unfinished is None
                    else (unfinished[0], 0, unfinished[1])
                )
                return Tail(_place_of(line), where, size), fragment
            unfinished = (path, fragment)
        if unfinished is None:
            return Tail(START, None, 0), b""
        return Tail(START, unfinished[0], 0), unfinished[1]

    def files(self) -> list[Path]:
        """The files, in the order of the chain."""
        return [self.folder / name for name in sorted(self._names())]

    def _names(self) -> list[str]:
        """Not by a pattern, which takes five times as long, for every event."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.folder) as found:
            return [each.name for each in found if _NAME.fullmatch(each.name)]
        return []

    def _head_again(self) -> Place:
        """The same as :meth:`head`, read only when somebody has written it since."""
        try:
            found = self.head_path.stat()
        except OSError:
            return START
        stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
        if self._read_head[0] != stamp:
            self._read_head = stamp, self.head()
        return self._read_head[1]

    def head(self) -> Place:
        """The last line that was certainly on the disk; the origin when nothing says so."""
        try:
            number, _, digest = self.head_path.read_text("ascii").strip().partition(" ")
            return Place(int(number), digest)
        except (OSError, ValueError):
            return START

    def _write_head(self, place: Place) -> None:
        # As long as ever and shorter than a sector: written as a whole or not at all.
        line = f"{place.number:020d} {place.digest}\n".encode("ascii")
        is_new = not self.head_path.exists()
        descriptor = os.open(self.head_path, os.O_WRONLY | os.O_CREAT | _BINARY, 0o600)
        try:
            if is_new:
                _give_to_owner_of(self.folder, self.head_path)
            _write_all(descriptor, line)
        finally:
            os.close(descriptor)


_BINARY = getattr(os, "O_BINARY", 0)


def _give_to_owner_of(folder: Path, made: Path) -> None:
    """What an administrator's command makes beside a service belongs to the service's account."""
    if sys.platform != "win32" and os.geteuid() == 0:
        owner = folder.stat()
        os.chown(made, owner.st_uid, owner.st_gid)


def _name(number: int) -> str:
    return f"trail-{number:012d}.jsonl"


def number_in(path: Path) -> int:
    """Number of the first line of a file, by its name."""
    digits = re.search(r"[0-9]+", path.name)
    return int(digits[0]) if digits else 0


def _place_of(line: bytes) -> Place:
    return Place(decoded(line).number, digest_of(line))


def _begins(path: Path, before: dt.datetime) -> bool:
    first = first_place(path)
    return first is not None and first[1] < before


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def first_place(path: Path) -> tuple[Place, dt.datetime] | None:
    """What the first line of a file follows, and when it was written; nothing if it is none."""
    try:
        with path.open("rb") as file:
            record = decoded(file.readline().rstrip(b"\n"))
    except (OSError, ValueError):
        return None
    return Place(record.number - 1, record.previous), record.at


def _last_line(path: Path) -> tuple[bytes, int, bytes]:
    """The last whole line, where it ends with its line feed, and what stands behind it."""
    with path.open("rb") as file:
        start = file.seek(0, os.SEEK_END)
        read = b""
        while start > 0 and read.count(b"\n") < 2:
            step = min(_BLOCK, start)
            start -= step
            file.seek(start)
            read = file.read(step) + read
    whole, _, fragment = read.rpartition(b"\n")
    end = start + len(read) - len(fragment)
    return whole.rpartition(b"\n")[2], end, fragment
