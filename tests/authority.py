"""An authority of the test's own, and certificates in files."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import trustme


class Authority:
    """Issues certificates as PEM files: key and chain in one."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self.ca = trustme.CA(organization_name=name)
        self._folder = folder
        self.path = str(folder / f"{name}.pem")
        self.ca.cert_pem.write_to_path(self.path)

    def issue(
        self, *names: str, common_name: str | None = None, days: float = 90, file: str = ""
    ) -> str:
        """A certificate for DNS names or addresses; the path of its file."""
        ends = dt.datetime.now(dt.UTC) + dt.timedelta(days=days)
        issued = self.ca.issue_cert(*names, common_name=common_name, not_after=ends)
        path = self._folder / (file or f"{(names or ('cert',))[0].replace(':', '-')}.pem")
        path.write_bytes(issued.private_key_and_cert_chain_pem.bytes())
        return str(path)
