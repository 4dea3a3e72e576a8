"""Which findings on CC and MLO are one lesion: the same kind, and about as far from the nipple on both."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ai.exam import StandardView
from ai.findings import Finding, Region
from ai.models import Candidate
from ai.reading import ReadView

#: Compression and angle differ between the views, so the distance from the nipple does too.
MATCH_WITHIN_MM = 15.0


@dataclass(frozen=True, slots=True)
class _Mark:
    standard_view: StandardView
    candidate: Candidate
    nipple_distance_mm: float


def findings(views: Mapping[StandardView, ReadView], threshold: float) -> tuple[Finding, ...]:
    """Candidates at or above `threshold` as findings, numbered by lesion, the most suspicious lesion first."""
    marks = [
        _Mark(standard, candidate, _nipple_distance_mm(view, candidate))
        for standard, view in views.items()
        for candidate in view.output.candidates
        if candidate.probability >= threshold
    ]
    lesions = sorted(_paired(marks), key=lambda lesion: -max(mark.candidate.probability for mark in lesion))
    return tuple(
        Finding(
            region=_region(views[mark.standard_view], mark.candidate),
            finding_type=mark.candidate.finding_type,
            probability=mark.candidate.probability,
            image_laterality=mark.standard_view.image_laterality,
            lesion=number,
        )
        for number, lesion in enumerate(lesions, 1)
        for mark in lesion
    )


def _paired(marks: Sequence[_Mark]) -> list[tuple[_Mark, ...]]:
    """Each mark alone or with its best match on the other view; the most suspicious mark picks first."""
    lesions: list[tuple[_Mark, ...]] = []
    waiting = sorted(marks, key=lambda mark: -mark.candidate.probability)
    while waiting:
        mark = waiting.pop(0)
        partners = [other for other in waiting if _could_be_one(mark, other)]
        if not partners:
            lesions.append((mark,))
            continue
        partner = min(partners, key=lambda other: abs(other.nipple_distance_mm - mark.nipple_distance_mm))
        waiting.remove(partner)
        lesions.append((mark, partner))
    return lesions


def _could_be_one(one: _Mark, other: _Mark) -> bool:
    return (
        one.standard_view.image_laterality is other.standard_view.image_laterality
        and one.standard_view.view_position is not other.standard_view.view_position
        and one.candidate.finding_type is other.candidate.finding_type
        and abs(one.nipple_distance_mm - other.nipple_distance_mm) <= MATCH_WITHIN_MM
    )


def _nipple_distance_mm(view: ReadView, candidate: Candidate) -> float:
    """From the breast's foremost point to the middle of the box."""
    breast = view.source.breast
    columns = np.flatnonzero(breast.mask.any(axis=0))
    foremost = columns[-1] if breast.chest_wall_left else columns[0]
    row = float(np.flatnonzero(breast.mask[:, foremost]).mean())
    nipple = ((foremost + 0.5) * breast.step, (row + 0.5) * breast.step)
    left, top, right, bottom = candidate.box
    spacing = view.source.spacing_mm
    return math.hypot(((left + right) / 2 - nipple[0]) * spacing[1], ((top + bottom) / 2 - nipple[1]) * spacing[0])


def _region(view: ReadView, candidate: Candidate) -> Region:
    left, top, right, bottom = candidate.box
    return Region(sop_instance_uid=view.source.view.sop_instance_uid, left=left, top=top, right=right, bottom=bottom)
