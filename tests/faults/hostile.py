"""A catalogue of connections that no scanner makes, seeded: the same number, the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tests.faults import hostile_messages, hostile_openings

ENDINGS = ("close", "reset", "half close", "abort", "release")
KINDS = {**hostile_openings.KINDS, **hostile_messages.KINDS}


@dataclass(frozen=True)
class Attack:
    """One connection.

    Parameters
    ----------
    number, kind : int, str
        Which one; the seed and the number give the same bytes again.
    opening : bytes
        Sent at once.
    then : bytes
        Sent after the answer to `opening`; nothing when there is to be no association.
    repeat : int
        How often `then` is sent.
    ending : str
        How the connection is left.
    """

    number: int
    kind: str
    opening: bytes
    then: bytes = b""
    repeat: int = 1
    ending: str = "close"


def attack(seed: int, which: int) -> Attack:
    """The connection of that number."""
    names = list(KINDS)
    kind = names[which % len(names)]
    rng = Random(f"{seed}/{which}")
    opening, then, *repeat = KINDS[kind](rng, which // len(names))
    return Attack(which, kind, opening, then, *repeat, ending=rng.choice(ENDINGS))


def attacks(seed: int, count: int) -> Iterator[Attack]:
    """That many connections, kind after kind."""
    return (attack(seed, which) for which in range(count))
