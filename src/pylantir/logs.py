"""What is logged, where and how: the only home of coloredlogs.

One line per event on standard error, coloured on a terminal; rotated into a file on request. No
patient name, id, birth date, accession number or whole identifier is logged at INFO or above;
control characters that a peer may smuggle into a line are escaped.
"""

from __future__ import annotations

import contextlib
import logging
import logging.handlers
import os
import stat
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path

from pylantir.errors import StartError

_LINE = "%(asctime)s %(levelname)-7s %(message)s"
_DATE = "%Y-%m-%d %H:%M:%S"
_KEPT = "pylantir_line"

_TOO_TALKATIVE = ("pynetdicom", "pydicom", "sqlalchemy", "alembic", "urllib3", "asyncio", "uvicorn")
"""Libraries whose own lines may hold identifiers; they speak only when something is broken."""


def configure(
    level: int, *, file: str | None = None, max_bytes: int = 10_000_000, backups: int = 5
) -> None:
    """Set up logging for this process.

    Parameters
    ----------
    level : int
        Lowest level that is shown, such as ``logging.INFO``.
    file : str, optional
        Also write plain lines there.
    max_bytes, backups : int
        Size at which the file is rotated and how many old ones are kept.

    Raises
    ------
    StartError
        The log file cannot be written.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    _to_terminal(root, level)
    if file is not None:
        _to_file(root, level, Path(file).expanduser(), max_bytes, backups)
    for name in _TOO_TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # Without a handler of its own SQLAlchemy would echo to standard output, where data goes.
    logging.getLogger("sqlalchemy.engine.Engine").addHandler(logging.NullHandler())


def _to_terminal(root: logging.Logger, level: int) -> None:
    install = _coloredlogs_install() if sys.stderr.isatty() else None
    if install is not None:
        install(level=level, logger=root, stream=sys.stderr, fmt=_LINE, datefmt=_DATE)
        handler = root.handlers[-1]
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(_Line(_LINE, _DATE))
        handler.setLevel(level)
        root.addHandler(handler)
    handler.addFilter(escape_controls)


def _coloredlogs_install() -> Callable[..., None] | None:
    try:
        import coloredlogs
    except ImportError:  # some newer Pythons: plain lines say the same
        return None
    install: Callable[..., None] = coloredlogs.install
    return install


def _to_file(root: logging.Logger, level: int, path: Path, max_bytes: int, backups: int) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = _LogFile(path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8")
    except OSError as error:
        raise StartError(
            f"cannot write the log file {path}: {error.strerror}. "
            "Change log.file in the configuration, or --log-file."
        ) from error
    handler.setLevel(level)
    handler.setFormatter(_Line(_LINE, _DATE))
    handler.addFilter(escape_controls)
    root.addHandler(handler)


class _Line(logging.Formatter):
    """A line is put together once, though the terminal and the file get it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record."""
        kept = vars(record)
        if _KEPT not in kept:
            kept[_KEPT] = super().format(record)
        return str(kept[_KEPT])


class _LogFile(logging.handlers.RotatingFileHandler):
    """Readable by its own account only, each new file after a rotation too."""

    _failed = False

    def _open(self) -> TextIOWrapper:
        os.close(os.open(self.baseFilename, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        return super()._open()

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802 - as logging has it
        """Whether the line would make the file too large; a pipe or a device is never replaced.

        Asks the system once for what logging asks four times.
        """
        if self.stream is None:
            self.stream = self._open()
        if self.maxBytes <= 0:
            return False
        found = os.fstat(self.stream.fileno())
        size = found.st_size + len(self.format(record)) + 1
        return stat.S_ISREG(found.st_mode) and size >= self.maxBytes

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - as logging has it
        """Say once that the file cannot be written; the terminal goes on."""
        if not self._failed:
            self._failed = True
            reason = sys.exc_info()[1]
            sys.stderr.write(f"cannot write the log file {self.baseFilename}: {reason}\n")

    def close(self) -> None:
        """Close the file; that its last lines did not fit on the disk has been said."""
        with contextlib.suppress(OSError):
            super().close()


def escape_controls(record: logging.LogRecord) -> bool:
    """A logging filter: whatever a peer sent, one event stays one printable line."""
    message = record.getMessage()
    record.msg = message if message.isprintable() else "".join(map(_printable, message))
    record.args = ()
    return True


def _printable(character: str) -> str:
    return character if character.isprintable() else ascii(character)[1:-1]
