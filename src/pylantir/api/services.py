"""What the routes are given: the parts of the house they may use."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fastapi import Request

from pylantir.api.closing import Closing
from pylantir.audit.trail import AuditTrail
from pylantir.clock import SiteClock
from pylantir.users.account import Principal
from pylantir.users.signin import SignIn
from pylantir.users.store import UserStore
from pylantir.worklist.journal import QueryJournal
from pylantir.worklist.sources import SourceStore
from pylantir.worklist.steps import StepStore
from pylantir.worklist.store import ItemStore

if TYPE_CHECKING:
    from pylantir.config.schema import Config

HASHING_THREADS = 2
"""Passwords that are checked at the same time: each takes 19 MiB and a core for a moment."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that has to work for the server to be of use.

    Parameters
    ----------
    name : str
        Of the thing, such as ``database`` or ``source main``.
    is_ok : bool
        Whether it works.
    detail : str
        In words; no value of a person.
    is_required : bool
        Whether the server is of no use without it.
    """

    name: str
    is_ok: bool
    detail: str
    is_required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The parts of the house, made once by whoever starts the API.

    Parameters
    ----------
    config : Config
        The site's settings.
    clock : SiteClock
        The clock on the wall.
    items, steps, sources : stores
        The worklist.
    audit : AuditTrail
        Who asked for and who changed what.
    journal : QueryJournal
        What scanners asked lately.
    users, sign_in : UserStore, SignIn
        Accounts, and how they prove who they are.
    identify : callable
        From a token to who it belongs to.
    checks : callable
        What has to work, tried now.
    request_sync : callable
        Let a source fetch now, by name.
    origin_of : callable
        Where a value came from, in words: by the name of a source and of an item's field.
    closing : Closing
        Set when the server stops: streams end.
    hashing : ThreadPoolExecutor
        Where passwords are checked.
    """

    config: Config
    clock: SiteClock
    items: ItemStore
    steps: StepStore
    sources: SourceStore
    audit: AuditTrail
    journal: QueryJournal
    users: UserStore
    sign_in: SignIn
    identify: Callable[[str], Principal]
    checks: Callable[[], list[Check]]
    request_sync: Callable[[str], None]
    origin_of: Callable[[str, str], str] = lambda source, name: ""
    closing: Closing = field(default_factory=Closing)
    hashing: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(HASHING_THREADS, "password")
    )


def services_of(request: Request) -> Services:
    """The services of the application that answers a request."""
    services = request.app.state.services
    assert isinstance(services, Services)
    return services
