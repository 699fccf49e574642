"""From samples to a table."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.measures import Measure
from benchmarks.servers import OURS

_PUBLISHED = "pylantir 0.4.6"


@dataclass(slots=True)
class Cell:
    """What one server showed in one row: samples of each round, or why they do not count."""

    rounds: list[list[float]] = field(default_factory=list)
    trouble: str = ""

    @property
    def counts(self) -> bool:
        """Whether it was measured, and every answer was right."""
        return bool(self.rounds) and not self.trouble

    @property
    def medians(self) -> list[float]:
        """One for each round."""
        return [statistics.median(samples) for samples in self.rounds]

    def __str__(self) -> str:
        if self.trouble:
            return f"wrong: {self.trouble}"
        samples = sorted(sample for samples in self.rounds for sample in samples)
        if not samples:
            return "–"
        low, middle, high = (
            samples[round((len(samples) - 1) * part)] for part in (0.25, 0.5, 0.75)
        )
        return f"{_short(middle)} ({_short(low)}–{_short(high)})"


@dataclass(frozen=True, slots=True)
class Row:
    """One measure at one number of bookings."""

    measure: Measure
    number: int
    cells: dict[str, Cell]

    def ratio(self) -> str:
        """How many times better than the best other server, by rounds: median, least, most."""
        ours = self.cells[OURS]
        peers = [cell for name, cell in self.cells.items() if self._is_peer(name) and cell.counts]
        if not peers or not ours.counts:
            return "–"
        turns = zip(ours.medians, *(peer.medians for peer in peers), strict=True)
        rounds = [_times_better(self.measure, mine, others) for mine, *others in turns]
        middle, least, most = statistics.median(rounds), min(rounds), max(rounds)
        return f"{_short(middle)} ({_short(least)}–{_short(most)})"

    def _is_peer(self, name: str) -> bool:
        """The published release is one only where there is no other."""
        return name != OURS and (name != _PUBLISHED or self.measure.mpps)


def _times_better(measure: Measure, ours: float, peers: Sequence[float]) -> float:
    if measure.more_is_better:
        return ours / max(peers)
    return min(peers) / ours if ours else float("inf")


def markdown(rows: Sequence[Row], names: Sequence[str]) -> str:
    """The table: medians with the middle half of the samples, and the ratio to the best peer."""
    lines = [
        f"| what | bookings | {' | '.join(names)} | × best peer |",
        "|---|---:|" + "---:|" * (len(names) + 1),
    ]
    for row in rows:
        cells = [str(row.cells.get(name, "–")) for name in names]
        what = f"{row.measure.name}, {row.measure.unit}"
        lines.append(f"| {what} | {_grouped(row.number)} | {' | '.join(cells)} | {row.ratio()} |")
    return "\n".join(lines) + "\n"


def _short(figure: float) -> str:
    if figure >= 1000:
        return _grouped(round(figure, -max(0, len(str(int(figure))) - 3)))
    return f"{figure:.3g}"


def _grouped(figure: float) -> str:
    return f"{int(figure):,}".replace(",", " ")
