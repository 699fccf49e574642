"""Trouble with the database while scanners report: never a false success, said within two seconds.

``python -m tests.faults.database`` from the checkout prints the figures of every scene; they run
with the other tests too, where the machine allows them.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.dicom.modality import Modality
from tests.dicom.performing import new_uid
from tests.dicom.serving import everything
from tests.faults.rooms import (
    BROKEN,
    PROGRAM,
    Scan,
    Site,
    arguments,
    conclude,
    finish,
    folder,
    scan_one,
)

SAID_WITHIN_S = 2.0
_PATIENCE_S = 60.0


class NotHere(Exception):
    """This machine does not allow the scene; the message says why."""


@dataclass
class Figures:
    """What a scene showed.

    Seconds are from the beginning of the trouble to the message, and from its end to the first
    acknowledged report; nothing where there was none.
    """

    name: str
    log_s: float | None = None
    health_s: float | None = None
    again_s: float | None = None
    acknowledged: int = 0
    refused: int = 0
    message: str = ""
    wrong: list[str] = field(default_factory=list)


class Reporting:
    """A scanner that begins and ends one scan after the other, whatever it is answered."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._items = site.items()[:20]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.scans: list[Scan] = []
        self.refused: list[str] = []
        self.acknowledged_at: list[float] = []

    def __enter__(self) -> Reporting:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(_PATIENCE_S)

    def _work(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(*BROKEN), Modality(self._site.port, calling="MR1") as mr:
                while not self._stopping.wait(0.02):
                    scan = Scan(new_uid())
                    self.scans.append(scan)
                    item = self._items[len(self.scans) % len(self._items)]
                    refused = scan_one(mr, scan, item, end=True)
                    self.refused += refused
                    if not refused:
                        self.acknowledged_at.append(time.monotonic())

    def first_after(self, moment: float) -> float | None:
        """Seconds from a moment to the first acknowledged scan after it."""
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end:
            later = [at for at in self.acknowledged_at if at > moment]
            if later:
                return later[0] - moment
            self._stopping.wait(0.01)
        return None


class Scene:
    """A site whose scanner reports, and a watch on what is said of the trouble."""

    def __init__(self, name: str, site: Site, seen_from_here: Path | None = None) -> None:
        self.figures = Figures(name)
        self.site = site
        self._lock_path = Path(f"{seen_from_here or site.db_path}.lock")
        self._began = 0.0
        self._already = 0

    def begins(self) -> None:
        """The trouble is there now."""
        self._already = len(self.site.log)
        self._began = time.monotonic()

    def wait_until_said(self, words: str, *, in_health: bool = True) -> None:
        """Wait for the log, and for the health of the database, whichever comes first."""
        figures, wanted = self.figures, 2 if in_health else 1

        def look() -> bool:
            lines = [line for line in self.site.log[self._already :].splitlines() if words in line]
            if lines and figures.log_s is None:
                figures.log_s, figures.message = time.monotonic() - self._began, lines[0]
            if in_health and figures.health_s is None and self._is_critical():
                figures.health_s = time.monotonic() - self._began
            return sum(s is not None for s in (figures.log_s, figures.health_s)) == wanted

        if self.wait_for(look) is None:
            figures.wrong.append(f"log after {figures.log_s} s, health after {figures.health_s} s")

    def _is_critical(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            said = json.loads(self._lock_path.read_text(encoding="ascii"))
            checks = [check for check in said.get("checks", []) if check["name"] == "database"]
            return any(check["state"] == "critical" for check in checks)
        return False

    def rest(self, hold_s: float) -> None:
        """Let the trouble go on until it is so old."""
        threading.Event().wait(max(0.0, self._began + hold_s - time.monotonic()))

    def wait_for(self, look: Callable[[], bool]) -> float | None:
        """Seconds until something is seen."""
        pause, began = threading.Event(), time.monotonic()
        while time.monotonic() - began < _PATIENCE_S:
            if look():
                return time.monotonic() - began
            pause.wait(0.01)
        return None

    def conclude(self, reporting: Reporting) -> Figures:
        """Look whether all that was acknowledged is there, after a restart too."""
        figures = self.figures
        figures.acknowledged = sum(
            (scan.create == "acknowledged") + (scan.set == "acknowledged")
            for scan in reporting.scans
        )
        figures.refused = len(reporting.refused)
        figures.wrong += finish(self.site, reporting.scans)
        return figures


@contextmanager
def scene(name: str, **settings: object) -> Iterator[tuple[Scene, Reporting]]:
    with folder() as place:
        site = Site(place, **settings)  # type: ignore[arg-type]
        try:
            site.start()
            reporting = Reporting(site)
            with reporting:
                reporting.first_after(0.0)
                yield Scene(name, site), reporting
        finally:
            site.clean_up()


# --- the scenes ---


def another_writer(hold_s: float = 10.0) -> Figures:
    """Another program writes for ten seconds: every report waits, none fails."""
    with scene(f"another writer, {hold_s:.0f} s") as (it, reporting):
        with contextlib.closing(sqlite3.connect(it.site.db_path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            it.begins()
            it.wait_until_said("locked by another program")
            it.rest(hold_s)
            other.execute("ROLLBACK")
        it.figures.again_s = reporting.first_after(time.monotonic())
        reporting.stop()
        if reporting.refused:
            it.figures.wrong.append(f"refused: {reporting.refused[0]}")
        return it.conclude(reporting)


def exclusive_lock(hold_s: float = 4.0) -> Figures:
    """Another program keeps readers out as well."""
    try:
        import fcntl
    except ImportError:
        raise NotHere("needs POSIX locks") from None
    with scene(f"exclusive lock, {hold_s:.0f} s") as (it, reporting):
        with Path(f"{it.site.db_path}-shm").open("r+b") as memory:
            # The eight locks of a write-ahead log (SQLite, "WAL-mode file format", 2.3).
            fcntl.lockf(memory, fcntl.LOCK_EX, 8, 120)
            it.begins()
            it.wait_until_said("nother program")
            it.rest(hold_s)
        it.figures.again_s = reporting.first_after(time.monotonic())
        reporting.stop()
        return it.conclude(reporting)


def full_disk() -> Figures:
    """No room for one more page, on a small disk of its own."""
    unshare = _unshare()
    with folder() as place:
        site = Site(place, backups={"enabled": False})
        inside = site.db_path.parent
        script = (
            f"mount -t tmpfs -o size=4m,mode=0700 tmpfs {inside} && cp -a {inside}.now/. {inside}"
            ' && exec "$@"'
        )
        shutil.copytree(inside, f"{inside}.now")
        reporting = Reporting(site)
        try:
            site.start(program=(*unshare, "sh", "-c", script, "sh", *PROGRAM))
            assert site.process is not None
            # The small disk is seen only by the daemon; from here it is reached through /proc.
            seen = Path(f"/proc/{site.process.pid}/root{inside}")
            it = Scene("full disk", site, seen / site.db_path.name)
            with reporting:
                reporting.first_after(0.0)
                ballast = _fill(seen / "ballast")
                it.begins()
                it.wait_until_said("is full")
                _expect_refusals(it, reporting)
                ballast.unlink()
                it.figures.again_s = reporting.first_after(time.monotonic())
            return it.conclude(reporting)
        finally:
            site.clean_up()


def _unshare() -> tuple[str, ...]:
    program = shutil.which("unshare")
    if program is None or not sys.platform.startswith("linux"):
        raise NotHere("needs Linux and unshare, for a disk of its own")
    for how in ((program, "-m"), (program, "-r", "-m")):
        ran = subprocess.run(
            [*how, "sh", "-c", "mount -t tmpfs tmpfs /mnt"], capture_output=True, check=False
        )
        if ran.returncode == 0:
            return how
    raise NotHere("may not mount a small disk here")


def _fill(path: Path) -> Path:
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as ballast:
        while ballast.write(bytes(4096)):
            pass
    return path


def read_only() -> Figures:
    """The files may no longer be written, though they are open."""
    chattr = shutil.which("chattr")
    if chattr is None or not hasattr(os, "getuid") or os.getuid() != 0:
        raise NotHere("needs chattr and root: for others a file that is open stays writable")
    with scene("read-only") as (it, reporting):
        files = [str(it.site.db_path), f"{it.site.db_path}-wal"]
        made = subprocess.run([chattr, "+i", *files], capture_output=True, check=False)
        try:
            if made.returncode:
                raise NotHere("this file system has no immutable files")
            it.begins()
            it.wait_until_said("cannot be used")
            _expect_refusals(it, reporting)
        finally:
            subprocess.run([chattr, "-i", *files], capture_output=True, check=False)
        it.figures.again_s = reporting.first_after(time.monotonic())
        reporting.stop()
        return it.conclude(reporting)


def deleted() -> Figures:
    """Somebody removes the files; what the server has open comes back whole."""
    with scene("deleted") as (it, reporting):
        it.begins()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{it.site.db_path}{suffix}").unlink()
        it.wait_until_said("was deleted; all that was in it is back", in_health=False)
        return _mended(it, reporting)


def overwritten() -> Figures:
    """Something else is written over the beginning of the file."""
    with scene("beginning overwritten") as (it, reporting):
        it.begins()
        _scribble(it.site.db_path, 0, 4096)
        it.wait_until_said("all that was in it is back; it was set aside as", in_health=False)
        return _mended(it, reporting)


def _mended(it: Scene, reporting: Reporting) -> Figures:
    """The trouble is over when a report is acknowledged again."""
    since = time.monotonic() - it._began
    again_s = reporting.first_after(time.monotonic())
    it.figures.again_s = since + again_s if again_s is not None else None
    reporting.stop()
    if it.site.integrity() != "ok":
        it.figures.wrong.append(it.site.integrity())
    return it.conclude(reporting)


def _scribble(path: Path, start: int, length: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(os.urandom(length))


def damaged() -> Figures:
    """Most pages are lost: the file is set aside, and the newest backup brought back."""
    with scene("damaged, backup restored", bookings=4000) as (it, reporting):
        reporting.stop()
        it.site.sql("PRAGMA wal_checkpoint(TRUNCATE)")
        made = it.site.command("backup")
        after = Reporting(it.site)
        it.begins()
        _scribble(it.site.db_path, 8192, it.site.db_path.stat().st_size - 8192)
        with contextlib.suppress(*BROKEN), Modality(it.site.port, calling="MR1") as mr:
            if mr.find(everything()).status == 0:
                it.figures.wrong.append("a query of a damaged database was a success")
        it.wait_until_said("pylantir restore --newest")
        with after:
            _expect_refusals(it, after)
            done = it.site.command("restore", "--newest")
            it.figures.again_s = after.first_after(time.monotonic())
        it.figures.wrong += [ran.stderr for ran in (made, done) if ran.returncode]
        it.conclude(after)
        it.figures.wrong += finish(it.site, reporting.scans)
        return it.figures


def _expect_refusals(it: Scene, reporting: Reporting) -> None:
    known = len(reporting.refused)
    if it.wait_for(lambda: len(reporting.refused) > known) is None:
        it.figures.wrong.append("no report was refused")


SCENES: tuple[Callable[[], Figures], ...] = (
    another_writer,
    exclusive_lock,
    full_disk,
    read_only,
    deleted,
    overwritten,
    damaged,
)


def main() -> int:
    arguments(__doc__ or "", cycles=1)
    wrong: list[str] = []
    print("scene                       log s  health s  again s  acknowledged  refused  lost")
    for play in SCENES:
        try:
            found = play()
        except NotHere as reason:
            print(f"{play.__name__:<26} not here: {reason}")
            continue
        shown = [f"{s:.1f}" if s is not None else "-" for s in (found.log_s, found.health_s)]
        again = f"{found.again_s:.1f}" if found.again_s is not None else "never"
        print(
            f"{found.name:<26} {shown[0]:>6} {shown[1]:>9} {again:>8} {found.acknowledged:>13} "
            f"{found.refused:>8} {len(found.wrong):>5}",
            flush=True,
        )
        late = [s for s in (found.log_s, found.health_s) if s is not None and s > SAID_WITHIN_S]
        wrong += [f"{found.name}: {words}" for words in found.wrong]
        wrong += [f"{found.name}: said after {s:.1f} s" for s in late]
        wrong += [f"{found.name}: did not work again"] if found.again_s is None else []
    return conclude(wrong)


if __name__ == "__main__":
    sys.exit(main())
