"""Strategies as workload against detection: every label can be read, however many lie together."""

from __future__ import annotations

import re
from itertools import combinations

from ai.evaluation import drawn_rounds, strategies
from ai.evaluation import exams as arrays
from ai.evaluation.comparison import compare
from ai.evaluation.decisions import Assumptions
from ai.evaluation.simulated import Programme
from ai.evaluation.strategies_picture import picture

_LABEL = re.compile(
    r'<circle cx="([\d.]+)" cy="([\d.]+)".*?<text x="([\d.]+)" y="([\d.]+)" fill="#\w+">([^<]+)</text></g>'
)


def test_no_label_covers_another_or_a_dot() -> None:
    exams = arrays.exams(drawn_rounds.cohort(Programme(exams=4000, shown=0.03), seed=11)).exams
    variants = strategies.everything()
    found = _LABEL.findall(picture(compare(exams, variants, Assumptions(), draws=0, seed=1)))
    assert len(found) == len(variants)
    dots = [(float(x), float(y)) for x, y, *_ in found]
    labels = [(float(x), float(y) - 10, float(x) + 6 * len(text), float(y), text) for _, _, x, y, text in found]
    for one, other in combinations(labels, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1], (one, other)
    for left, top, right, bottom, text in labels:
        covered = [(x, y) for x, y in dots if left < x < right and top < y < bottom]
        assert not covered, text
