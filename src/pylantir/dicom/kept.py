"""What was answered before, ready to be sent again for as long as nothing has changed.

A scanner asks the same all day. An item's answer is kept until its item has another version, and a
whole answer until anybody commits anything: see :meth:`~pylantir.worklist.store.ItemStore.settled`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from pylantir.dicom.charsets import Terms
from pylantir.dicom.elements import Encoding
from pylantir.dicom.encoder import AnswerEncoder
from pylantir.dicom.identifiers import Asked
from pylantir.dicom.stream import Cut
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.revision import Revision
from pylantir.worklist.store import ItemStore

MAX_ANSWERS = 80_000
"""Answers that are kept in all, each for one item; 60 MB if no two were the same."""

_MAX_KINDS = 32
_MAX_ANSWERS_ALIKE = 20_000
_MAX_WHOLE = 16
"""Whole answers that are kept for requests which ask alike: for other days, stations, patients."""


@dataclass(frozen=True, slots=True)
class Alike:
    """What the bytes of an answer depend on, besides their item.

    Parameters
    ----------
    asked : tuple of Asked
        The return keys.
    encoding : Encoding
        Of the presentation context.
    station : str
        AE title that stands in for an item without a station.
    character_set, preferred : Terms
        The request's set, and the one that the scanner's profile wants.
    cut : Cut
        How the association wants its PDUs.
    """

    asked: tuple[Asked, ...]
    encoding: Encoding
    station: str
    character_set: Terms
    preferred: Terms
    cut: Cut

    def __hash__(self) -> int:
        """Without the return keys: there are dozens, and mostly they are the same object."""
        return hash((len(self.asked), self.encoding, self.station, self.character_set, self.cut))


class KeptAnswers:
    """Answers to the requests of a scanner room: a few scanners with two or three kinds each.

    Parameters
    ----------
    store : ItemStore
        Where the items are.
    """

    def __init__(self, store: ItemStore) -> None:
        self._store = store
        self._kinds: dict[Alike, _AnswersAlike] = {}
        self._choosing = threading.Lock()
        self._reopened = store.database.reopened

    def whole(self, query: WorklistQuery, alike: Alike) -> list[bytes] | None:
        """The whole answer, if it is kept and nobody has committed anything since.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        return self._of(alike).whole(query, self._store.database.revision())

    def parts(self, query: WorklistQuery, alike: Alike) -> Iterator[list[bytes]]:
        """The answer as the database gives it: for each item the PDUs after the command set.

        Raises
        ------
        StoreError
            The database cannot be read.
        """
        return self._of(alike).parts(query, self._store)

    def _of(self, alike: Alike) -> _AnswersAlike:
        with self._choosing:
            if self._reopened != self._store.database.reopened:
                self._kinds.clear()
                self._reopened = self._store.database.reopened
            kind = self._kinds.pop(alike, None)
            if kind is None:
                kind = _AnswersAlike(alike)
            while len(self._kinds) >= _MAX_KINDS or self._number() + len(kind) > MAX_ANSWERS:
                del self._kinds[next(iter(self._kinds))]
            self._kinds[alike] = kind  # the newest last
        return kind

    def _number(self) -> int:
        return sum(map(len, self._kinds.values()))


class _AnswersAlike:
    """Answers to requests that ask alike."""

    def __init__(self, alike: Alike) -> None:
        encoder = AnswerEncoder(
            alike.asked,
            alike.encoding,
            station=alike.station,
            character_set=alike.character_set,
            preferred=alike.preferred,
        )
        self._encode: Callable[[WorklistItem], bytes] = encoder.encode
        self._cut = alike.cut
        self._answers: dict[int, tuple[int, bytes]] = {}
        self._whole: tuple[Revision | None, dict[WorklistQuery, list[bytes]]] = None, {}
        self._in_whole = 0

    def __len__(self) -> int:
        return len(self._answers) + self._in_whole

    def whole(self, query: WorklistQuery, revision: Revision | None) -> list[bytes] | None:
        kept_at, whole = self._whole
        return whole.get(query) if revision is not None and revision == kept_at else None

    def parts(self, query: WorklistQuery, store: ItemStore) -> Iterator[list[bytes]]:
        revision = store.database.revision()
        answers: list[bytes] = []
        for items in store.parts(query):
            for some in (items[:1], items[1:]) if not answers else (items,):
                part = [self._answer(item) for item in some]
                if len(answers) <= _MAX_ANSWERS_ALIKE:
                    answers += part
                yield part
        if len(answers) > _MAX_ANSWERS_ALIKE or revision is None or revision != store.settled():
            return
        self._keep(revision, query, answers)

    def _answer(self, item: WorklistItem) -> bytes:
        """A stored item has a number and a version; its answer is kept until it changes."""
        if item.item_id is None:
            return self._cut.data(self._encode(item))
        kept = self._answers.get(item.item_id)
        if kept is not None and kept[0] == item.version:
            return kept[1]
        answer = self._cut.data(self._encode(item))
        if kept is not None or len(self._answers) < _MAX_ANSWERS_ALIKE:
            self._answers[item.item_id] = item.version, answer
        return answer

    def _keep(self, revision: Revision, query: WorklistQuery, answers: list[bytes]) -> None:
        kept_at, whole = self._whole
        is_full = len(whole) >= _MAX_WHOLE or self._in_whole + len(answers) > _MAX_ANSWERS_ALIKE
        if kept_at != revision or is_full:
            whole = {}
        # Another thread may look at the old one meanwhile: it stays as it is.
        whole = whole | {query: answers}
        self._whole = revision, whole
        self._in_whole = sum(map(len, whole.values()))
