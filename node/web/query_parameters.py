"""The query parameters of a search (PS3.18 8.3.4) → keys for the matcher."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydicom.datadict import dictionary_VR, tag_for_keyword

from node.errors import BadQuery
from node.query import Key

_LISTED = ("UI", "CS")  # neither may hold a comma itself, so one separates values


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A search as it was asked for. warnings: what of it is done otherwise, in words."""

    keys: tuple[Key, ...]
    included: frozenset[str]
    include_all: bool
    offset: int
    limit: int
    empty_value_matching: bool
    warnings: tuple[str, ...]


def asked(parameters: Sequence[tuple[str, str]], maximum_results: int) -> Asked:
    """Raises BadQuery, which names the parameter or attribute and what is allowed."""
    options = {name: [value for key, value in parameters if key == name] for name in OPTIONS}
    matched = [(name, value) for name, value in parameters if name not in OPTIONS]
    included, include_all = _included(options["includefield"])
    limit = _count("limit", options["limit"], maximum_results)
    warnings = []
    if _flag("fuzzymatching", options["fuzzymatching"]):
        warnings.append("fuzzymatching is not done; names match without regard to case and accents")
    if limit > maximum_results:
        warnings.append(f"at most {maximum_results} matches are given at a time")
    return Asked(
        keys=_keys(matched, several=_flag("multiplevaluematching", options["multiplevaluematching"])),
        included=included,
        include_all=include_all,
        offset=_count("offset", options["offset"], 0),
        limit=min(limit, maximum_results),
        empty_value_matching=_flag("emptyvaluematching", options["emptyvaluematching"]),
        warnings=tuple(warnings),
    )


#: What is no attribute.
OPTIONS = (
    "accept",
    "charset",
    "emptyvaluematching",
    "fuzzymatching",
    "includefield",
    "limit",
    "multiplevaluematching",
    "offset",
)


def _included(values: Iterable[str]) -> tuple[frozenset[str], bool]:
    names = [name.strip() for value in values for name in value.split(",") if name.strip()]
    paths = [_path("includefield", name) for name in names if name != "all"]
    return frozenset(path[0][0] for path in paths), "all" in names


def _flag(name: str, values: Sequence[str]) -> bool:
    if any(value not in ("true", "false") for value in values):
        raise BadQuery(f"{name}: value '{values[0][:40]}' is not allowed; allowed: true, false")
    return "true" in values


def _count(name: str, values: Sequence[str], default: int) -> int:
    if not values:
        return default
    if len(values) > 1 or not re.fullmatch(r"\d{1,9}", values[0], re.ASCII):
        raise BadQuery(f"{name}: value '{values[0][:40]}' is not allowed; allowed: a number from 0, once")
    return int(values[0])


# ---------------------------------------------------------------- keys


def _keys(parameters: Iterable[tuple[str, str]], *, several: bool) -> tuple[Key, ...]:
    """Those with a common sequence are keys of the same item of it."""
    keys: dict[str, Key] = {}
    for name, value in parameters:
        path = _path(name, name)
        tag = path[0][0]
        keys[tag] = _merged(name, keys.get(tag), _key(path, _values(path[-1][1], value, several=several)))
    return tuple(keys.values())


def _key(path: Sequence[tuple[str, str]], values: tuple[str, ...]) -> Key:
    (tag, vr), *inner = path
    return Key(tag, vr, items=(_key(inner, values),)) if inner else Key(tag, vr, values)


def _merged(name: str, first: Key | None, second: Key) -> Key:
    if first is None:
        return second
    if first.vr in _LISTED:
        return Key(first.tag, first.vr, first.values + second.values)
    if first.vr != "SQ":
        raise BadQuery(f"{name}: it is given twice; allowed: once, with multiplevaluematching=true for several values")
    inner = {key.tag: key for key in first.items}
    for key in second.items:
        inner[key.tag] = _merged(name, inner.get(key.tag), key)
    return Key(first.tag, "SQ", items=tuple(inner.values()))


def _values(vr: str, text: str, *, several: bool) -> tuple[str, ...]:
    if vr in _LISTED:
        return tuple(value.strip() for value in re.split(r"[,\\]", text) if value.strip())
    values = text.split("\\") if several else [text]
    return tuple(value for value in values if value)


def _path(name: str, text: str) -> list[tuple[str, str]]:
    """ "RequestAttributesSequence.00400009" → tags and VRs. Raises BadQuery."""
    path = [_attribute(name, part) for part in text.split(".")]
    for (_, vr), part in zip(path[:-1], text.split("."), strict=False):
        if vr != "SQ":
            raise BadQuery(f"{name}: {part[:64]} is not a sequence, so nothing is within it")
    if path[-1][1] == "SQ" and name != "includefield":
        raise BadQuery(f"{name}: it is a sequence; allowed: {name}.ATTRIBUTE for one of its attributes")
    return path


def _attribute(name: str, text: str) -> tuple[str, str]:
    tag = int(text, 16) if re.fullmatch(r"[0-9A-Fa-f]{8}", text) else tag_for_keyword(text)
    try:
        if tag is not None:
            return f"{tag:08X}", dictionary_VR(tag).partition(" or ")[0]
    except KeyError:
        pass
    what = f"'{text[:64]}' is" if text != name else "this is"
    raise BadQuery(
        f"{name[:64]}: {what} no attribute; allowed: a keyword such as PatientID or a tag such as 00100020, "
        f"and {', '.join(OPTIONS)}"
    )
