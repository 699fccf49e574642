"""Files that another program leaves for us: which there are, and whether they are whole yet."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

from pylantir.errors import SourceUnavailable

MAX_BYTES = 100_000_000
_UNFINISHED = (".tmp", ".temp", ".part", ".partial", ".filepart", ".crdownload", ".done")
_HIDDEN = (".", "~")

Fingerprint = tuple[str, int, int]
"""Path, size in bytes and time of the last change in nanoseconds."""


@dataclass(slots=True)
class DropFolder:
    """A file, or a folder of files, that something else writes.

    A file is whole when a marker stands beside it (``bookings.csv.done`` or ``bookings.done``, not
    older than itself), or when neither its size nor its time has changed for a while. Files under
    a temporary name (``.part``, ``~bookings.csv``) do not count until they are renamed.

    Parameters
    ----------
    path : Path
        The file or the folder.
    pattern : str
        Names that count in a folder, such as ``*.csv``.
    settle : timedelta
        How long a file must have stayed the same.
    needs_marker : bool
        Only a marker makes a file whole.
    """

    path: Path
    pattern: str
    settle: dt.timedelta
    needs_marker: bool = False
    _since: dict[Fingerprint, dt.datetime] = field(default_factory=dict)

    def files(self) -> list[Fingerprint]:
        """The files that there are, oldest first; whole or not.

        Raises
        ------
        SourceUnavailable
            The path is not there or cannot be read.
        """
        try:
            if self.path.is_dir():
                found = [each for each in self.path.iterdir() if self._counts(each)]
            elif self.path.is_file():
                found = [self.path]
            else:
                raise SourceUnavailable(f"{self.path}: no such file or folder")
            prints = [_fingerprint(each) for each in found]
        except OSError as error:
            raise SourceUnavailable(f"{self.path}: {error.strerror or error}") from None
        return sorted(prints, key=lambda each: (each[2], each[0]))

    def _counts(self, path: Path) -> bool:
        name = path.name.lower()
        temporary = name.endswith(_UNFINISHED) or name.startswith(_HIDDEN)
        return fnmatch(name, self.pattern.lower()) and not temporary and path.is_file()

    def whole(self, files: list[Fingerprint], now: dt.datetime) -> list[Fingerprint]:
        """Those of the files that nobody is still writing.

        Parameters
        ----------
        files : list
            What :meth:`files` has just said.
        now : datetime
            The present instant, aware.
        """
        self._since = {each: self._since.get(each, now) for each in files}
        return [each for each in files if self._is_whole(each, now)]

    def _is_whole(self, each: Fingerprint, now: dt.datetime) -> bool:
        if _marker_time(each) >= each[2]:
            return True
        if self.needs_marker:
            return False
        changed = dt.datetime.fromtimestamp(each[2] / 1e9, dt.UTC)
        return min(changed, self._since[each]) <= now - self.settle

    @staticmethod
    def read(each: Fingerprint) -> bytes:
        """What a file holds.

        Raises
        ------
        SourceUnavailable
            It cannot be read, is too large, or changes while it is read.
        """
        path = Path(each[0])
        if each[1] > MAX_BYTES:
            raise SourceUnavailable(f"{path.name}: more than {MAX_BYTES // 1_000_000} MB")
        try:
            with path.open("rb") as opened:
                data = opened.read(each[1] + 1)
            unchanged = _fingerprint(path) == each
        except OSError as error:
            raise SourceUnavailable(f"{path.name}: {error.strerror or error}") from None
        if not unchanged or len(data) != each[1]:
            raise SourceUnavailable(f"{path.name}: changed while it was read")
        return data


def _fingerprint(path: Path) -> Fingerprint:
    stat = path.stat()
    return str(path), stat.st_size, stat.st_mtime_ns


def _marker_time(each: Fingerprint) -> int:
    """When a marker beside a file was written, in nanoseconds; 0 without one."""
    path = Path(each[0])
    times = [0]
    for marker in (path.with_name(f"{path.name}.done"), path.with_suffix(".done")):
        try:
            times.append(marker.stat().st_mtime_ns)
        except OSError:
            continue
    return max(times)
