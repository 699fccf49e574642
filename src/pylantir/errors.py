"""The error tree.

Errors are raised by name where the cause is. They become a DIMSE status, an HTTP status or an
exit code in one table beside each door (``dicom/``, ``api/``, ``cli/``)::

    PylantirError
    ├── ConfigurationError      a setting is wrong or missing; holds every problem at once
    ├── StartError              a part cannot start: port taken, folder not writable
    ├── InvalidItem             values that cannot become a worklist item
    ├── InvalidQuery            a query that has no meaning
    ├── NotFound                no such item, step or source
    ├── Conflict                the state does not allow the change
    │   ├── DuplicateStep       that SOP Instance UID exists already
    │   └── StepClosed          a completed or discontinued step may no longer be updated
    ├── InvalidStep             an MPPS data set that breaks the rules of PS3.4 Annex F
    ├── StoreError              the database
    │   ├── DatabaseUnavailable locked, full, read-only
    │   │   └── DatabaseGone    deleted, or another file in its place, since it was opened
    │   └── DatabaseIncompatible not ours, or written by a newer release
    │       └── DatabaseDamaged it can no longer be read as a database
    ├── InvalidAccount          values that cannot become an account
    ├── AccessDenied            who asks has not shown that they may
    │   ├── SignInFailed        name, password, code or token is wrong
    │   │   └── IssuerUnreachable   the site's issuer cannot be asked: try again
    │   ├── PasswordChangeRequired  the password is right, but may not be used any longer
    │   ├── TooManyAttempts     wait before the next attempt
    │   └── NotAllowed          the role has not this right
    ├── SourceError             a source of bookings failed
    │   ├── SourceUnavailable   could not be reached or answered nonsense: try again
    │   └── SourceRefused       refused our credentials or rights: a person must act
    └── PeerError               the DICOM peer refused, aborted or did not answer
        └── PeerRejected        it answered that it does not want the association

The text of an error is for the person who caused it and may hold what they typed. The ordinary
log uses :attr:`PylantirError.for_log`, which never does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class PylantirError(Exception):
    """Base of every error that Pylantir raises on purpose."""

    @property
    def for_log(self) -> str:
        """What happened, without any value that may belong to a person."""
        return type(self).__name__


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong in the configuration.

    Parameters
    ----------
    where : str
        File, environment variable or flag that holds the value.
    path : str
        Key path inside it, such as ``data_sources[1].sync_interval``; empty for the whole file.
    message : str
        What was expected and what was found; never a secret.
    hint : str
        The way out, such as the nearest known key; may be empty.
    """

    where: str
    path: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.where}: {self.path}" if self.path else self.where
        return f"{place}: {self.message}" + (f" ({self.hint})" if self.hint else "")


class ConfigurationError(PylantirError):
    """The configuration cannot be used. Lists all problems, not only the first."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))

    @property
    def for_log(self) -> str:
        return str(self)


class StartError(PylantirError):
    """A part of the daemon cannot start."""

    @property
    def for_log(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True)
class ValueProblem:
    """One value that cannot be used.

    Parameters
    ----------
    field : str
        The item field, query key or DICOM keyword.
    value : str
        The offending value as text; empty when it is missing.
    reason : str
        What was expected.
    """

    field: str
    value: str
    reason: str

    def __str__(self) -> str:
        shown = f", got {self.value!r}" if self.value else ""
        return f"{self.field}: {self.reason}{shown}"


class _ValueProblems(PylantirError):
    """An error made of value problems."""

    def __init__(self, problems: Sequence[ValueProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))

    @property
    def for_log(self) -> str:
        return "; ".join(f"{p.field}: {p.reason}" for p in self.problems)


class InvalidItem(_ValueProblems):
    """Values that cannot become a worklist item, each with its reason."""


class InvalidQuery(_ValueProblems):
    """Query keys that have no meaning (C-FIND answers 0xA900)."""


class InvalidAccount(_ValueProblems):
    """Values that cannot become an account, each with its reason; never the password."""


class AccessDenied(PylantirError):
    """Who asks has not shown that they may."""


class SignInFailed(AccessDenied):
    """Name, password, code or token is wrong; never says which."""


class IssuerUnreachable(SignInFailed):
    """The site's own issuer did not answer; what it said before may still hold."""


class PasswordChangeRequired(AccessDenied):
    """The password is right, but may not be used any longer."""


class TooManyAttempts(AccessDenied):
    """Too many wrong passwords.

    Parameters
    ----------
    wait_s : float
        Seconds until the next attempt is looked at.
    """

    def __init__(self, wait_s: float) -> None:
        self.wait_s = wait_s
        super().__init__(f"too many attempts; try again in {max(1, round(wait_s))} s")


class NotAllowed(AccessDenied):
    """The role of who asks has not this right."""


class NotFound(PylantirError):
    """No such item, step or source."""


class Conflict(PylantirError):
    """The present state does not allow the change."""


class DuplicateStep(Conflict):
    """A performed procedure step with this SOP Instance UID exists already."""


class StepClosed(Conflict):
    """A completed or discontinued performed procedure step may no longer be updated."""


class StepTooLarge(PylantirError):
    """A performed procedure step has more in it than any that was performed."""


class StoreError(PylantirError):
    """The database."""

    @property
    def for_log(self) -> str:
        return str(self)


class DatabaseUnavailable(StoreError):
    """The database is locked, full, read-only or gone."""


class DatabaseGone(DatabaseUnavailable):
    """The file was deleted, or another one is in its place, since it was opened."""


class DatabaseIncompatible(StoreError):
    """The file is no database of ours, is damaged, or was written by a newer release."""


class DatabaseDamaged(DatabaseIncompatible):
    """The file can no longer be read as a database."""


class SourceError(PylantirError):
    """A source of bookings failed; the worklist keeps what it has.

    Parameters
    ----------
    message : str
        What happened, in our words and without any value of a record.
    quoted : str
        What the source itself said about it. It may name a person: shown to people, never logged.
    """

    def __init__(self, message: str, *, quoted: str = "") -> None:
        super().__init__(f"{message}: {quoted}" if quoted else message)
        self._message = message
        self._is_quoting = bool(quoted)

    @property
    def for_log(self) -> str:
        return self._message + ("; its own words: pylantir sources" if self._is_quoting else "")


class SourceUnavailable(SourceError):
    """The source could not be reached or answered nonsense: worth trying again.

    Parameters
    ----------
    message, quoted : str
        See :class:`SourceError`.
    retry_after_s : float
        Seconds that the source itself asked us to wait; 0 when it did not.
    """

    def __init__(self, message: str, *, quoted: str = "", retry_after_s: float = 0.0) -> None:
        super().__init__(message, quoted=quoted)
        self.retry_after_s = retry_after_s


class SourceRefused(SourceError):
    """The source refused our credentials or rights: a person must act."""


class PeerError(PylantirError):
    """The DICOM peer refused, aborted, or did not answer."""

    @property
    def for_log(self) -> str:
        return str(self)


class PeerRejected(PeerError):
    """The DICOM peer is there and rejected the association (A-ASSOCIATE-RJ)."""
