"""A search of what the node holds: columns narrow it in SQL, the matcher decides, counts are added (QIDO-RS, C-FIND).

Where the columns say all that was asked, SQL also does the paging; else matches are counted as they are found.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from node import findable, moments, names, query
from node.errors import BadQuery, TooBroad
from node.findable import COMPUTED, KEPT
from node.query import Key, Matching
from storage.catalogue import Catalogue, Found, Level, Narrowing, Summary

_BATCH = 200
_ADVICE = "narrow it by patient ID, name, accession number, study date or UID"

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
#: Level → the column with its attributes as text.
_TEXTS = {
    Level.STUDY: "study_attributes",
    Level.SERIES: "series_attributes",
    Level.INSTANCE: "instance_attributes",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is searched for.

    within: UIDs of the study, and of the series, that it is confined to. most_looked_at: entries that may be looked at
    one by one, where columns do not decide.
    """

    level: Level
    keys: tuple[Key, ...] = ()
    within: tuple[str, ...] = ()
    matching: Matching = field(default_factory=Matching)
    offset: int = 0
    limit: int = 1000
    most_looked_at: int = 100_000


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


@dataclass(slots=True)
class _Conditions:
    """What is put together for a `Narrowing`; decided: tags of the keys about which nothing is left to find out."""

    asked: Search
    any_of: dict[str, Sequence[str]] = field(default_factory=dict)
    between: dict[str, tuple[str, str]] = field(default_factory=dict)
    like: list[tuple[str, str]] = field(default_factory=list)
    decided: set[str] = field(default_factory=set)

    def add(self, key: Key) -> None:
        """Whatever columns can say of a key."""
        if key.universal or (self.asked.matching.empty and '""' in key.values):
            return
        column = self._column(key)
        if column == "study_date":
            self._date(key)
        elif column is None:
            self._text(key)
        elif column == "patient_name" or any(names.has_wildcard(value) for value in key.values):
            pattern = _pattern(key)
            if pattern:
                self.like.append((column, pattern))
        else:
            self.any_of[column] = [value.strip() for value in key.values]
            self.decided.add(key.tag)

    def within(self, column: str, uid: str) -> None:
        """Only this study, or series."""
        wanted = self.any_of.get(column)
        self.any_of[column] = [uid] if wanted is None or uid in wanted else []

    def _column(self, key: Key) -> str | None:
        of_whole_study = key.tag in (findable.MODALITIES_IN_STUDY, findable.SOP_CLASSES_IN_STUDY)
        column = _COLUMNS.get(key.tag)
        return None if column in self.any_of or (of_whole_study and self.asked.level is not Level.STUDY) else column

    def _date(self, key: Key) -> None:
        if len(key.values) != 1:
            return
        span = moments.asked("DA", key.values[0])
        self.between["study_date"] = (span.lowest, span.highest)
        together = self.asked.matching.combined and any(each.tag == "00080030" for each in self.asked.keys)
        if not together:
            self.decided.add(key.tag)

    def _text(self, key: Key, column: str = "") -> None:
        """Text that has to stand somewhere among the attributes of the key's level."""
        column = column or next((name for level, name in _TEXTS.items() if key.tag in KEPT[level]), "")
        for inner in key.items:
            self._text(inner, column)
        if column and key.vr in query.WILDCARD_VRS - {"PN"} and len(key.values) == 1:
            longest = max(re.split(r"[*?]+", key.values[0].strip()), key=len)
            if longest:
                self.like.append((column, f"*{json.dumps(longest, ensure_ascii=False)[1:-1]}*"))


def _narrowing(asked: Search) -> tuple[Narrowing, set[str]]:
    """Conditions on columns, and the tags of the keys that they decide for good."""
    conditions = _Conditions(asked)
    for key in asked.keys:
        conditions.add(key)
    for name, uid in zip(("study_instance_uid", "series_instance_uid"), asked.within, strict=False):
        conditions.within(name, uid)
    narrowing = Narrowing(any_of=conditions.any_of, between=conditions.between, like=conditions.like)
    return narrowing, conditions.decided


def _pattern(key: Key) -> str:
    """A pattern that at least everything wanted fulfils; "" where columns cannot help."""
    if len(key.values) != 1:
        return ""
    wanted = key.values[0].strip().replace("?", "*")
    if key.vr != "PN":
        return wanted
    plain = names.folded(wanted)
    return plain if plain.isascii() and "=" not in wanted else ""


# ---------------------------------------------------------------- deciding and counting


def _filtered(catalogue: Catalogue, asked: Search, narrowing: Narrowing, keys: Sequence[Key]) -> list[Found]:
    computed = any(key.tag in COMPUTED[level] for key in keys for level in Level)
    found: list[Found] = []
    looked_at = passed = 0
    with closing(catalogue.find(asked.level, narrowing)) as rows:
        while len(found) <= asked.limit and (batch := list(islice(rows, _BATCH))):
            looked_at += len(batch)
            if looked_at > asked.most_looked_at:
                raise TooBroad(f"the search would look at more than {asked.most_looked_at} entries; {_ADVICE}")
            for candidate in _counted(catalogue, asked.level, batch) if computed else batch:
                if query.matches(keys, candidate.attributes, asked.matching):
                    passed += 1
                    if passed > asked.offset:
                        found.append(candidate)
    return found[: asked.limit + 1]


def _counted(catalogue: Catalogue, level: Level, found: Sequence[Found]) -> Iterator[Found]:
    """The matches with what is known of their study and series as a whole."""
    summaries = catalogue.summaries({each.uids[0] for each in found})
    for each in found:
        summary = summaries.get(each.uids[0], Summary())  # it may have been deleted in between
        counted: dict[str, Any] = {
            findable.MODALITIES_IN_STUDY: _values("CS", sorted(filter(None, summary.modalities))),
            findable.SOP_CLASSES_IN_STUDY: _values("UI", sorted(summary.sop_classes)),
            findable.STUDY_SERIES: _values("IS", [len(summary.series)]),
            findable.STUDY_INSTANCES: _values("IS", [summary.series.total()]),
        }
        if level is not Level.STUDY:
            counted[findable.SERIES_INSTANCES] = _values("IS", [summary.series[each.uids[1]]])
        yield Found(each.uids, {**each.attributes, **counted})


def _values(vr: str, values: Sequence[Any]) -> Mapping[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}
