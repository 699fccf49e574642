"""The short form of :mod:`tests.faults.malformed`: what the daemon as a process withstands."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from tests.conftest import StartDaemon
from tests.faults.hostile import KINDS, attack, attacks
from tests.faults.malformed import prepare_worklist, run

DATA_SETS = ("C-FIND: ", "N-CREATE: ", "N-SET: ")
SHORT = 300


def test_a_scanner_works_on_beside_malformed_data_sets(
    daemon_process: StartDaemon, tmp_path: Path
) -> None:
    daemon = daemon_process(*prepare_worklist(tmp_path))
    hostile = (a for a in attacks(seed=2, count=100_000) if a.kind.startswith(DATA_SETS))
    outcome = run(daemon, islice(hostile, SHORT))
    assert outcome.missed == [], f"\n{outcome}\n{daemon.log[-4000:]}"
    assert outcome.connections == SHORT


def test_the_same_number_is_the_same_attack() -> None:
    for which in range(2 * len(KINDS)):
        assert attack(7, which) == attack(7, which)
    assert attack(7, 0) != attack(8, 0)
