"""Reading the trail on and on, without beginning anew each time."""

from __future__ import annotations

from pathlib import Path

from pylantir.audit.files import TrailFiles, number_in
from pylantir.audit.lines import Record
from pylantir.audit.reading import record_of


class Follower:
    """A place in the trail behind which more is written.

    Parameters
    ----------
    trail : TrailFiles
        What is followed.
    after : int
        Number of the event before the first that is wanted.
    """

    def __init__(self, trail: TrailFiles, after: int) -> None:
        self._trail = trail
        self._after = after
        self._path: Path | None = None
        self._offset = 0

    def more(self, most: int) -> list[Record]:
        """The next events, as many as there are or as are wanted.

        Raises
        ------
        OSError
            A file cannot be read.
        """
        found: list[Record] = []
        while len(found) < most:
            path = self._path or self._first()
            if path is None:
                break
            self._path = path
            self._read(path, found, most)
            following = self._following(path)
            if len(found) >= most or following is None:
                break
            self._path, self._offset = following, 0
        return found

    def _first(self) -> Path | None:
        """The last file that may hold the next event."""
        files = self._trail.files()
        fitting = [path for path in files if number_in(path) <= self._after + 1]
        return next(iter(fitting[-1:] or files[:1]), None)

    def _following(self, path: Path) -> Path | None:
        return next((each for each in self._trail.files() if each.name > path.name), None)

    def _read(self, path: Path, found: list[Record], most: int) -> None:
        if not path.exists():
            return  # old, and removed
        with path.open("rb") as file:
            file.seek(self._offset)
            while len(found) < most and (line := file.readline()).endswith(b"\n"):
                self._offset += len(line)
                record = record_of(line)
                if record is not None and record.number > self._after:
                    found.append(record)
                    self._after = record.number
