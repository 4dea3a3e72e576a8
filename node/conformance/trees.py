"""Content trees of built structured reports, laid over one another: each item once, with how often it occurs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from node.results._codes import Code

BY_REFERENCE = "by reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A content item. least, most: how often it occurs below one parent.

    template: identifier of the PS3.16 template of a CONTAINER that names one. codes: values of a CODE, units of a
    NUM. graphic_types: of an SCOORD.
    """

    relationship: str
    value_type: str
    concept: Code | None
    least: int
    most: int
    template: str
    codes: tuple[Code, ...]
    graphic_types: tuple[str, ...]
    children: tuple[Item, ...]

    @property
    def multiplicity(self) -> str:
        """As templates write it: 1, 0-1, 1-n, 0-n."""
        most = "n" if self.most > 1 else "1"
        return most if str(self.least) == most else f"{min(self.least, 1)}-{most}"


def overlay(roots: Sequence[Dataset]) -> Item:
    """The trees of all these documents as one."""
    return _item(_key(roots[0]), (len(roots), len(roots)), roots)


def walk(item: Item, depth: int = 0) -> Iterator[tuple[int, Item]]:
    """Every item with its depth, in document order."""
    yield depth, item
    for child in item.children:
        yield from walk(child, depth + 1)


def below(items: Iterable[Item], concept: Code) -> tuple[Item, ...]:
    """Every item of this concept, anywhere."""
    return tuple(item for root in items for _, item in walk(root) if item.concept and item.concept[:2] == concept[:2])


def values_of(root: Item, concept: Code) -> tuple[Code, ...]:
    """What the CODE items of this concept were seen to say."""
    return tuple(dict.fromkeys(code for item in below([root], concept) for code in item.codes))


_Key = tuple[str, str, Code | None, str]


def _key(dataset: Dataset) -> _Key:
    names = dataset.get("ConceptNameCodeSequence") or ()
    reference = "ReferencedContentItemIdentifier" in dataset
    value_type = BY_REFERENCE if reference else str(dataset.get("ValueType", ""))
    templates = dataset.get("ContentTemplateSequence") or ()
    template = str(templates[0].TemplateIdentifier) if templates else ""
    return str(dataset.get("RelationshipType", "")), value_type, _code(names[0]) if names else None, template


def _item(key: _Key, counts: tuple[int, int], instances: Sequence[Dataset]) -> Item:
    relationship, value_type, concept, template = key
    least, most = counts
    return Item(
        relationship=relationship,
        value_type=value_type,
        concept=concept,
        least=1 if not relationship else least,
        most=1 if not relationship else most,
        template=template,
        codes=tuple(dict.fromkeys(code for each in instances for code in _codes_in(each))),
        graphic_types=tuple(dict.fromkeys(str(each.GraphicType) for each in instances if "GraphicType" in each)),
        children=_children(instances),
    )


def _children(parents: Sequence[Dataset]) -> tuple[Item, ...]:
    """The items below all these parents, in the order of the first parent that has them."""
    grouped: list[Mapping[_Key, list[Dataset]]] = [_grouped(parent) for parent in parents]
    order: list[_Key] = []
    for group in grouped:
        _merge(order, list(group))
    found = []
    for key in order:
        counts = [len(group.get(key, ())) for group in grouped]
        instances = [each for group in grouped for each in group.get(key, ())]
        found.append(_item(key, (min(counts), max(counts)), instances))
    return tuple(found)


def _merge(order: list[_Key], more: list[_Key]) -> None:
    """Put what is new after what it follows."""
    at = 0
    for key in more:
        if key in order:
            at = order.index(key) + 1
        else:
            order.insert(at, key)
            at += 1


def _grouped(parent: Dataset) -> dict[_Key, list[Dataset]]:
    found: dict[_Key, list[Dataset]] = {}
    for child in parent.get("ContentSequence") or ():
        found.setdefault(_key(child), []).append(child)
    return found


def _codes_in(dataset: Dataset) -> Iterator[Code]:
    yield from map(_code, dataset.get("ConceptCodeSequence") or ())
    for measured in dataset.get("MeasuredValueSequence") or ():
        yield from map(_code, measured.get("MeasurementUnitsCodeSequence") or ())


def _code(item: Dataset) -> Code:
    value = item.get("CodeValue") or item.get("LongCodeValue") or ""
    return Code(str(value), str(item.CodingSchemeDesignator), str(item.CodeMeaning))
