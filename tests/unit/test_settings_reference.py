"""Every setting is documented: in its description, in the example, in the reference page."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import yaml
from pydantic import BaseModel

from node import results
from node.config import Config, load_config
from scripts.settings_reference import PAGE, _inside, page
from tests.support import REPOSITORY

EXAMPLE = REPOSITORY / "config.yaml"


def keys_of(model: type[BaseModel], key: str = "") -> dict[str, str]:
    """Every key of the settings, with its description; NAME and N stand for entries."""
    found = {}
    for name, field in model.model_fields.items():
        inner, below = _inside(field, f"{key}.{name}".lstrip("."))
        found[f"{key}.{name}".lstrip(".")] = field.description or ""
        found.update(keys_of(inner, below) if inner else {})
    return found


def written_keys(value: object, key: str = "") -> set[str]:
    """Every key of a loaded YAML file, in the same spelling."""
    found = {key}
    if isinstance(value, Mapping):
        for name, inner in value.items():
            part = "NAME" if key in ("peers", "destinations", "readings") else name
            found |= written_keys(inner, f"{key}.{part}".lstrip("."))
    elif isinstance(value, list):
        found = found.union(*(written_keys(inner, f"{key}.N") for inner in value))
    return found


def test_every_setting_is_described() -> None:
    assert [key for key, description in keys_of(Config).items() if not description] == []


@pytest.mark.parametrize("kind", results.offered())
def test_every_option_of_a_result_is_described(kind: str) -> None:
    fields = results.load(kind).OPTIONS.model_fields
    assert [name for name, field in fields.items() if not field.description] == []


def test_the_example_holds_every_key() -> None:
    example = written_keys(yaml.safe_load(EXAMPLE.read_text(encoding="utf-8")))
    beside = {"destinations.NAME.results.N.options"}  # options are written beside `kind`
    assert sorted(set(keys_of(Config)) - example - beside) == [], "config.yaml lacks these keys"


def test_the_example_loads_and_differs_from_the_defaults_only_where_it_says_so() -> None:
    example, default = load_config(EXAMPLE), load_config(None)
    shown = {"callers", "peers", "destinations", "readings", "routing", "storage", "web", "access"}
    differing = {name for name in Config.model_fields if getattr(example, name) != getattr(default, name)}
    assert differing <= shown, "a default changed: change config.yaml too"


def test_the_settings_reference_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "docs/configuration.md is out of date: run `make docs`"
