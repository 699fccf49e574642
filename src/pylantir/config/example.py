"""The commented starting point that ``pylantir init`` writes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from pylantir.config.load import data_folder
from pylantir.errors import ConfigProblem, ConfigurationError

_ENV_EXAMPLE = """\
# Secrets of your sources. Copy this file to .env, fill it in, and let nobody else read it.
REDCAP_API_URL=https://redcap.example.org/api/
REDCAP_API_TOKEN=
CALPENDO_USERNAME=
CALPENDO_PASSWORD=
"""


def write_example(folder: Path) -> list[Path]:
    """Write ``pylantir.json`` and ``.env.example``.

    Parameters
    ----------
    folder : Path
        Made when it does not exist.

    Raises
    ------
    ConfigurationError
        A file of that name exists already, or the folder cannot be written.
    """
    text = json.dumps(_example(), indent=2) + "\n"
    files = {folder / "pylantir.json": text, folder / ".env.example": _ENV_EXAMPLE}
    for path in files:
        if path.exists():
            raise _problem(path, "exists already and is not overwritten")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in files.items():
            with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:  # noqa: PTH123
                file.write(content)
    except OSError as error:
        raise _problem(folder, f"cannot be written: {error.strerror}") from error
    return list(files)


def _problem(path: Path, message: str) -> ConfigurationError:
    return ConfigurationError([ConfigProblem(str(path), "", message, "choose another folder")])


def _example() -> dict[str, Any]:
    return {
        "_comment": "Keys that begin with _ are comments. All keys: docs/configuration.md",
        "db_path": str(data_folder() / "worklist.db"),
        "_comment_server": "What you type into the scanner console: AE title, address, port.",
        "ae_title": "MWL_SERVER",
        "ip": "0.0.0.0",  # noqa: S104 - scanners are other machines
        "port": 4242,
        "_comment_allowed_aet": "Calling AE titles of your scanners. EMPTY LETS EVERYBODY IN.",
        "allowed_aet": [],
        "_comment_scanners": "One entry for each scanner that needs something special.",
        "scanners": [],
        "_comment_site": "Your site id; it becomes part of the identifiers made here.",
        "site": "792",
        "protocol": {"792": "BRAIN_MRI_3T", "mapping": "GEHC"},
        "_comment_data_sources": "Set enabled to true once .env holds the secrets.",
        "data_sources": [
            {
                "name": "main_redcap",
                "type": "redcap",
                "enabled": False,
                "sync_interval": 60,
                "operation_interval": {"start_time": [0, 0], "end_time": [23, 59]},
                "config": {"site_id": "792", "protocol": "BRAIN_MRI_3T"},
                "field_mapping": {
                    "study_id": "study_id",
                    "session_id": "mri_instance",
                    "family_id": "family_id",
                    "demo_sex": "demo_sex",
                    "scheduled_date": "mri_date",
                    "scheduled_time": "mri_time",
                    "mri_wt_lbs": "patient_weight_lb",
                },
            }
        ],
    }
