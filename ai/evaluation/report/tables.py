"""More sections: points and comparisons with the readers, calibration, strata, what was used, STARD."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from ai.evaluation.report.sections import figure, section
from ai.evaluation.report.stard import ITEMS
from ai.evaluation.report.told import Told, table

_KINDS = {"system": "By system", "round": "By round", "year": "By year"}


def points(told: Told) -> str:
    """Sensitivity and specificity, and the AI against the readers."""
    rows = [
        [
            told.text(f"{path}.who"),
            told.text(f"{path}.cancers"),
            told.share(f"{path}.sensitivity"),
            told.share(f"{path}.specificity"),
            told.share(f"{path}.positive_predictive"),
            told.share(f"{path}.negative_predictive", 3),
        ]
        for path in told.places("points")
    ]
    head = ["who is positive", "cancers", "sensitivity", "specificity", "positive predictive", "negative predictive"]
    return section(
        "points",
        "The AI and the readers",
        table(head, rows, words=2),
        "<h3>On the same exams</h3>",
        _comparisons(told) if told["comparisons"] else "<p>The table has no readers' scores and no recalls.</p>",
    )


def _comparisons(told: Told) -> str:
    rows = [
        [
            f"{told.text(f'{path}.new_way')} v {told.text(f'{path}.old_way')}",
            f"{told.text(f'{path}.measure')}, {told.number(f'{path}.of')} exams",
            f"{told.percent(f'{path}.new')} v {told.percent(f'{path}.old')}",
            f"+{told.number(f'{path}.pairs.gained')} −{told.number(f'{path}.pairs.lost')}",
            told.p(f"{path}.mcnemar.mid_p"),
            told.points(f"{path}.non_inferiority.difference"),
            told.percent(f"{path}.non_inferiority.margin"),
            f"{'shown' if told[f'{path}.non_inferiority.shown'] else 'not shown'}, "
            f"p {told.p(f'{path}.non_inferiority.p')}",
        ]
        for path in told.places("comparisons")
    ]
    head = ["compared", "of what", "right", "gained, lost", "McNemar p", "difference, points (95 %)", "margin"]
    head.append("no worse than the margin")
    note = (
        '<p class="note">Sensitivity is of SDC and IC. McNemar: mid-p, two-sided. Difference: Tango\'s score interval, '
        "its exams made fewer by the design effect of women seen more than once; one-sided p of Nam's test at 2.5 %. A "
        "margin means something only if it was fixed before the figures were seen. A cancer that readers recalled has "
        "been found; one that only the AI flags may or may not have been visible to anybody.</p>"
    )
    return table(head, rows, words=2) + note


def reliability(told: Told, plots: Mapping[str, str]) -> str:
    """Calibration."""
    rows = [
        [
            f"{told.number(f'{path}.low')}–{told.number(f'{path}.high')} %",
            told.number(f"{path}.predicted", 4),
            told.share(f"{path}.observed", 2),
        ]
        for path in told.places("reliability.bins")
    ]
    bins = table(["exams, by score", "mean score", "observed with SDC or IC"], rows)
    if told["reliability.brier"] is None:
        sums = "<p>The scores are not all from 0 to 1: they are no probabilities, and only their order is judged.</p>"
    else:
        sums = (
            f"<p>Brier score {told.number('reliability.brier', 5)}, against "
            f"{told.number('reliability.brier_of_prevalence', 5)} of a score that is the same for everybody. Expected "
            f"calibration error {told.percent('reliability.ece', 2)}. The scores promise "
            f"{told.number('reliability.expected_to_observed', 2)} times as many cancers as there were.</p>"
        )
    picture = figure(plots["reliability"], "Bars are 95 % intervals; hollow: none was observed.")
    return section(
        "calibration", "Do the scores mean what they say?", sums, f'<div class="pair">{picture}<div>{bins}</div></div>'
    )


def strata(told: Told) -> str:
    """System, round, year."""
    parts = []
    for kind, heading in _KINDS.items():
        paths = [path for path in told.places("strata") if told[f"{path}.kind"] == kind]
        parts.append(table(_STRATA, [_stratum(told, path) for path in paths], caption=heading))
    note = (
        '<p class="note">Lines are drawn in each system\'s own scores, so its share ruled out is near the line by '
        "construction; an equal share is not equal safety: the misses tell that. Scores: median, 95th percentile.</p>"
    )
    return section("strata", "In parts", *parts, note)


_STRATA = ["", "exams", "SDC", "IC", "AUC, SDC", "AUC, SDC + IC", "ruled out", "SDC missed", "IC missed", "flagged"]
_STRATA += ["scores"]


def _stratum(told: Told, path: str) -> list[str]:
    return [
        told.text(f"{path}.name"),
        *(told.number(f"{path}.{each}") for each in ("exams", "sdc", "ic")),
        told.estimate(f"{path}.area_sdc"),
        told.estimate(f"{path}.area_both"),
        told.percent(f"{path}.ruled_out.value"),
        told.share(f"{path}.missed_sdc"),
        told.share(f"{path}.missed_ic"),
        told.percent(f"{path}.flagged.value"),
        f"{told.number(f'{path}.middle', 4)}, {told.number(f'{path}.upper', 4)}",
    ]


def used(told: Told) -> str:
    """Hashes and versions: so that somebody can tell whether this page is of the model and data he thinks it is of."""
    rows = [[escape(name), f'<span class="hash">{told.text(f"used.{name}")}</span>'] for name in told["used"]]
    note = (
        "<p>Model, preprocessing, calibration and lines are those of this node's configuration when the page was made. "
        "The table does not say which model gave its scores: whoever made it does.</p>"
    )
    return section("used", "What was used", table(["", ""], rows, words=2), note)


def stard() -> str:
    """Which item is where."""
    rows = [[item, escape(asked), _linked(where)] for item, asked, where in ITEMS]
    text = "<p>Items of STARD 2015 by number, those that STARD-AI adds as AI. “The authors”: no table can tell it.</p>"
    return section("stard", "STARD-AI", text, table(["item", "asked for", "where"], rows, words=3))


def _linked(where: str) -> str:
    words = [
        f'<a href="{escape(word.rstrip(",;"))}">{escape(word.strip("#,;"))}</a>{word[len(word.rstrip(",;")) :]}'
        if word.startswith("#")
        else escape(word)
        for word in where.split(" ")
    ]
    return " ".join(words)
