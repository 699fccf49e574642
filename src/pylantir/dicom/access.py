"""Who may connect, from where, under which name, and what for (PS3.8 Tables 9-18 and 9-21)."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from pydicom.uid import UID

from pylantir.dicom.sop_classes import MPPS, MPPS_RETRIEVE, WORKLIST_FIND

if TYPE_CHECKING:
    from pylantir.config.schema import Config

CALLING_NOT_RECOGNISED = (1, 1, 3)
CALLED_NOT_RECOGNISED = (1, 1, 7)
"""Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 Table 9-21)."""

_BY_RIGHT: dict[str, tuple[UID, ...]] = {
    "worklist": (WORKLIST_FIND,),
    "mpps": (MPPS, MPPS_RETRIEVE),
}
"""SOP classes that a right is needed for; Verification needs none."""

EVERYTHING = frozenset(_BY_RIGHT)

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of an association request.

    Parameters
    ----------
    refusal : tuple of int or None
        Result, source and reason of the rejection; nothing when it is let in.
    words : str
        Why it is rejected.
    rights : frozenset of str
        What it is let in for: ``worklist``, ``mpps``.
    """

    refusal: tuple[int, int, int] | None = None
    words: str = ""
    rights: frozenset[str] = EVERYTHING

    @property
    def withheld(self) -> frozenset[UID]:
        """SOP classes that it may not use."""
        return frozenset(
            uid for right, uids in _BY_RIGHT.items() if right not in self.rights for uid in uids
        )


@dataclass(frozen=True, slots=True)
class _Rule:
    """One way to be let in; what is empty fits everybody."""

    ae_title: str
    network: _Network | None
    called: str
    rights: frozenset[str]


class Access:
    """The rules of a site: ``allowed_aet`` and ``access``.

    Parameters
    ----------
    config : Config
        The site's settings.

    Attributes
    ----------
    own_ae_title : str
        What the daemon calls itself when it asks its own server; another one each time.
    """

    def __init__(self, config: Config) -> None:
        self._rules = [
            *(_Rule(title.strip(), None, "", EVERYTHING) for title in config.allowed_aet),
            *(
                _Rule(
                    rule.ae_title or "",
                    ipaddress.ip_network(rule.address) if rule.address else None,
                    rule.called_ae_title or "",
                    frozenset(rule.rights),
                )
                for rule in config.access
            ),
        ]
        self.own_ae_title = f"OWN{secrets.token_hex(6).upper()}"

    @property
    def is_open(self) -> bool:
        """Whether everybody may connect."""
        return not self._rules

    def knows(self, calling: str) -> bool:
        """Whether some rule names this calling AE title."""
        return any(rule.ae_title == calling for rule in self._rules)

    def known_titles(self, config: Config) -> set[str]:
        """Calling AE titles that the configuration names."""
        named = {rule.ae_title for rule in self._rules} | {s.ae_title for s in config.scanners}
        return {title for title in named if title}

    def names_address(self, address: str) -> bool:
        """Whether some rule is about this IP address."""
        peer = _address(address)
        return any(rule.network is not None and _within(peer, rule.network) for rule in self._rules)

    def decide(self, calling: str, called: str, address: str) -> Decision:
        """Whether an association is let in, and what for.

        Parameters
        ----------
        calling, called : str
            AE titles, compared without leading and trailing spaces.
        address : str
            IP address of the peer.
        """
        calling, called = calling.strip(), called.strip()
        if self.is_open:
            return Decision()
        if calling == self.own_ae_title:
            # The daemon proves itself, whatever the rules are: nobody else knows the title.
            return Decision(rights=frozenset())
        peer = _address(address)
        named = [rule for rule in self._rules if rule.ae_title in ("", calling)]
        here = [rule for rule in named if rule.network is None or _within(peer, rule.network)]
        if not here:
            words = "calling AE title not recognised"
            if any(rule.ae_title for rule in named):
                words += " from this address"
            return Decision(CALLING_NOT_RECOGNISED, words)
        fitting = [rule for rule in here if rule.called in ("", called)]
        if not fitting:
            return Decision(CALLED_NOT_RECOGNISED, "called AE title not recognised")
        return Decision(rights=_all_rights(fitting))


def _all_rights(rules: Iterable[_Rule]) -> frozenset[str]:
    return frozenset[str]().union(*(rule.rights for rule in rules))


@lru_cache(maxsize=1024)
def _address(shown: str) -> _Address | None:
    try:
        address = ipaddress.ip_address(shown.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)  # IPv4 on a socket that listens to both
    return mapped or address


def _within(address: _Address | None, network: _Network) -> bool:
    return address is not None and address.version == network.version and address in network
