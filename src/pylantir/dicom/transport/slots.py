"""Who may hold how many associations at the same time."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable


class Slot:
    """The right to one association.

    Parameters
    ----------
    calling, host : str
        Who has it: calling AE title and IP address.
    give_back : callable
        Takes it back.
    """

    def __init__(self, calling: str, host: str, give_back: Callable[[Slot], None]) -> None:
        self.calling, self.host = calling, host
        self._give_back: Callable[[Slot], None] | None = give_back

    def free(self) -> None:
        """Give it back; once is enough, twice does no harm."""
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back(self)


class NoSlot(Exception):
    """All slots that a peer may have are taken; says which limit it is."""


class Slots:
    """Counts established associations.

    Each known scanner has a few slots that nobody else gets, whatever else happens: neither other
    scanners nor its own address can use them up.

    Parameters
    ----------
    total : int
        Associations at the same time.
    per_ae_title, per_address : int
        Of them, with the same calling AE title, and from the same address.
    reserved : int
        Slots of each known scanner; at most half of all are reserved.
    known : iterable of str
        Calling AE titles of known scanners.
    own : str
        The server's own title when it tries itself: never refused, and counted for nobody.
    """

    def __init__(
        self,
        total: int,
        per_ae_title: int,
        per_address: int,
        reserved: int = 0,
        known: Iterable[str] = (),
        own: str = "",
    ) -> None:
        self._own = own
        self._total, self._per_ae_title, self._per_address = total, per_ae_title, per_address
        titles = set(known)
        share = min(reserved, total // (2 * len(titles))) if titles else 0
        self._reserved = dict.fromkeys(titles, share)
        self._held_back = share * len(titles)
        """Reserved slots that are free."""
        self._taken = 0
        self._by_title: Counter[str] = Counter()
        self._by_host: Counter[str] = Counter()
        self._counting = threading.Lock()

    @property
    def taken(self) -> int:
        """How many associations there are."""
        return self._taken

    def take(self, calling: str, host: str) -> Slot:
        """A slot, to be given back.

        Raises
        ------
        NoSlot
            This peer can have no more.
        """
        if calling == self._own:
            return Slot(calling, host, lambda slot: None)
        with self._counting:
            if self._by_title[calling] < self._reserved.get(calling, 0):
                self._held_back -= 1
            else:
                self._check(calling, host)
            self._taken += 1
            self._by_title[calling] += 1
            self._by_host[host] += 1
        return Slot(calling, host, self._free)

    def _check(self, calling: str, host: str) -> None:
        if self._taken + self._held_back >= self._total:
            raise NoSlot(f"{self._taken} associations, maximum_associations is {self._total}")
        if self._by_title[calling] >= self._per_ae_title:
            raise NoSlot(f"limits.per_ae_title is {self._per_ae_title}")
        if self._by_host[host] >= self._per_address:
            raise NoSlot(f"limits.per_address is {self._per_address}")

    def _free(self, slot: Slot) -> None:
        with self._counting:
            self._taken -= 1
            for counted, name in ((self._by_title, slot.calling), (self._by_host, slot.host)):
                counted[name] -= 1
                if not counted[name]:
                    del counted[name]
            if self._by_title[slot.calling] < self._reserved.get(slot.calling, 0):
                self._held_back += 1
