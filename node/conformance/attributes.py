"""Attributes of built objects: which there are, how often with a value, and where the value comes from.

Nothing is declared: presence is counted over the samples, and the origin of a value follows from what it did when the
sources, the reading or the configuration were exchanged.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from pydicom.datadict import dictionary_description, dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from node.conformance.examples import Built, Example

#: The item is told of elsewhere: the content tree in an annex of its own, pixels not at all.
_CLOSED = {"ContentSequence"}
_LONGEST_VALUE = 90

Path = tuple[str, ...]
Values = tuple[str, ...]
ByPath = Mapping[Path, Values]


class Presence(StrEnum):
    """Presence of a value, in the words of PS3.2."""

    ALWAYS = "ALWAYS"
    VNAP = "VNAP"
    ANAP = "ANAP"
    EMPTY = "EMPTY"


class Source(StrEnum):
    """Where a value comes from."""

    COPY = "COPY"
    CONFIG = "CONFIG"
    FIXED = "FIXED"
    SOURCE = "SOURCE"
    AUTO = "AUTO"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute at its place: keywords from the data set down. value: of a fixed one."""

    path: Path
    presence: Presence
    source: Source
    value: str

    @property
    def keyword(self) -> str:
        """Of the attribute itself."""
        return self.path[-1]

    @property
    def name(self) -> str:
        """As PS3.6 has it, with a ">" for each level."""
        tag = tag_for_keyword(self.keyword)
        return ">" * (len(self.path) - 1) + (dictionary_description(tag) if tag is not None else self.keyword)

    @property
    def tag(self) -> str:
        """E.g. "(0010,0020)"."""
        return str(Tag(self.keyword)).replace(" ", "").upper()

    @property
    def vr(self) -> str:
        """Value representation."""
        return dictionary_VR(Tag(self.keyword)).replace(" or ", "/")


@dataclass(slots=True)
class _Tally:
    """Counts over data sets and their items: of places where an attribute could stand, stood, and was empty."""

    places: Counter[Path] = field(default_factory=Counter)
    present: Counter[Path] = field(default_factory=Counter)
    empty: Counter[Path] = field(default_factory=Counter)

    def add(self, dataset: Dataset, above: Path = ()) -> None:
        self.places[above] += 1
        for element in dataset:
            path = (*above, element.keyword)
            self.present[path] += 1
            self.empty[path] += element.is_empty
            for item in _items(element):
                self.add(item, path)

    def presence(self, path: Path) -> Presence:
        if self.present[path] < self.places[path[:-1]]:
            return Presence.ANAP
        if self.empty[path] == self.present[path]:
            return Presence.EMPTY
        return Presence.VNAP if self.empty[path] else Presence.ALWAYS


def attributes(example: Example) -> tuple[Attribute, ...]:
    """Of all objects of an example, in the order of their tags."""
    tally = _Tally()
    for dataset in example.datasets:
        tally.add(dataset)
    compared = _compare(example)
    copied: set[Path] = set()
    found = []
    for path in sorted(tally.present, key=lambda path: [int(Tag(keyword)) for keyword in path]):
        if path[:-1] in copied:  # copied as a whole
            copied.add(path)
            continue
        source = compared.source(path)
        if source is Source.COPY:
            copied.add(path)
        value = _told(compared.every, path) if source is Source.FIXED else ""
        found.append(Attribute(path=path, presence=tally.presence(path), source=source, value=value))
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """The values of an example's objects by part, as sampled and with one thing exchanged; and of their sources."""

    every: tuple[ByPath, ...]
    full: Mapping[str, ByPath]
    other_source: Mapping[str, ByPath]
    other_reading: Mapping[str, ByPath]
    other_device: Mapping[str, ByPath]
    sources: tuple[ByPath, ...]
    other_sources: tuple[ByPath, ...]

    def source(self, path: Path) -> Source:
        """Where the value at `path` comes from."""
        base, other_source = _at(self.full, path), _at(self.other_source, path)
        other_reading, other_device = _at(self.other_reading, path), _at(self.other_device, path)
        if self._is_copied(path):
            return Source.COPY
        if base == other_source == other_reading and base != other_device:
            return Source.CONFIG
        if (
            base == other_source == other_reading
            and len({values[path] for values in self.every if path in values}) == 1
        ):
            return Source.FIXED
        return Source.SOURCE if base == other_reading and base != other_source else Source.AUTO

    def _is_copied(self, path: Path) -> bool:
        """Whether it is the value of the same element of a source, and another one where the sources are others."""
        pairs = ((self.full, self.sources), (self.other_source, self.other_sources))
        held = [_shared(_at(built, path), sources, path) for built, sources in pairs]
        return len(path) == 1 and all(held) and len(set.union(*held)) > 1


