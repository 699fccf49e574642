"""From the settings to the trail."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pylantir.audit.files import TrailFiles
from pylantir.audit.trail import AuditTrail
from pylantir.config.load import data_folder

if TYPE_CHECKING:
    from pylantir.config.security import AuditSettings

_SUFFIX = ".audit"


def trail_folder(settings: AuditSettings, database: Path | None) -> Path:
    """The folder of the trail.

    Parameters
    ----------
    settings : AuditSettings
        Names it, or leaves it beside the database.
    database : Path or None
        The database, when it is a file.
    """
    if settings.path is not None:
        return Path(settings.path).expanduser()
    beside = database if database is not None else data_folder() / "worklist"
    return beside.with_name(beside.stem + _SUFFIX)


def open_trail(settings: AuditSettings, database: Path | None, site: str = "") -> AuditTrail:
    """The trail that the settings describe; nothing is made, written or sent yet.

    Parameters
    ----------
    settings, database
        See :func:`trail_folder`.
    site : str
        Site id for audit messages; may be empty.
    """
    if not settings.enabled:
        return AuditTrail(None)
    files = TrailFiles(
        trail_folder(settings, database),
        max_bytes=settings.max_bytes,
        retention_days=settings.retention_days,
    )
    if settings.syslog is None:
        return AuditTrail(files)
    from pylantir.audit.syslog import SyslogForwarder  # XML and the codes of PS3.15, for few sites

    return AuditTrail(files, forwarder=SyslogForwarder(files, settings.syslog, site))
