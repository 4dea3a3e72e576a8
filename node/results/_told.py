"""What a measurement report says, read back from its file: for those who send a result in other words than DICOM's.

The report is the record. What is sent from it says what it says, also long after the reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pydicom.dataset import Dataset

from ai.exam import ImageLaterality
from ai.findings import Category
from node.results import _codes
from node.results._codes import Code

_SIDES = {code.value: side for side, code in _codes.SIDES.items()}


class NotTold(ValueError):
    """The object is no measurement report of this node."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The result in a measurement report. Scores are per cent, as text; "" or None where there is none.

    category: code of the triage category. score_concept: what kind of score it is. breasts: side → score.
    composition: of the breasts (CID 6000). reasons: why the exam was not read. words: the result in sentences.
    """

    category: Code
    summary: Code
    score_concept: Code
    score: str = ""
    breasts: Mapping[ImageLaterality, str] = field(default_factory=dict)
    band: str = ""
    percentile: str = ""
    composition: Code | None = None
    reasons: tuple[Code, ...] = ()
    words: str = ""
    algorithm: str = ""

    @property
    def was_read(self) -> bool:
        """Whether there is a result. Without one nothing may look like a negative."""
        return self.category.value != Category.NOT_READ

    @property
    def is_flagged(self) -> bool:
        """Whether the exam is at or above the operating point that flags."""
        return self.category.value == Category.SUSPICIOUS


def told(report: Dataset) -> Told:
    """The result in a report that `measurement_sr` made for an exam. Raises NotTold."""
    evaluations = _child(report, _codes.QUALITATIVE_EVALUATIONS)
    measurements = _child(report, _codes.IMAGING_MEASUREMENTS)
    exam = _child(measurements, _codes.MEASUREMENT_GROUP) if measurements is not None else None
    if evaluations is None or exam is None:
        raise NotTold("it is no measurement report")
    category, summary = _code(evaluations, _codes.TRIAGE_CATEGORY), _code(evaluations, _codes.FINDINGS_SUMMARY)
    if category is None or summary is None:
        raise NotTold("it has no triage category")
    concept, scores = _scores(exam)
    return Told(
        category=category,
        summary=summary,
        score_concept=concept,
        score=scores.pop(None, ""),
        breasts={side: score for side, score in scores.items() if side is not None},
        band=_number(exam, _codes.BAND),
        percentile=_number(exam, _codes.PERCENTILE),
        composition=_code(evaluations, _codes.BREAST_COMPOSITION),
        reasons=tuple(_coded(each) for each in _children(evaluations, _codes.REASON) if each.ValueType == "CODE"),
        words=_text(evaluations, _codes.COMMENT),
        algorithm=" ".join(filter(None, (_text(exam, _codes.ALGORITHM_NAME), _text(exam, _codes.ALGORITHM_VERSION)))),
    )


def _scores(exam: Dataset) -> tuple[Code, dict[ImageLaterality | None, str]]:
    """The concept of the scores, and the first of each site: of the exam (None), then the breasts, then views."""
    for concept in (_codes.PROBABILITY_OF_CANCER, _codes.CERTAINTY_OF_IMPRESSION):
        found: dict[ImageLaterality | None, str] = {}
        for number in _children(exam, concept):
            found.setdefault(_side(number), _value(number))
        if found:
            return concept, found
    return _codes.PROBABILITY_OF_CANCER, {}


def _side(number: Dataset) -> ImageLaterality | None:
    site = _child(number, _codes.FINDING_SITE)
    laterality = _code(site, _codes.LATERALITY) if site is not None else None
    return _SIDES.get(laterality.value) if laterality is not None else None


def _children(parent: Dataset, concept: Code) -> Iterator[Dataset]:
    for child in parent.get("ContentSequence") or ():
        name = (child.get("ConceptNameCodeSequence") or [None])[0]
        if name is not None and (_identified(name).value, name.get("CodingSchemeDesignator")) == concept[:2]:
            yield child


def _child(parent: Dataset, concept: Code) -> Dataset | None:
    return next(_children(parent, concept), None)


def _identified(item: Dataset) -> Code:
    value = str(item.get("CodeValue") or item.get("LongCodeValue") or "")
    return Code(value, str(item.get("CodingSchemeDesignator") or ""), str(item.get("CodeMeaning") or ""))


def _coded(item: Dataset) -> Code:
    return _identified(item.ConceptCodeSequence[0])


def _code(parent: Dataset, concept: Code) -> Code | None:
    child = _child(parent, concept)
    return None if child is None else _coded(child)


def _text(parent: Dataset, concept: Code) -> str:
    child = _child(parent, concept)
    return "" if child is None else str(child.get("TextValue") or "")


def _number(parent: Dataset, concept: Code) -> str:
    child = _child(parent, concept)
    return "" if child is None else _value(child)


def _value(number: Dataset) -> str:
    measured = (number.get("MeasuredValueSequence") or [Dataset()])[0]
    return str(measured.get("NumericValue", ""))
