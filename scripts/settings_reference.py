"""Writes docs/configuration.md from the settings' own descriptions. Run by `make docs`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from types import UnionType
from typing import Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from node import results
from node.config import Config
from node.config_faults import allowed

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
HEAD = """\
# Settings

Made by `make docs` from `node/settings.py` and `node/config.py`; `config.yaml` is a working example of every key.
Relative paths are relative to the folder of the file they are written in. An unknown key, a key given twice or a
name that leads nowhere stops the start; the message names what is allowed. `NAME` and `N` stand for a name you
choose and for each entry of a list.
"""


def page() -> str:
    """The whole page, Markdown."""
    sections = [HEAD, *_sections("", Config, "")]
    for kind in results.offered():
        options = results.load(kind).OPTIONS
        about = "Written beside `kind` in a destination's `results`."
        sections.append(_table(f"## Options of `{kind}`", about, "", options))
    return "\n".join(sections)


def _sections(prefix: str, model: type[BaseModel], about: str) -> Iterator[str]:
    """A table for the model's plain fields, then one section for each model inside it."""
    yield _table(f"## `{prefix}`" if prefix else "## Top level", about, prefix, model)
    for name, field in model.model_fields.items():
        inner, below = _inside(field, f"{prefix}.{name}".lstrip("."))
        if inner:
            yield from _sections(below, inner, (inner.__doc__ or "").strip())


def _inside(field: FieldInfo, key: str) -> tuple[type[BaseModel] | None, str]:
    """The model within a field, and the key under which its own fields are written."""
    kind = field.annotation
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind, key
    models = [each for each in get_args(kind) if isinstance(each, type) and issubclass(each, BaseModel)]
    if get_origin(kind) in (Union, UnionType):
        return (models[0], key) if models else (None, key)
    place = "NAME" if get_origin(kind) is Mapping else "N"
    return (models[0], f"{key}.{place}") if models else (None, key)


def _table(title: str, about: str, prefix: str, model: type[BaseModel]) -> str:
    rows = [
        f"| `{name}` | {_default(field)} | {_cell(allowed(field))} | {_cell(field.description)} |"
        for name, field in model.model_fields.items()
    ]
    if not rows:
        return f"{title}\n\n{about} It has none.\n"
    head = "| key | default | allowed | meaning |\n|---|---|---|---|"
    return f"{title}\n\n{about + chr(10) * 2 if about else ''}{head}\n" + "\n".join(rows) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, BaseModel) or (
        isinstance(value, tuple) and any(isinstance(each, BaseModel) for each in value)
    ):
        return "see below"
    return f"`{json.dumps(value, default=_plain, ensure_ascii=False)}`"


def _plain(value: object) -> object:
    if isinstance(value, PurePath):
        return value.as_posix()
    raise TypeError(f"no plain form for {type(value).__name__}")


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("*", "\\*")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
