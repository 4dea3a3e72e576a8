"""Identifiers of queries and retrievals (PS3.4 C.2.2, C.4): data sets → keys, and matches → data sets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydicom.charset import python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from node import search
from node.errors import BadQuery
from node.findable import COMPUTED, KEPT
from node.query import Key
from storage.catalogue import Found, Level
from storage.objects import is_valid_uid

#: The unique keys from the top, by level (PS3.4 C.6.2.1).
UNIQUE = {Level.STUDY: "StudyInstanceUID", Level.SERIES: "SeriesInstanceUID", Level.INSTANCE: "SOPInstanceUID"}
_COLUMNS = {Level.STUDY: "study_instance_uid", Level.SERIES: "series_instance_uid", Level.INSTANCE: "sop_instance_uid"}
_NO_KEYS = frozenset(("00080005", "00080052", "00080053", "00080054", "00080056", "00080201"))
_UTF_8 = "ISO_IR 192"


@dataclass(frozen=True, slots=True)
class Asked:
    """A query. returned: tags that the answers have. ignored: whether keys were left out that are not supported."""

    level: Level
    keys: tuple[Key, ...]
    returned: frozenset[str]
    ignored: bool
    character_set: str


def asked(identifier: Dataset) -> Asked:
    """What a C-FIND in the study root model asks for. Raises BadQuery."""
    level = level_of(identifier)
    for above in search.levels_down_to(level)[:-1]:
        _unique(identifier, above, most=1)
    every = list(keys_of(identifier))
    known = frozenset().union(*(KEPT[each] | COMPUTED[each] for each in search.levels_down_to(level)))
    keys = tuple(key for key in every if key.tag in known)
    return Asked(level, keys, frozenset(key.tag for key in keys), len(keys) < len(every), _character_set(identifier))


def wanted(identifier: Dataset) -> dict[str, list[str]]:
    """Column → UIDs of what a C-MOVE or C-GET in the study root model retrieves. Raises BadQuery."""
    level = level_of(identifier)
    levels = search.levels_down_to(level)
    return {_COLUMNS[each]: _unique(identifier, each, most=None if each is level else 1) for each in levels}


def level_of(identifier: Dataset) -> Level:
    """Its Query/Retrieve Level (0008,0052). Raises BadQuery."""
    text = str(identifier.get("QueryRetrieveLevel") or "").strip()
    try:
        return Level(text)
    except ValueError:
        allowed = ", ".join(Level)
        raise BadQuery(f"QueryRetrieveLevel: '{text[:16]}' is not allowed; allowed: {allowed}") from None


def match(found: Found, query: Asked, ae_title: str) -> Dataset:
    """A match as the answer's identifier, in the character set asked in where that has all its letters."""
    chosen = {tag: found.attributes.get(tag) or {"vr": _vr(tag)} for tag in query.returned}
    dataset = Dataset.from_json(chosen)
    dataset.QueryRetrieveLevel = str(query.level)
    dataset.RetrieveAETitle = ae_title
    dataset.InstanceAvailability = "ONLINE"
    character_set = _fitting(chosen, query.character_set)
    if character_set:
        dataset.SpecificCharacterSet = character_set
    return dataset


def _unique(identifier: Dataset, level: Level, most: int | None) -> list[str]:
    """The UIDs of a level's unique key. Raises BadQuery."""
    keyword = UNIQUE[level]
    values = [each for each in _values(identifier.get(keyword)) if each]
    if not values or (most is not None and len(values) > most):
        raise BadQuery(f"{keyword}: {len(values)} values are not allowed; allowed: {'one' if most else 'one or more'}")
    for value in values:
        if not is_valid_uid(value):
            raise BadQuery(f"{keyword}: this is not a UID (PS3.5 9.1)")
    return values


def keys_of(identifier: Dataset) -> Iterator[Key]:
    """The keys of a query: its attributes but those that only say how it is to be answered. Raises BadQuery."""
    tags = list(identifier.keys())
    for tag in tags:
        name = f"{int(tag):08X}"
        if name in _NO_KEYS or tag.element == 0 or tag.is_private:
            continue
        yield _key(name, _element(identifier, name))


def _element(identifier: Dataset, tag: str) -> DataElement:
    try:
        return identifier[tag]
    except (ValueError, TypeError, NotImplementedError) as error:
        raise BadQuery(f"{Key(tag, '').keyword}: its value cannot be read as its VR") from error


def _key(tag: str, element: DataElement) -> Key:
    if element.VR == "SQ":
        inner = [key for item in element.value[:1] for key in keys_of(item)]
        return Key(tag, "SQ", items=tuple(inner))
    values = tuple(each for each in _values(element.value) if each)
    return Key(tag, element.VR.partition(" or ")[0], values)


def _values(value: Any) -> list[str]:
    if value is None:
        return []
    several = value if isinstance(value, MultiValue | list | tuple) else [value]
    return [str(each).strip() for each in several]


def _vr(tag: str) -> str:
    return dictionary_VR(int(tag, 16)).partition(" or ")[0]


def _character_set(identifier: Dataset) -> str:
    """The one asked in; "" for the default repertoire, UTF-8 in place of code extensions."""
    values = _values(identifier.get("SpecificCharacterSet"))
    return values[0] if len(values) == 1 else _UTF_8 if values else ""


def _fitting(chosen: Mapping[str, Any], preferred: str) -> str:
    text = json.dumps(chosen, ensure_ascii=False)
    return next((each for each in (preferred, "ISO_IR 100") if _holds(each, text)), _UTF_8)


def _holds(character_set: str, text: str) -> bool:
    encoding = python_encoding.get(character_set, "ascii") if character_set else "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
