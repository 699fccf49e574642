"""Rows that other programs wrote, of every bad kind: set aside with a reason, the others served.

``python -m tests.faults.poison --cycles 2000`` from the checkout writes so many bad values and
prints the figures; some hundreds are written with the other tests.
"""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pydicom.dataset import Dataset
from tests.dicom.modality import Modality
from tests.dicom.serving import everything
from tests.faults.rooms import SUCCESS, Site, arguments, conclude, folder

from pylantir.worklist.rows import FOREIGN_COLUMNS

GOOD = {
    "patient_name": "Roe^Richard",
    "patient_id": "GOOD",
    "modality": "MR",
    "scheduled_start_date": "2025-07-07",
    "scheduled_start_time": "09:15",
    "data_source": "tool",
}
AT_ONCE = 100
AMONG = 25
"""So many bad rows for one good one."""

Make = Callable[[random.Random], Any]

KINDS: dict[str, Make] = {
    "no date": lambda rng: rng.choice(["2025-13-45", "tomorrow", "20250230", "07/07/2025", "0"]),
    "no weight": lambda rng: rng.choice(["150 lbs", "heavy", "-3", "1e400", "nan", "7,5"]),
    "too long": lambda rng: "x" * rng.choice([17, 65, 1025, 10_241, 200_000]),
    "not ASCII": lambda rng: rng.choice(["Ünïcödé", "山田^太郎", "🧠🧲", "\u202eabc", "é" * 64]),
    "control characters": lambda rng: rng.choice(["a\x00b", "a\nb", "\x1b[2J", "a\\b\\c", "\x7f"]),
    "no UTF-8": lambda rng: ("raw", rng.choice([b"\xff\xfe", b"caf\xe9", b"\x80" * 9])),
    "bytes": lambda rng: rng.randbytes(rng.choice([1, 16, 300])),
    "an integer": lambda rng: rng.choice([0, 7, -1, 20250707, 2**62]),
    "a fraction": lambda rng: rng.choice([0.0, 72.5, 1e300, float("inf"), 20250707.0]),
    "broken JSON": lambda rng: rng.choice(["{", "[[[[", '{"a":', "[1,2", '{"PatientName": 7}']),
    "other JSON": lambda rng: json.dumps(rng.choice([[], {}, [1], {"x": {}}, [{"value": 9}], "a"])),
    "deep JSON": lambda rng: "[" * rng.choice([500, 100_000]),
    "nothing": lambda rng: rng.choice([None, "", " "]),
}


@dataclass
class Outcome:
    """The figures."""

    rows: int = 0
    queries: int = 0
    good: int = 0
    set_aside: int = 0
    served: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def run(rows: int, seed: int) -> Outcome:
    """Write rows with one bad value each while the daemon runs, then ask as a scanner does."""
    rng, outcome = random.Random(seed), Outcome(rows=rows)
    with folder() as place:
        site = Site(place, bookings=0)
        try:
            site.start()
            for start in range(0, rows, AT_ONCE):
                with contextlib.closing(sqlite3.connect(site.db_path, timeout=30)) as tool, tool:
                    for number in range(start, min(rows, start + AT_ONCE)):
                        _write(tool, number, rng, outcome)
                with Modality(site.port, calling="MR1") as mr:
                    outcome.queries += 1
                    answer = mr.find(everything())
                if answer.status != SUCCESS:
                    outcome.wrong.append(f"C-FIND 0x{answer.status:04X} {answer.comment}")
            _look(site, answer.items, outcome)
            if site.stop() != 0 or "Traceback" in site.log:
                outcome.wrong.append("the daemon did not end well")
        finally:
            site.clean_up()
    return outcome


def _write(tool: sqlite3.Connection, number: int, rng: random.Random, outcome: Outcome) -> None:
    values: dict[str, Any] = {**GOOD, "source_record_id": f"bad-{number}", "patient_id": "BAD"}
    kind = rng.choice(list(KINDS))
    values[rng.choice(FOREIGN_COLUMNS)] = KINDS[kind](rng)
    outcome.kinds[kind] += 1
    _insert(tool, values)
    if number % AMONG == 0:
        _insert(tool, {**GOOD, "source_record_id": f"good-{number}"})
        outcome.good += 1


def _insert(tool: sqlite3.Connection, values: dict[str, Any]) -> None:
    marks = ["CAST(? AS TEXT)" if isinstance(v, tuple) else "?" for v in values.values()]
    bound = [v[1] if isinstance(v, tuple) else v for v in values.values()]
    names = ", ".join(f'"{name}"' for name in values)
    with contextlib.suppress(sqlite3.IntegrityError):  # an identity that is taken
        tool.execute(f"INSERT INTO worklist_items ({names}) VALUES ({', '.join(marks)})", bound)


def _look(site: Site, items: list[Dataset], outcome: Outcome) -> None:
    good = sum(str(item.PatientID) == "GOOD" for item in items)
    outcome.served = len(items)
    if good < outcome.good:
        outcome.wrong.append(f"{outcome.good - good} good rows were not served")
    listed = site.command("query-db", "--rejected", "--json")
    if listed.returncode:
        outcome.wrong.append(listed.stderr)
        return
    rejected = json.loads(listed.stdout)
    outcome.set_aside = len(rejected)
    outcome.wrong += [f"no reason: row {row['id']}" for row in rejected if not row["reason"]]
    [(total,)] = site.sql("SELECT count(*) FROM worklist_items")
    [(hidden,)] = site.sql(
        "SELECT count(*) FROM worklist_items WHERE rejected_reason IS NULL AND"
        " performed_procedure_step_status IN ('COMPLETED', 'DISCONTINUED', 'CANCELLED')"
    )
    if total != outcome.served + outcome.set_aside + hidden:
        lost = total - outcome.served - outcome.set_aside - hidden
        outcome.wrong.append(f"{lost} rows are neither served nor set aside")


def main() -> int:
    args = arguments(__doc__ or "", cycles=2000)
    outcome = run(args.cycles, args.seed)
    kinds = ", ".join(f"{name} {number}" for name, number in sorted(outcome.kinds.items()))
    print(f"bad values written   {outcome.rows} ({kinds})")
    print(f"queries between them {outcome.queries}, all answered")
    print(f"good rows among them {outcome.good}")
    print(f"set aside            {outcome.set_aside}, each with its reason")
    print(f"served               {outcome.served}: the good ones, and where the value was fine")
    return conclude(outcome.wrong)


if __name__ == "__main__":
    sys.exit(main())
