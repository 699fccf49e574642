"""Association requests that were accepted before: a scanner sends the same one each time.

To read one and to negotiate it, the library makes some hundred objects and puts them into words
again. So what both sides agreed on is kept by the bytes of the request. Whether the scanner may
connect at all is asked each time, before that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pynetdicom.acse import ACSE
from pynetdicom.pdu import A_ASSOCIATE_AC

if TYPE_CHECKING:
    from pydicom.uid import UID
    from pynetdicom.association import Association
    from pynetdicom.pdu_primitives import A_ASSOCIATE
    from pynetdicom.presentation import PresentationContext

_LONGEST = 4096
_MOST = 32
_USER_REJECTION = 0x01
"""Result of a presentation context (PS3.8 Table 9-18)."""


class Negotiation(ACSE):
    """The library's association control, which may withhold SOP classes from a peer.

    Parameters
    ----------
    association : Association
        The parent.
    """

    def __init__(self, association: Association) -> None:
        super().__init__(association)
        self.withheld: frozenset[UID] = frozenset()
        """Its presentation contexts are rejected by the user. The library would say "abstract
        syntax not supported", which is not true and sends people looking in the wrong place."""

    def negotiate_association(self) -> None:
        """Agree on presentation contexts and accept."""
        acceptor = self.acceptor
        if self.withheld:
            acceptor.supported_contexts = [
                context
                for context in acceptor.supported_contexts
                if context.abstract_syntax not in self.withheld
            ]
        super().negotiate_association()

    def send_accept(self) -> None:
        """Send A-ASSOCIATE-AC."""
        for context in self.assoc.rejected_contexts:
            if context.abstract_syntax in self.withheld:
                context.result = _USER_REJECTION
        super().send_accept()


@dataclass(frozen=True, slots=True)
class Agreement:
    """What came of a negotiation.

    Parameters
    ----------
    accepted, rejected : dict, list
        Presentation contexts, as the library keeps them.
    acceptance : A_ASSOCIATE
        What the library makes the answer of.
    answer : bytes
        The A-ASSOCIATE-AC.
    """

    accepted: dict[int, PresentationContext]
    rejected: list[PresentationContext]
    acceptance: A_ASSOCIATE
    answer: bytes

    @classmethod
    def of(cls, association: Association) -> Agreement:
        """That of an association which has just been accepted."""
        acceptance: Any = association.acceptor.primitive
        answer = A_ASSOCIATE_AC(acceptance).encode()
        return cls(association._accepted_cx, association._rejected_cx, acceptance, answer)

    def apply(self, association: Association) -> None:
        """Agree on the same with another one."""
        association._accepted_cx = dict(self.accepted)
        association._rejected_cx = list(self.rejected)
        association.acceptor.primitive = self.acceptance


@dataclass(frozen=True, slots=True)
class Opening:
    """A request that was accepted before.

    Parameters
    ----------
    primitive : A_ASSOCIATE
        The library's reading of it.
    agreements : dict
        What was agreed on, by the SOP classes that were withheld.
    """

    primitive: A_ASSOCIATE
    agreements: dict[frozenset[UID], Agreement] = field(default_factory=dict)


class KnownOpenings:
    """Openings by the bytes of their requests."""

    def __init__(self) -> None:
        self._known: dict[bytes, Opening] = {}

    def find(self, request: bytes) -> Opening | None:
        """The opening, if one like it was accepted before."""
        return self._known.get(request)

    def keep(self, request: bytes, association: Association, withheld: frozenset[UID]) -> None:
        """Keep what an association has agreed on; not a request with somebody's password."""
        requestor = association.requestor
        if len(request) > _LONGEST or requestor.user_identity is not None:
            return
        opening = self._known.get(request)
        if opening is None:
            primitive: Any = requestor.primitive
            opening = Opening(primitive)
            if len(self._known) >= _MOST:
                self._known = {}  # somebody sends all sorts of them
            self._known[request] = opening
        opening.agreements[withheld] = Agreement.of(association)
