"""Loiterers, hogs and many visitors, against the real daemon with a scanner beside them.

``python -m tests.faults.connections`` prints the figures of a short run, ``--long`` those of
``docs/reliability.md``. It ends with 1 when a figure is missed.
"""

from __future__ import annotations

import contextlib
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from tests.conftest import DaemonProcess
from tests.dicom.modality import Modality, Refused
from tests.faults.footprint import MIB, Footprint
from tests.faults.loiterers import Loiterers
from tests.faults.site import (
    SCANNER,
    STRANGER,
    Figures,
    Probe,
    daemon_at,
    ms,
    percentile,
    run_scenes,
)

_GONE_WITHIN_S = 10.0
_LOCAL_LIMIT = (2, 3, 2)


@dataclass(frozen=True)
class Size:
    """How big a run is.

    Parameters
    ----------
    loiterers : int
        Of each kind.
    for_s : float
        How long they come back, in seconds.
    deadline_s : float
        ``timeouts.acse_s``.
    idle : int
        Idle associations of one AE title.
    probes : int
        Questions of the scanner beside these.
    visits : int
        Associations opened and closed.
    strict : bool
        Whether times count: they do on a machine that has nothing else to do.
    """

    loiterers: int = 30
    for_s: float = 1.0
    deadline_s: float = 2.0
    idle: int = 40
    probes: int = 10
    visits: int = 200
    strict: bool = False


LONG = Size(100, 30.0, 5.0, 500, 200, 10_000, strict=True)


def loitering(folder: Path, size: Size) -> Figures:
    """Silent, trickling and stalled connections that come back for a while."""
    figures = Figures()
    with daemon_at(folder, timeouts={"acse_s": size.deadline_s}) as daemon:
        loiterers = Loiterers(daemon.port, size.loiterers, again=True)
        probe, until = Probe(daemon.port), time.monotonic() + size.for_s
        probe.ask_until(lambda: time.monotonic() > until)
        loiterers.no_more()
        probe.ask_until(lambda: not loiterers.left or time.monotonic() > until + _GONE_WITHIN_S)
        left, longest = loiterers.left, max(loiterers.stays_s, default=0.0)
        loiterers.close()
    figures.add(
        "loiterers at the same time, connections", f"{size.loiterers * 3}, {loiterers.connections}"
    )
    figures.add(
        "questions of the scanner, failed",
        f"{len(probe.finds_s)}, {len(probe.failed)} {' '.join(probe.failed[:1])}",
        not probe.failed,
    )
    _times(figures, probe, 99, 0.5, 0.5, size.strict)
    figures.add("longest stay of a loiterer", f"{longest:.1f} s", longest < _GONE_WITHIN_S)
    figures.add("loiterers left", str(left), not left)
    return figures


def hogging(folder: Path, size: Size, per_ae_title: int) -> Figures:
    """One AE title that opens associations and keeps them."""
    figures = Figures()
    limits = {"per_ae_title": per_ae_title, "per_address": 600}
    with (
        daemon_at(folder, limits=limits, maximum_associations=600) as daemon,
        contextlib.ExitStack() as stack,
    ):
        taken, refused = 0, 0
        for _ in range(size.idle):
            hog = Modality(daemon.port, calling=STRANGER)
            try:
                hog.open()
            except Refused as error:
                refused += error.args == _LOCAL_LIMIT
                continue
            taken += 1
            stack.callback(hog.hang_up)
        probe = Probe(daemon.port)
        cpu = _cpu_percent(daemon, 5.0 if size.strict else 0.5)
        for _ in range(size.probes):
            probe.ask()
        threads = psutil.Process(daemon.process.pid).num_threads()
    expected = min(size.idle, per_ae_title)
    fine = (taken, refused) == (expected, size.idle - expected)
    figures.add("asked for, taken, refused", f"{size.idle}, {taken}, {refused}", fine)
    figures.add(
        "questions of the scanner, failed",
        f"{len(probe.finds_s)}, {len(probe.failed)} {' '.join(probe.failed[:1])}",
        not probe.failed,
    )
    _times(figures, probe, 95, 0.15, 0.6, size.strict)
    figures.add("processor time with all of them idle", f"{cpu:.1f} % of a core", cpu < 50)
    figures.add("threads", str(threads))
    return figures


def visiting(folder: Path, size: Size) -> Figures:
    """Associations that are opened and closed, one after the other."""
    figures = Figures()
    with daemon_at(folder) as daemon:
        process = psutil.Process(daemon.process.pid)
        for _ in range(max(100, size.visits // 10)):
            _visit(daemon)
        before = Footprint.of(process)
        began = time.monotonic()
        for _ in range(size.visits):
            _visit(daemon)
        took = time.monotonic() - began
        after = before.settled(process)
    growth = after.rss_bytes - before.rss_bytes
    figures.add("associations, each second", f"{size.visits}, {size.visits / took:.0f}")
    figures.add(
        "memory", f"{growth / MIB:+.1f} MiB on {before.rss_bytes / MIB:.0f}", growth < 2 * MIB
    )
    more = after.descriptors - before.descriptors, after.threads - before.threads
    figures.add("descriptors, threads", f"{more[0]:+d}, {more[1]:+d}", max(more) <= 2)
    return figures


def _visit(daemon: DaemonProcess) -> None:
    with Modality(daemon.port, calling=SCANNER) as scanner:
        scanner.echo()


def _cpu_percent(daemon: DaemonProcess, for_s: float) -> float:
    process = psutil.Process(daemon.process.pid)
    process.cpu_percent()
    return process.cpu_percent(for_s)


def _times(
    figures: Figures, probe: Probe, percent: int, echo_s: float, find_s: float, strict: bool
) -> None:
    for name, times, limit in (
        ("connect, associate and C-ECHO", probe.echoes_s, echo_s),
        ("C-FIND of 50 items", probe.finds_s, find_s),
    ):
        shown = f"median {ms(percentile(times, 50))}, p{percent} {ms(percentile(times, percent))}"
        figures.add(name, shown, not strict or percentile(times, percent) < limit)


SCENES = {
    "silent, trickling and stalled connections": loitering,
    "idle associations of one AE title, limits.per_ae_title 100": lambda f, s: hogging(
        f, s, 100 if s.strict else 20
    ),
    "idle associations of one AE title, without that limit": lambda f, s: hogging(f, s, 600),
    "associations opened and closed": visiting,
}


if __name__ == "__main__":
    sys.exit(run_scenes(__doc__, SCENES, Size(), LONG))
