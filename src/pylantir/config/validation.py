"""From pydantic's errors to problems that name file, key path, value and the nearest known key."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pylantir.config.schema import Config
from pylantir.config.secrets import is_secret, without_password
from pylantir.errors import ConfigProblem, ConfigurationError


def validated(values: Mapping[str, Any], origins: Mapping[str, str], default: str) -> Config:
    """The configuration that the values make.

    Raises
    ------
    ConfigurationError
        With every problem.
    """
    try:
        return Config.model_validate(dict(values))
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ConfigurationError(
            [_problem(detail, values, origins, default) for detail in details]
        ) from None


def _problem(
    detail: ErrorDetails, values: Mapping[str, Any], origins: Mapping[str, str], default: str
) -> ConfigProblem:
    location = detail["loc"]
    where = origins.get(str(location[0]), default) if location else default
    path = _key_path(location)
    if detail["type"] == "extra_forbidden":
        return ConfigProblem(where, path, "unknown key", _nearest(location))
    if detail["type"] == "missing":
        return ConfigProblem(where, path, "required, but missing")
    got = f", got {_shown(location, values)}" if location else ""
    return ConfigProblem(where, path, _expected(detail) + got)


def _key_path(location: tuple[int | str, ...]) -> str:
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not part.startswith(("function-", "tuple[", "dict[", "str", "lax-or-strict")):
            path += f".{part}" if path else part
    return path


def _expected(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    if message.startswith(("expected", "this is")) or ": expected" in message:
        return message
    words = message[:1].lower() + message[1:]
    return words.replace("input should be", "expected").replace("input should", "expected to")


def _shown(location: tuple[int | str, ...], values: Any) -> str:
    """The offending value as JSON would write it; never one that may be a secret."""
    import json

    if any(is_secret(str(part)) for part in location):
        return "***"
    for part in location:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            continue  # a part of pydantic's own, such as the branch of a union
    shown = json.dumps(values, ensure_ascii=False, default=str)
    return without_password(shown if len(shown) <= 60 else shown[:57] + "...")


def _nearest(location: tuple[int | str, ...]) -> str:
    model: type[BaseModel] | None = Config
    for part in location[:-1]:
        if isinstance(part, str) and model is not None and part in model.model_fields:
            model = _model_in(model.model_fields[part].annotation)
    if model is None:
        return ""
    near = difflib.get_close_matches(str(location[-1]), model.model_fields, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else ""


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, list, Union, types.UnionType):
        for inner in get_args(annotation):
            found = _model_in(inner)
            if found is not None:
                return found
    return None
