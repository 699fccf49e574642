"""Where settings come from: flags, environment, file, defaults; in this order (fails closed).

A setting has one origin, and every problem names it. All problems are told at once.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pylantir.config.legacy import modernize
from pylantir.errors import ConfigProblem, ConfigurationError

if TYPE_CHECKING:
    from pylantir.config.schema import Config

FILE_NAMES = ("pylantir.json", "mwl_config.json")
MAX_FILE_BYTES = 5_000_000

_ENVIRONMENT = {
    "PYLANTIR_AE_TITLE": "ae_title",
    "PYLANTIR_IP": "ip",
    "PYLANTIR_PORT": "port",
    "PYLANTIR_DB_PATH": "db_path",
}
"""Variables that beat the file."""

_PUBLISHED_ENVIRONMENT = {
    "DB_PATH": "db_path",
    "DB_ECHO": "db_echo",
    "USERS_DB_PATH": "users_db_path",
}
"""Variables of the published release: they count only where the file has no such key."""


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """A configuration and where it came from.

    Parameters
    ----------
    config : Config
        The settings.
    path : Path or None
        The file, when there is one.
    origins : dict
        Setting to its origin: the file, an environment variable, the command line.
    warnings : tuple of str
        What the user should know.
    environ : mapping
        The environment with ``.env`` merged in; where sources find their secrets.
    """

    config: Config
    path: Path | None
    origins: Mapping[str, str]
    warnings: tuple[str, ...]
    environ: Mapping[str, str] = field(repr=False)


def load_config(
    path: str | Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    search: Sequence[Path] | None = None,
) -> LoadedConfig:
    """Put the configuration together.

    Parameters
    ----------
    path : str or Path, optional
        The file; looked for in the working folder and the user's configuration folder when absent.
    flags : mapping, optional
        Settings from the command line.
    environ : mapping, optional
        Environment variables; those of this process when absent.
    search : sequence of Path, optional
        Folders to look in.

    Raises
    ------
    ConfigurationError
        There is no file, or anything in it is wrong.
    """
    merged = merged_environment(environ)
    file = _the_file(path, merged, search)
    values, warnings = modernize(read_json(file) if file else {})
    origins = dict.fromkeys(values, str(file))
    _take_environment(values, origins, merged)
    for name, value in (flags or {}).items():
        values[name] = value
        origins[name] = "command line"
    if "db_path" not in values:
        values["db_path"] = str(data_folder() / "worklist.db")
        origins["db_path"] = "default"
    from pylantir.config.validation import validated  # pydantic costs 0.1 s

    config = validated(values, origins, str(file) if file else "environment")
    return LoadedConfig(config, file, origins, tuple(warnings), merged)


def merged_environment(environ: Mapping[str, str] | None) -> Mapping[str, str]:
    """Environment variables, with those of ``.env`` in the working folder below them."""
    real = os.environ if environ is None else environ
    dotenv = Path(".env")
    if environ is not None or not dotenv.is_file():
        return dict(real)
    from dotenv import dotenv_values

    try:
        read = dotenv_values(dotenv, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise _problem(str(dotenv), "", f"cannot be read: {error}") from error
    return {**{k: v for k, v in read.items() if v is not None}, **real}


def _the_file(
    path: str | Path | None, environ: Mapping[str, str], search: Sequence[Path] | None
) -> Path | None:
    given = path or environ.get("PYLANTIR_CONFIG")
    if given:
        return Path(given).expanduser()
    folders = list(search) if search is not None else [Path.cwd(), config_folder()]
    for folder in folders:
        for name in FILE_NAMES:
            if (folder / name).is_file():
                return folder / name
    if any(environ.get(name) for name in ("PYLANTIR_DB_PATH", "DB_PATH")):
        return None  # enough to work on a database that somebody names
    looked = " or ".join(str(folder) for folder in folders)
    raise _problem(
        "configuration",
        "",
        f"no {' or '.join(FILE_NAMES)} in {looked}",
        "write one with: pylantir init    or look around with: pylantir start --demo",
    )


def _take_environment(
    values: dict[str, Any], origins: dict[str, str], environ: Mapping[str, str]
) -> None:
    for variable, name in _PUBLISHED_ENVIRONMENT.items():
        if environ.get(variable) and values.get(name) is None:
            values[name] = environ[variable]
            origins[name] = f"environment variable {variable}"
    for variable, name in _ENVIRONMENT.items():
        text = environ.get(variable)
        if text:
            values[name] = int(text) if name == "port" and text.isdigit() else text
            origins[name] = f"environment variable {variable}"


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises
    ------
    ConfigurationError
        Missing, unreadable, too large, no JSON, a key that stands twice, or no object.
    """
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise _problem(str(path), "", f"larger than {MAX_FILE_BYTES} bytes")
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        hint = "write one with: pylantir init"
        raise _problem(str(path), "", "there is no such file", hint) from None
    except (OSError, UnicodeDecodeError) as error:
        raise _problem(str(path), "", f"cannot be read: {error}") from error
    try:
        values = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise _problem(str(path), where, f"not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:
        raise _problem(str(path), "", f"not usable JSON: {error}") from error
    if not isinstance(values, dict):
        raise _problem(str(path), "", "expected a JSON object at the top")
    return values


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for key, value in pairs:
        if key in values and not key.startswith("_"):
            raise ValueError(f"the key {key!r} stands twice")
        values[key] = value
    return values


def config_folder() -> Path:
    """The user's configuration folder."""
    if sys.platform == "win32":
        return Path(os.environ.get("APPDATA", "~")).expanduser() / "pylantir"
    if sys.platform == "darwin":
        return Path("~/Library/Application Support/pylantir").expanduser()
    return Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "pylantir"


def data_folder() -> Path:
    """The user's data folder."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~")).expanduser() / "pylantir"
    if sys.platform == "darwin":
        return Path("~/Library/Application Support/pylantir").expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "pylantir"


def _problem(where: str, path: str, message: str, hint: str = "") -> ConfigurationError:
    return ConfigurationError([ConfigProblem(where, path, message, hint)])


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the configuration file, for editors."""
    from pylantir.config.schema import Config

    return Config.model_json_schema()
