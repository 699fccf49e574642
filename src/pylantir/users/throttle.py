"""How often somebody may try: growing delays per account and per address.

Bounded, and kept beside the accounts, so that a restart is no way around. Nobody is locked out for
good, and an outsider cannot lock somebody else out: the account-wide delay does not hold where the
account has signed in from before.
"""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pylantir.errors import TooManyAttempts

if TYPE_CHECKING:
    from pylantir.users.failures import FailureStore

LONGEST_DELAY_S = 15 * 60.0
FORGOTTEN_AFTER_S = 60 * 60.0
_MAX_REMEMBERED = 20_000

_FREE_OF_PAIR = 5
_FREE_OF_ADDRESS = 20
_FREE_OF_ACCOUNT = 40

_Place = tuple[str, str]


@dataclass(slots=True)
class _Failures:
    number: int
    last: float


class Throttle:
    """Counts attempts that failed.

    An attempt counts as failed from the moment it begins, so that many at once are no way around;
    success takes it back.

    Parameters
    ----------
    clock : callable
        Seconds that never go backwards.
    kept : FailureStore, optional
        Where failures outlive the process.
    key : bytes
        Of the keyed hash under which they are kept: what somebody types as a name may be a
        password. The same at each start.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        kept: FailureStore | None = None,
        key: bytes = b"",
    ) -> None:
        self._clock = clock
        self._kept = kept
        self._key = hashlib.blake2b(key or secrets.token_bytes(32)).digest()
        self._failures: OrderedDict[str, _Failures] = OrderedDict()
        self._lock = threading.Lock()
        if kept is not None:
            known = kept.load(_MAX_REMEMBERED, FORGOTTEN_AFTER_S)
            for place, (number, ago_s) in known.items():
                self._failures[place] = _Failures(number, clock() - ago_s)

    def begin(self, account: str, address: str, *, is_known: bool) -> None:
        """Begin an attempt.

        Parameters
        ----------
        account : str
            What somebody tries to get into.
        address : str
            Where they are.
        is_known : bool
            The account has signed in from there before.

        Raises
        ------
        TooManyAttempts
            It is too early; this attempt does not count.
        """
        places = self._places(account, address, is_known)
        with self._lock:
            now = self._clock()
            waits = [self._wait(place, free, now) for place, free in places]
            if max(waits) > 0:
                raise TooManyAttempts(max(waits))
            counted = {place: self._count(place, now) for place, _ in places}
            self._keep(counted)

    def succeeded(self, account: str, address: str, *, is_known: bool) -> None:
        """Take the attempt back, and what failed before it between this account and address."""
        pair, *others = (place for place, _ in self._places(account, address, is_known))
        with self._lock:
            self._failures.pop(pair, None)
            left = {pair: 0}
            for place in others:
                failures = self._failures.get(place)
                if failures is not None:
                    failures.number -= 1
                    left[place] = failures.number
            self._keep(left)

    def _keep(self, numbers: dict[str, int]) -> None:
        if self._kept is not None:
            self._kept.keep(numbers)

    def _places(self, account: str, address: str, is_known: bool) -> list[tuple[str, int]]:
        return [(self._hashed(p), free) for p, free in _places(account, address, is_known)]

    def _hashed(self, place: _Place) -> str:
        said = "\0".join(place).encode("utf-8", "replace")
        return hashlib.blake2b(said, key=self._key, digest_size=16).hexdigest()

    def _wait(self, place: str, free: int, now: float) -> float:
        failures = self._failures.get(place)
        if failures is None or now - failures.last > FORGOTTEN_AFTER_S:
            return 0.0
        beyond = failures.number - free
        if beyond < 0:
            return 0.0
        return failures.last + min(LONGEST_DELAY_S, 2.0 ** min(beyond, 20)) - now

    def _count(self, place: str, now: float) -> int:
        failures = self._failures.pop(place, None)
        if failures is None or now - failures.last > FORGOTTEN_AFTER_S:
            failures = _Failures(0, now)
        failures.number += 1
        failures.last = now
        self._failures[place] = failures  # the newest last
        while len(self._failures) > _MAX_REMEMBERED:
            self._failures.popitem(last=False)
        return failures.number


def _places(account: str, address: str, is_known: bool) -> Iterator[tuple[_Place, int]]:
    """What an attempt counts for, and how many may fail there before it takes time."""
    account, address = account.casefold()[:80], neighbourhood(address)
    yield (account, address), _FREE_OF_PAIR
    yield ("", address), _FREE_OF_ADDRESS
    if not is_known:
        yield (account, ""), _FREE_OF_ACCOUNT


def neighbourhood(address: str) -> str:
    """An address as far as it tells one network from another: a host has a whole IPv6 /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def is_this_machine(address: str) -> bool:
    """Whether an address is a loopback address."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
