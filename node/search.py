"""A search of what the node holds: columns narrow it in SQL, the matcher decides, counts are added (QIDO-RS, C-FIND).

Where the columns say all that was asked, SQL also does the paging; else matches are counted as they are found.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from node import findable, moments, names, query
from node.errors import BadQuery
from node.findable import COMPUTED, KEPT
from node.query import Key, Matching
from storage.catalogue import Catalogue, Found, Level, Narrowing

_BATCH = 200

#: Tag → the column that holds its values.
_COLUMNS = {
    "0020000D": "study_instance_uid",
    "0020000E": "series_instance_uid",
    "00080018": "sop_instance_uid",
    "00080016": "sop_class_uid",
    findable.SOP_CLASSES_IN_STUDY: "sop_class_uid",
    findable.MODALITIES_IN_STUDY: "modality",
    "00080060": "modality",
    "00080020": "study_date",
    "00080050": "accession_number",
    "00100020": "patient_id",
    "00100010": "patient_name",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched for. within: UIDs of the study, and of the series, that it is confined to."""

    level: Level
    keys: tuple[Key, ...] = ()
    within: tuple[str, ...] = ()
    matching: Matching = field(default_factory=Matching)
    offset: int = 0
    limit: int = 1000


@dataclass(frozen=True, slots=True)
class Results:
    """The matches asked for, in a stable order, and whether there are more after them."""

    matches: tuple[Found, ...]
    more: bool


def search(catalogue: Catalogue, asked: Search) -> Results:
    """Carry out a search. Raises BadQuery when a key is not one of the level, or has a value that it cannot have."""
    check_level(asked.level, asked.keys)
    query.check(asked.keys, asked.matching)
    narrowing, decided = _narrowing(asked)
    left = [key for key in asked.keys if key.tag not in decided and not key.universal]
    if left:
        found = _filtered(catalogue, asked, narrowing, left)
    else:
        with closing(catalogue.find(asked.level, narrowing, offset=asked.offset, limit=asked.limit + 1)) as rows:
            found = list(rows)
    return Results(tuple(_counted(catalogue, asked.level, found[: asked.limit])), len(found) > asked.limit)


def levels_down_to(level: Level) -> list[Level]:
    """The level and those above it."""
    return list(Level)[: list(Level).index(level) + 1]


def check_level(level: Level, keys: Iterable[Key]) -> None:
    """Raises BadQuery for a key that this level cannot be searched by."""
    for key in keys:
        if not any(key.tag in KEPT[each] | COMPUTED[each] for each in levels_down_to(level)):
            raise BadQuery(f"{key.keyword}: {level.value.lower()} level cannot be searched by it; {_allowed(level)}")


def _allowed(level: Level) -> str:
    tags = sorted(set().union(*(KEPT[each] | COMPUTED[each] for each in levels_down_to(level))))
    return "allowed: " + ", ".join(Key(tag, "").keyword for tag in tags)


# ---------------------------------------------------------------- narrowing


def _narrowing(asked: Search) -> tuple[Narrowing, set[str]]:
    """Conditions on columns, and the tags of the keys that they decide for good."""
    any_of: dict[str, Sequence[str]] = {}
    between: dict[str, tuple[str, str]] = {}
    like: dict[str, str] = {}
    decided = set()
    tags = {key.tag for key in asked.keys}
    for key in asked.keys:
        column = _COLUMNS.get(key.tag)
        if column is None or key.universal or (asked.matching.empty and '""' in key.values) or column in any_of:
            continue
        values = [value.strip() for value in key.values]
        if key.tag == "00080020":
            if len(values) == 1:
                span = moments.asked("DA", values[0])
                between[column] = (span.lowest, span.highest)
                if not (asked.matching.combined and "00080030" in tags):
                    decided.add(key.tag)
        elif column == "patient_name" or any(names.has_wildcard(value) for value in values):
            pattern = _pattern(key, values)
            if pattern:
                like[column] = pattern
        else:
            any_of[column] = values
            decided.add(key.tag)
    for name, uid in zip(("study_instance_uid", "series_instance_uid"), asked.within, strict=False):
        wanted = any_of.get(name)
        any_of[name] = [uid] if wanted is None or uid in wanted else []
    return Narrowing(any_of=any_of, between=between, like=like), decided


def _pattern(key: Key, values: Sequence[str]) -> str:
    """A pattern that at least everything wanted fulfils; "" where columns cannot help."""
    if len(values) != 1:
        return ""
    wanted = values[0].replace("?", "*")
    if key.vr != "PN":
        return wanted
    plain = names.folded(wanted)
    return plain if plain.isascii() and "=" not in wanted else ""


# ---------------------------------------------------------------- deciding and counting


def _filtered(catalogue: Catalogue, asked: Search, narrowing: Narrowing, keys: Sequence[Key]) -> list[Found]:
    computed = any(key.tag in COMPUTED[level] for key in keys for level in Level)
    found: list[Found] = []
    passed = 0
    with closing(catalogue.find(asked.level, narrowing)) as rows:
        while len(found) <= asked.limit and (batch := list(islice(rows, _BATCH))):
            candidates: Iterable[Found] = _counted(catalogue, asked.level, batch) if computed else batch
            for candidate in candidates:
                if query.matches(keys, candidate.attributes, asked.matching):
                    passed += 1
                    if passed > asked.offset:
                        found.append(candidate)
    return found[: asked.limit + 1]


def _counted(catalogue: Catalogue, level: Level, found: Sequence[Found]) -> Iterator[Found]:
    """The matches with what is known of their study and series as a whole."""
    studies = {each.uids[0] for each in found}
    summaries = catalogue.summaries(studies)
    series = catalogue.series_counts(studies) if level is not Level.STUDY else {}
    for each in found:
        summary = summaries[each.uids[0]]
        counted: dict[str, Any] = {
            findable.MODALITIES_IN_STUDY: _values("CS", sorted(filter(None, summary.modalities))),
            findable.SOP_CLASSES_IN_STUDY: _values("UI", sorted(summary.sop_classes)),
            findable.STUDY_SERIES: _values("IS", [summary.series]),
            findable.STUDY_INSTANCES: _values("IS", [summary.instances]),
        }
        if level is not Level.STUDY:
            counted[findable.SERIES_INSTANCES] = _values("IS", [series[each.uids[0], each.uids[1]]])
        yield Found(each.uids, {**each.attributes, **counted})


def _values(vr: str, values: Sequence[Any]) -> Mapping[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}
