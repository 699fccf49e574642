"""Settings and secrets of a source: validated all at once, named by the source and the key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pylantir.config.schema import CALPENDO_ZONE
from pylantir.errors import ConfigProblem, ConfigurationError

_Model = TypeVar("_Model", bound=BaseModel)


def read_settings(model: type[_Model], config: Mapping[str, Any], where: str) -> _Model:
    """The settings of a source from its ``config`` object.

    Parameters
    ----------
    model : type
        The pydantic model of the settings.
    config : mapping
        As written; keys that begin with an underscore are comments.
    where : str
        Names the source in messages.

    Raises
    ------
    ConfigurationError
        With every problem; values are not shown, they may be secrets.
    """
    written = {key: value for key, value in config.items() if not key.startswith("_")}
    try:
        return model.model_validate(written)
    except ValidationError as error:
        problems = [
            ConfigProblem(where, _path(detail["loc"]), _words(detail), _hint(detail, model))
            for detail in error.errors(include_url=False)
        ]
        raise ConfigurationError(problems) from None


def _path(location: tuple[int | str, ...]) -> str:
    path = "config"
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path


def _words(detail: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return "unknown key"
    if detail["type"] == "missing":
        return "required, but missing"
    message: str = detail["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _hint(detail: Any, model: type[BaseModel]) -> str:
    if detail["type"] != "extra_forbidden":
        return ""
    near = difflib.get_close_matches(str(detail["loc"][-1]), model.model_fields, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else ""


def credential(environ: Mapping[str, str], variable: str, where: str) -> str:
    """A secret from the environment.

    Raises
    ------
    ConfigurationError
        It is not set; names the variable, never a value.
    """
    value = environ.get(variable, "")
    if not value:
        message = f"the environment variable {variable} is not set"
        raise ConfigurationError(
            [ConfigProblem(where, "", message, "set it, or write it into .env")]
        )
    return value


def zone_names(source_type: str, config: Mapping[str, Any]) -> tuple[str, ...]:
    """Time zones that an entry of ``data_sources`` lives by; what is no name is left out."""
    found = [config.get("timezone"), config.get("server_timezone")]
    if source_type == "calpendo" and not found[0]:
        found.append(CALPENDO_ZONE)
    return tuple(name for name in found if isinstance(name, str) and name)