def _compare(example: Example) -> _Compared:
    samples = example.samples
    return _Compared(
        every=tuple(_values(dataset) for dataset in example.datasets),
        full=_by_part(example.full),
        other_source=_by_part(example.other_source),
        other_reading=_by_part(example.other_reading),
        other_device=_by_part(example.other_device),
        sources=tuple(_values(source) for source in samples.full.sources),
        other_sources=tuple(_values(source) for source in samples.other_source.sources),
    )


def _by_part(built: Built) -> dict[str, ByPath]:
    return {part: _values(dataset) for part, dataset in built.items()}


def _at(built: Mapping[str, ByPath], path: Path) -> dict[str, Values]:
    return {part: values[path] for part, values in built.items() if path in values}


def _shared(made: Mapping[str, Values], sources: tuple[ByPath, ...], path: Path) -> set[Values]:
    """The values in the objects, where each is also a source's; otherwise nothing."""
    values = set(made.values())
    return values if values <= {source.get(path) for source in sources} else set()


def _values(dataset: Dataset) -> ByPath:
    """Path → the values there; over all items each once; of a sequence its items as text."""
    found: dict[Path, list[str]] = {}
    for path, value in _leaves(dataset, ()):
        found.setdefault(path, []).append(value)
    return {path: tuple(dict.fromkeys(values)) for path, values in found.items()}


def _leaves(dataset: Dataset, above: Path) -> Iterator[tuple[Path, str]]:
    for element in dataset:
        path = (*above, element.keyword)
        if element.keyword in _CLOSED or element.keyword == "PixelData":
            yield path, _fingerprint(element)
            continue
        yield path, _text(element)
        for item in _items(element):
            yield from _leaves(item, path)


def _fingerprint(element: DataElement) -> str:
    """Enough to tell whether it is another one."""
    content = str(element.value).encode() if element.VR == "SQ" else bytes(element.value or b"")
    return hashlib.sha256(content).hexdigest()


def _items(element: DataElement) -> tuple[Dataset, ...]:
    """The items that are listed: not those of a code, which is told in one line."""
    if element.VR != "SQ" or element.keyword in _CLOSED or element.keyword.endswith("CodeSequence"):
        return ()
    return tuple(element.value)


def _text(element: DataElement) -> str:
    if element.VR != "SQ":
        return str(element.value) if element.VM < 2 else "\\".join(map(str, element.value))
    if element.keyword.endswith("CodeSequence"):
        return ", ".join(_code(item) for item in element.value)
    return "\n".join(str(item) for item in element.value)


def _code(item: Dataset) -> str:
    value = item.get("CodeValue") or item.get("LongCodeValue") or ""
    return f'({value}, {item.get("CodingSchemeDesignator", "")}, "{item.get("CodeMeaning", "")}")'


def _told(every: tuple[ByPath, ...], path: Path) -> str:
    values = next(values[path] for values in every if path in values)
    one = ", ".join(dict.fromkeys(values))
    shown = "" if "\n" in one or path[-1] in _CLOSED or dictionary_VR(Tag(path[-1])).startswith("O") else one
    if dictionary_VR(Tag(path[-1])) == "SQ" and not path[-1].endswith("CodeSequence"):
        return ""
    return shown if len(shown) <= _LONGEST_VALUE else ""
