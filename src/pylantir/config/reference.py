"""The reference of every key, read off the schema: ``docs/configuration.md`` is made here."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from pylantir.config.schema import Config

_WORDS = {
    str: "text",
    int: "number",
    float: "seconds",
    bool: "true or false",
    type(None): "null",
    Any: "anything",
}


def reference() -> str:
    """Markdown tables of every key: what it is, what it takes, what it is without an entry."""
    sections = []
    for title, model in _models():
        lines = [f"### {title}", "", (model.__doc__ or "").strip().splitlines()[0], ""]
        lines += ["| key | takes | default | meaning |", "|---|---|---|---|"]
        lines += [_row(name, field) for name, field in model.model_fields.items()]
        sections.append("\n".join(lines))
    return "\n\n".join(sections) + "\n"


def _models() -> Iterator[tuple[str, type[BaseModel]]]:
    yield "The file", Config
    seen: set[type[BaseModel]] = set()
    for name, field in Config.model_fields.items():
        model = _model_in(field.annotation)
        if model is None or model in seen:
            continue
        seen.add(model)
        suffix = "[]" if get_origin(field.annotation) is tuple else ""
        yield f"`{name}{suffix}`", model
        for inner_name, inner in model.model_fields.items():
            inner_model = _model_in(inner.annotation)
            if inner_model is not None and inner_model not in seen:
                seen.add(inner_model)
                yield f"`{name}{suffix}.{inner_name}`", inner_model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for part in get_args(annotation) if (m := _model_in(part)) is not None), None)


def _row(name: str, field: FieldInfo) -> str:
    return f"| `{name}` | {_takes(field.annotation)} | {_default(field)} | {field.description} |"


def _default(field: FieldInfo) -> str:
    value = field.default
    if field.is_required() or value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        return "see below"
    if value is None or value == () or value == {}:
        return "none"
    return f"`{', '.join(map(str, value)) if isinstance(value, tuple) else value}`"


def _takes(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (Union, types.UnionType):
        return " or ".join(_takes(part) for part in inner if part is not type(None))
    if origin is tuple:
        return f"list of {_takes(inner[0])}" if inner[-1] is Ellipsis else "`[hour, minute]`"
    if origin is dict:
        return "object"
    if hasattr(annotation, "__metadata__"):
        return _takes(inner[0])
    if _model_in(annotation) is not None:
        return "object, see below"
    return _WORDS.get(annotation, "text")
