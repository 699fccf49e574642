"""The ``/__control__/`` door: every mutation of a stand-in, open to curl."""

from __future__ import annotations

import datetime as dt
import inspect
import json
import re
import types
import typing
import urllib.parse
from collections.abc import Callable, Mapping

from tests.standins.wire import JSON, Reply, Request

ROOT = "/__control__/"
Actions = Mapping[str, Callable[..., object]]


def answer(request: Request, actions: Actions) -> Reply:
    """Carry out ``/__control__/ACTION`` with arguments from query string, form or JSON body.

    200 with the action's result as JSON; 404 for an unknown action (with the list of them),
    400 for arguments that do not fit.
    """
    name = request.path.removeprefix(ROOT).strip("/")
    if not name:
        return _json({"actions": [_signature(n, a) for n, a in sorted(actions.items())]})
    action = actions.get(name)
    if action is None:
        return _json({"error": f"no action {name!r}", "actions": sorted(actions)}, 404)
    try:
        arguments = _coerced(name, action, _given(request))
        return _json(action(**arguments))
    except (LookupError, ValueError, TypeError) as error:
        text = str(error.args[0]) if error.args else type(error).__name__
        return _json({"error": text, "use": _signature(name, action)}, 400)


def _given(request: Request) -> dict[str, object]:
    given: dict[str, object] = dict(urllib.parse.parse_qsl(request.query, keep_blank_values=True))
    if request.body.lstrip().startswith(b"{"):
        given.update(json.loads(request.body))
    elif request.body:
        given.update(request.form)
    return given


def _coerced(
    name: str, action: Callable[..., object], given: Mapping[str, object]
) -> dict[str, object]:
    parameters = inspect.signature(action).parameters
    hints = typing.get_type_hints(action)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    arguments = {}
    for key, value in given.items():
        if key in parameters and parameters[key].kind is not inspect.Parameter.VAR_KEYWORD:
            arguments[key] = _as(hints.get(key, str), value, key)
        elif open_ended:
            arguments[key] = value
        else:
            raise ValueError(f"{name}: no argument {key!r}")
    for key, parameter in parameters.items():
        required = parameter.default is parameter.empty and parameter.kind is not (
            parameter.VAR_KEYWORD
        )
        if required and key not in arguments:
            raise ValueError(f"{name}: argument {key!r} is missing")
    return arguments


def _as(hint: object, value: object, key: str) -> object:
    if isinstance(hint, types.UnionType):
        wanted = [h for h in typing.get_args(hint) if h is not types.NoneType]
        if value is None or isinstance(value, tuple(h for h in wanted if isinstance(h, type))):
            return value
        hint = wanted[0]
    if not isinstance(value, str):
        return value
    if hint is bool:
        return value.lower() in {"1", "true", "yes"}
    if hint is dt.datetime:
        try:
            return dt.datetime.fromisoformat(value)
        except ValueError:
            raise ValueError(f"{key}: {value!r} is no ISO 8601 time") from None
    if hint in (int, float):
        try:
            return typing.cast("type[int]", hint)(value)
        except ValueError:
            raise ValueError(f"{key}: {value!r} is no number") from None
    return value


def _signature(name: str, action: Callable[..., object]) -> str:
    parameters = inspect.signature(action).parameters.values()
    shown = ", ".join(str(parameter) for parameter in parameters)
    plain = re.sub(r": '([^']*)'", r": \1", shown)  # annotations come in quotes
    return f"{name}({plain})"


def _json(result: object, status: int = 200) -> Reply:
    text = json.dumps(result, ensure_ascii=False, indent=1, default=str)
    return Reply(status, text.encode() + b"\n", JSON)
