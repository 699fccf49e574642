"""What a request says, taken strictly: JSON as RFC 8259 has it, each name once, nothing unknown.

Python's reader lets ``NaN`` through, and of two values of one name silently the last: a client that
sends two patient ids means one of them, and nobody can tell which. A misspelt filter in the query
string would mean everybody.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from email.message import Message
from typing import Any, get_args, get_origin

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from pylantir.errors import InvalidQuery, ValueProblem

_CONTENT_TYPE = b"content-type"
_NOT_JSON = "expected JSON; say so with Content-Type: application/json"


class BadBody(HTTPException):
    """A body that is no JSON, with the field where that shows.

    Parameters
    ----------
    status : int
        HTTP status.
    detail : str
        What was expected.
    field : str
        Name of the field; empty when it is the whole body.
    """

    def __init__(self, status: int, detail: str, field: str = "") -> None:
        super().__init__(status, f"{field[:80]}: {detail}" if field else detail)
        self.errors = [(field[:80], detail)] if field else []


class StrictRoute(APIRoute):
    """A route whose query string and body are read strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers a request."""
        answer = super().get_route_handler()
        known = dict(_parameters(self))

        async def strictly(request: Request) -> Response:
            if known:
                refuse_unknown(request, known)
            return await answer(StrictRequest(_with_type(request.scope), request.receive))

        return strictly


def _parameters(route: APIRoute) -> Iterator[tuple[str, bool]]:
    """The query parameters of a route, and whether each may stand several times."""
    for parameter in route.dependant.query_params:
        kind = parameter.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            for name, field in kind.model_fields.items():
                yield name, _is_list(field.annotation)
        else:
            yield parameter.alias, _is_list(kind)


def _is_list(kind: Any) -> bool:
    return list in {get_origin(kind), *map(get_origin, get_args(kind))}


def refuse_unknown(request: Request, known: Mapping[str, bool]) -> None:
    """Refuse query parameters that nobody knows, and a second value where one counts.

    Raises
    ------
    InvalidQuery
        Names them, with the nearest known one. Those that begin with an underscore are ignored.
    """
    given = [name for name, _ in request.query_params.multi_items()]
    problems = []
    for name in dict.fromkeys(given):
        if name in known:
            if given.count(name) > 1 and not known[name]:
                problems.append(ValueProblem(name, "", "expected once"))
        elif not name.startswith("_"):
            near = difflib.get_close_matches(name[:80], known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            problems.append(ValueProblem(name[:80], "", f"unknown query parameter{hint}"))
    if problems:
        raise InvalidQuery(problems)


class StrictRequest(Request):
    """A request whose body is JSON or refused."""

    async def body(self) -> bytes:
        """The body.

        Raises
        ------
        BadBody
            415: it says that it is something else.
        """
        body = await super().body()
        if body and not _is_json(self.headers.get("content-type", "")):
            raise BadBody(415, _NOT_JSON)
        return body

    async def json(self) -> Any:
        """What the body says.

        Raises
        ------
        BadBody
            400: a name twice, or a number that is none.
        JSONDecodeError, ValueError, RecursionError
            No JSON at all.
        """
        return json.loads(
            await self.body(), object_pairs_hook=_object, parse_constant=lambda _: _NO_NUMBER
        )


_NO_NUMBER = object()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise BadBody(400, "stands twice in the same object", name)
        if value is _NO_NUMBER or (isinstance(value, list) and _NO_NUMBER in value):
            raise BadBody(400, "expected a number; NaN and Infinity are none", name)
        found[name] = value
    return found


def _with_type(scope: Any) -> Any:
    """The published release read bodies without a type as JSON, and its clients rely on that.

    Only with a token: a web page of somebody else can let a browser send such a body, but no token,
    and must not try passwords from the workstation.
    """
    names = {name for name, _ in scope["headers"]}
    if _CONTENT_TYPE in names or b"authorization" not in names:
        return scope
    return {**scope, "headers": [*scope["headers"], (_CONTENT_TYPE, b"application/json")]}


def _is_json(content_type: str) -> bool:
    message = Message()
    message["content-type"] = content_type
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )
