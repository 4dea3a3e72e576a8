"""What is wrong with a configuration, in a person's words: one line per fault, with what would be allowed.

The same "allowed" text is used by the settings reference (`docs/configuration.md`).
"""

from __future__ import annotations

import difflib
import json
import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

Location = tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Allowed:
    """Annotation of a field: what it takes, where its type does not say so."""

    text: str


def fault(location: Location, value: object, allowed: str) -> InitErrorDetails:
    """A fault found by comparing settings with each other."""
    kind = PydanticCustomError("not_allowed", "{allowed}", {"allowed": allowed})
    return InitErrorDetails(type=kind, loc=location, input=value)


def told(location: Location, text: str) -> InitErrorDetails:
    """A fault whose words are already chosen; `text` follows the key."""
    return InitErrorDetails(type=PydanticCustomError("told", "{text}", {"text": text}), loc=location, input=None)


def lines(error: ValidationError, model: type[BaseModel]) -> list[str]:
    """One line per fault of `error`, which came from validating `model`."""
    return [f"{_path(e['loc'])}: {_sentence(e, model)}" for e in error.errors(include_url=False)]


def allowed(field: FieldInfo) -> str:
    """What the field takes, e.g. "an integer from 1 to 65535"."""
    for extra in field.metadata:
        if isinstance(extra, Allowed):
            return extra.text
    kind, optional = _without_none(field.annotation)
    if get_origin(kind) is Annotated:
        return f"{allowed(FieldInfo.from_annotation(kind))}, or null"
    text = _kind_allowed(kind) + _bounds(field)
    return f"{text}, or null" if optional else text


def _sentence(error: ErrorDetails, model: type[BaseModel]) -> str:
    location, context = error["loc"], error.get("ctx", {})
    match error["type"]:
        case "told":
            return str(context["text"])
        case "not_allowed":
            takes = context["allowed"]
        case "extra_forbidden":
            return _unknown(str(location[-1]), _keys_at(model, location[:-1]))
        case "invalid_key":
            return "is not allowed as a key; allowed: text"
        case "missing":
            return f"a value is required; allowed: {_takes(error, model)}"
        case _ if location and location[-1] == "[key]":
            return f"is not allowed as a name; allowed: {_takes(error, model)}"
        case _:
            takes = _takes(error, model)
    return f"value {shown(error['input'])} is not allowed; allowed: {takes}"


def _takes(error: ErrorDetails, model: type[BaseModel]) -> str:
    field = _field_at(model, error["loc"])
    if field is None:
        return error["msg"]
    if error["loc"][-1] == "[key]":
        return allowed(FieldInfo.from_annotation(get_args(field.annotation)[0]))
    if error["type"] == "string_type" and isinstance(error["input"], bool):
        return f"{allowed(field)}; YAML reads words like NO and ON as true or false unless they stand in quotes"
    return allowed(field)


def _unknown(key: str, keys: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key, keys, n=1)
    return f"unknown key; {f'did you mean {near[0]}? ' if near else ''}allowed: {', '.join(keys)}"


def shown(value: object) -> str:
    """The value as a fault names it: short, and without the password of a URL."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    text = re.sub(r"//[^@/\s]*@", "//…@", repr(value))
    return text if len(text) <= 80 else f"{text[:79]}…"


def _path(location: Location) -> str:
    parts = (str(part) for part in location if part != "[key]")
    return ".".join(part if part and part.isprintable() else repr(part) for part in parts) or "the file"


def _keys_at(model: type[BaseModel], location: Location) -> tuple[str, ...]:
    field = _field_at(model, location) if location else None
    inner = model if not location else _model_in(field.annotation if field else None)
    return tuple(inner.model_fields) if inner else ()


def _field_at(model: type[BaseModel], location: Location) -> FieldInfo | None:
    """The field a fault's location leads to; indices and names of list and mapping entries are passed over."""
    current: type[BaseModel] | None = model
    field: FieldInfo | None = None
    for part in location:
        if current is not None and isinstance(part, str) and part in current.model_fields:
            field = current.model_fields[part]
            kind, _ = _without_none(field.annotation)
            current = kind if _is_model(kind) else None
        elif current is None and field is not None:
            current = _model_in(field.annotation)
    return field


def _is_model(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The pydantic model in X, tuple[X, …], Mapping[str, X] or X | None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_model_in(argument) for argument in get_args(annotation))
    return next((model for model in found if model), None)


def _without_none(annotation: Any) -> tuple[Any, bool]:
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [kind for kind in get_args(annotation) if kind is not type(None)]
        return kinds[0], len(kinds) < len(get_args(annotation))
    return annotation, False


def _kind_allowed(kind: Any) -> str:
    origin = get_origin(kind)
    if origin is Literal:
        return ", ".join(str(value) for value in get_args(kind))
    if origin is tuple:
        return "a list"
    if origin is Mapping or kind is dict or _is_model(kind):
        return "a mapping"
    names = {
        bool: "true or false",
        int: "an integer",
        float: "a number",
        str: "text",
        Path: "a path",
    }
    return names.get(kind, str(kind))


def _bounds(field: FieldInfo) -> str:
    low = high = ""
    for extra in field.metadata:
        if isinstance(extra, Ge):
            low = f" from {extra.ge}"
        elif isinstance(extra, Gt):
            low = f" above {extra.gt}"
        elif isinstance(extra, Le):
            high = f" to {extra.le}"
        elif isinstance(extra, Lt):
            high = f" below {extra.lt}"
        elif isinstance(extra, MinLen):
            low = ", not empty"
        elif isinstance(extra, MaxLen):
            high = f" of at most {extra.max_length} characters"
    if low.startswith(" from") and not high:
        return f"{low} up"
    return f"{low} and{high}" if low and "below" in high else low + high
