"""The change counter: each change of an item or a step has a higher number than those before."""

from __future__ import annotations

from sqlalchemy import Connection, select

from pylantir.worklist.tables import changes, worklist_items

RAISE_VERSION = changes.update().values(version=changes.c.version + 1)
"""The first half of :func:`next_version`, for who reads the number along with something else."""

_PRESENT_VERSION = select(changes.c.version)


def next_version(connection: Connection) -> int:
    """The next number of the change counter; call inside a write transaction."""
    connection.execute(RAISE_VERSION)
    return int(connection.execute(_PRESENT_VERSION).scalar_one())


def renew_versions(connection: Connection, above: int) -> None:
    """Give all rows a version that nobody has seen, inside a write transaction.

    For a database that took the place of another: whoever keeps items or answers keeps them by
    number and version, and the other one may have given the same to something else.

    Parameters
    ----------
    connection : Connection
        Of the write transaction.
    above : int
        The highest version that the other one may have given.
    """
    highest = connection.execute(select(changes.c.version)).scalar_one()
    version = max(above, highest) + 1
    connection.execute(changes.update().values(version=version))
    connection.execute(
        worklist_items.update().where(worklist_items.c.version >= 0).values(version=version)
    )
