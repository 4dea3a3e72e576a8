"""Looking into structured reports by code."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from node import results
from node.results import Report
from node.results._assertions import Node, walk
from tests.support_readings import single

SR = ("mammography_cad_sr", "measurement_sr")


def made(one: Report, kind: str) -> Dataset:
    module = results.load(kind)
    return single(module.build(one, module.OPTIONS()))


def named(dataset: Dataset, value: str) -> Iterator[Node]:
    """The content items whose concept name has this code value."""
    for node in walk(dataset):
        names = node.item.get("ConceptNameCodeSequence") or ()
        if names and names[0].get("CodeValue", names[0].get("LongCodeValue")) == value:
            yield node


def code_of(dataset: Dataset, concept: str) -> str:
    (node,) = named(dataset, concept)
    return str(node.item.ConceptCodeSequence[0].CodeValue)


def numbers(dataset: Dataset, concept: str) -> list[str]:
    return [str(node.item.MeasuredValueSequence[0].NumericValue) for node in named(dataset, concept)]


def texts(dataset: Dataset, concept: str) -> list[str]:
    return [str(node.item.TextValue) for node in named(dataset, concept)]
