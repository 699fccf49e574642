"""Why is my participant not on the scanner's list? What everybody asks of a worklist server.

Put together from the scanner's profile, who may connect, and what the scanner asked last.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pylantir.clock import SiteClock, utc_now
from pylantir.dicom.access import Access
from pylantir.dicom.scanners import scanner_for
from pylantir.worklist.asked import revived, words
from pylantir.worklist.explain import Finding, findings, is_shown
from pylantir.worklist.item import WorklistItem
from pylantir.worklist.journal import JournalledQuery, QueryJournal
from pylantir.worklist.query import WorklistQuery
from pylantir.worklist.store import ItemStore

if TYPE_CHECKING:
    from pylantir.config.schema import Config

_LAST = 5


@dataclass(frozen=True, slots=True)
class PastQuery:
    """One of the newest queries of a scanner.

    Parameters
    ----------
    at : datetime
        When, aware, UTC.
    asked : tuple of str
        Its keys in words.
    found : int
        How many items it was shown.
    fits : bool or None
        Whether the item would be in its answer now; nothing when that cannot be told.
    """

    at: dt.datetime
    asked: tuple[str, ...]
    found: int
    fits: bool | None


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an item is or is not on a scanner's list.

    Parameters
    ----------
    ae_title : str
        The scanner.
    shown : bool or None
        Whether its newest query, asked now, would show the item; nothing when that cannot be told.
    summary : str
        The same in one sentence, with the first thing to do.
    findings : tuple of Finding
        Key by key, of the newest query.
    queries : tuple of PastQuery
        What it asked, the newest first; none when it has not asked yet.
    """

    ae_title: str
    shown: bool | None
    summary: str
    findings: tuple[Finding, ...]
    queries: tuple[PastQuery, ...]


def explain(
    config: Config,
    items: ItemStore,
    journal: QueryJournal,
    item: WorklistItem,
    ae_title: str,
    today: dt.date,
) -> Explanation:
    """Explain what a scanner sees of an item.

    Parameters
    ----------
    config : Config
        The site's settings and scanner profiles.
    items : ItemStore
        The worklist, for scanners that get a limited number of items.
    journal : QueryJournal
        What scanners asked.
    item : WorklistItem
        The booking.
    ae_title : str
        Calling AE title of the scanner.
    today : date
        The site's calendar day.
    """
    ae_title = ae_title.strip()
    scanner = scanner_for(config, ae_title)
    past = journal.last(ae_title, _LAST)
    key = journal.key()
    elsewhere = scanner.elsewhere(utc_now())
    asked = [scanner.limit(revived(each.keys, key), today, elsewhere) for each in past]
    newest = asked[0] if asked else scanner.limit(WorklistQuery(), today, elsewhere)
    found = [*_of_access(config, ae_title, past), *findings(item, newest)]
    if is_shown(found) and newest.limit is not None:
        found.append(_of_limit(items, newest, item))
    shown = is_shown(found)
    return Explanation(
        ae_title=ae_title,
        shown=shown if past else (False if shown is False else None),
        summary=_summary(found, shown, past, config),
        findings=tuple(found),
        queries=tuple(
            PastQuery(each.at, _in_words(query), each.found, is_shown(findings(item, query)))
            for each, query in zip(past, asked, strict=True)
        ),
    )


def seen_lately(
    config: Config,
    items: ItemStore,
    journal: QueryJournal,
    shown: Sequence[WorklistItem],
    clock: SiteClock,
) -> dict[int, tuple[str, dt.datetime]]:
    """Which scanner had each item on its list, and when, by the newest query of every scanner.

    Only what can be told for certain: the item has not changed since, and no limit of answers
    left any out.

    Parameters
    ----------
    config : Config
        The site's settings and scanner profiles.
    items : ItemStore
        The worklist.
    journal : QueryJournal
        What scanners asked.
    shown : sequence of WorklistItem
        Items to look at.
    clock : SiteClock
        The clock on the wall.

    Returns
    -------
    dict
        Number of an item to AE title and time, aware, UTC; items that nobody has seen are left out.
    """
    numbers = [item.item_id for item in shown if item.item_id is not None]
    changed = items.changed_at(numbers)
    key = journal.key()
    found: dict[int, tuple[str, dt.datetime]] = {}
    for past in sorted(journal.last_of_each(), key=lambda each: each.at):
        scanner = scanner_for(config, past.ae_title)
        if scanner.max_answers is not None:
            continue
        today, elsewhere = clock.wall_of(past.at).date(), scanner.elsewhere(past.at)
        query = scanner.limit(revived(past.keys, key), today, elsewhere)
        for item in shown:
            since = changed.get(item.item_id or 0)
            if not since or dt.datetime.fromisoformat(since) > past.at:
                continue
            if is_shown(findings(item, query)):
                found[item.item_id or 0] = (past.ae_title, past.at)
    return found


def _of_access(config: Config, ae_title: str, past: list[JournalledQuery]) -> list[Finding]:
    access = Access(config)
    if access.is_open:
        return []
    if past:
        decision = access.decide(ae_title, config.ae_title, past[0].address)
        may = decision.refusal is None and "worklist" in decision.rights
    else:
        may = access.knows(ae_title)
    remedy = "name this AE title in allowed_aet, or give it the right worklist under access"
    return [Finding("who may connect", "a known AE title", ae_title, may, "" if may else remedy)]


def _of_limit(items: ItemStore, query: WorklistQuery, item: WorklistItem) -> Finding:
    """Whether an item that matches is among the first so many."""
    everything = items.find(replace(query, limit=None))
    numbers = [each.item_id for each in everything]
    place = numbers.index(item.item_id) + 1 if item.item_id in numbers else 0
    limit = query.limit or 0
    return Finding(
        "max_answers",
        f"the first {limit}",
        f"place {place} of {len(numbers)}",
        0 < place <= limit,
        "let the scanner ask for fewer (a day, its own station), or raise max_answers",
    )


def _summary(
    found: list[Finding], shown: bool | None, past: list[JournalledQuery], config: Config
) -> str:
    failing = [each for each in found if each.fits is False]
    if failing:
        first = failing[0]
        more = f" (and {len(failing) - 1} more)" if len(failing) > 1 else ""
        return f"not shown: {first.what} wants {first.asked}, it has {first.has}{more}"
    if not past:
        return (
            "this scanner has not asked yet; on its console enter AE title "
            f"{config.ae_title}, this machine's address and port {config.port}"
        )
    if shown is None:
        return "it cannot be told: the scanner asked by a pattern about a person, which is not kept"
    return f"shown: the newest query ({past[0].at:%Y-%m-%d %H:%M:%S} UTC) matches it"


def _in_words(query: WorklistQuery) -> tuple[str, ...]:
    asked = [f"{key.attribute.keyword} = {words(key.match)}" for key in query.keys]
    asked += [f"{code.attribute.keyword}" for code in query.codes]
    if query.start is not None:
        asked.append(f"start = {query.start.first or ''}..{query.start.last or ''}")
    return tuple(asked) or ("everything",)


def scanners(config: Config, journal: QueryJournal | None = None) -> list[str]:
    """AE titles of scanners that the site names, and of those that have asked."""
    named = [
        *config.allowed_aet,
        *(rule.ae_title for rule in config.access if rule.ae_title),
        *(profile.ae_title for profile in config.scanners),
    ]
    asked = [each.ae_title for each in journal.last_of_each()] if journal is not None else []
    return list(dict.fromkeys(title.strip() for title in (*named, *asked)))
