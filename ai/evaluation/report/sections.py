"""The sections about the AI: each takes the numbers and gives HTML, its heading first."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from ai.cohort import Outcome
from ai.evaluation.report.told import Told, table

#: Below so many cancers, and from such an area on, the bootstrap's interval is short (benchmarks/intervals.py).
_FEW, _NEAR_ONE = 100, 0.95
MEANING = {
    Outcome.SDC: "screen-detected cancer (SDC)",
    Outcome.IC: "interval cancer (IC)",
    Outcome.NEXT: "cancer found in the next round (NEXT), counted as no cancer",
    Outcome.NONE: "no cancer until the end of follow-up",
}


def section(anchor: str, heading: str, *parts: str) -> str:
    """A section of the page."""
    return f'<section id="{anchor}"><h2>{escape(heading)}</h2>{"".join(parts)}</section>'


def figure(picture: str, caption: str = "") -> str:
    """A plot with its caption."""
    told = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f"<figure>{picture}{told}</figure>"


def day(told: Told, path: str) -> str:
    """A date, in one piece."""
    return f'<span class="date">{told.text(path)}</span>'


def tiles(told: Told) -> str:
    """The four numbers to begin with."""
    own = _own_line(told)
    shown = [
        (f"AUC, {told.text(f'{curve}.cancers')}", told.estimate(f"{curve}.area.estimate"))
        for curve in told.places("curves")
    ]
    at = told.percent("questions.rule_out", 0)
    shown += [(f"SDC missed when {at} are ruled out", told.share(f"{own}.missed_sdc"))]
    shown += [(f"IC missed when {at} are ruled out", told.share(f"{own}.missed_ic"))]
    cells = "".join(f'<div class="tile"><span class="what">{what}</span><b>{value}</b></div>' for what, value in shown)
    return f'<div class="tiles">{cells}</div>'


def _own_line(told: Told) -> str:
    """Path of what the site's own rule-out point does."""
    at = told["questions.rule_out"]
    return next(path for path in told.places("rule_out") if told[f"{path}.position"] == at)


def flow(told: Told) -> str:
    """STARD's diagram."""
    reasons = "".join(
        f"<li>{escape(why)}: {_count(told, f'flow.not_read.{why}')}</li>" for why in told["flow.not_read"]
    )
    outcomes = "".join(f"<li>{MEANING[each]}: {_count(told, f'flow.outcomes.{each}')}</li>" for each in Outcome)
    boxes = [
        f'<div class="in"><b>{told.number("flow.exams")}</b> exams of <b>{told.number("flow.women")}</b> women, '
        f"{day(told, 'flow.first_date')} to {day(told, 'flow.last_date')}</div>",
        f'<div class="out">not read by the AI; these follow the readers<ul>{reasons or "<li>none</li>"}</ul>'
        f"with SDC or IC among them: {_count(told, 'flow.cancers_not_read')}</div>",
        f'<div class="in"><b>{told.number("flow.read")}</b> exams read by the AI</div>',
        f'<div class="out"><ul><li>outcome not known: {_count(told, "flow.no_outcome")}</li>'
        f"<li>of a system with too few exams for thresholds: {_count(told, 'flow.small_stratum')}</li></ul></div>",
        f'<div class="in"><b>{told.number("flow.evaluated")}</b> exams of <b>{told.number("flow.evaluated_women")}</b> '
        f"women evaluated<ul>{outcomes}</ul></div>",
    ]
    warning = ""
    if told["flow.no_outcome"] > 0.02 * told["flow.evaluated"]:
        warning = (
            '<p class="warn">More than 2 % of the exams have no outcome. If it is missing more often in women with, or '
            "without, cancer, every number below is shifted by it.</p>"
        )
    if told["flow.ai_visible"]:
        warning += (
            f'<p class="warn">In {_count(told, "flow.ai_visible")} of the evaluated exams the readers saw the AI\'s '
            "result: what they decided, and which cancers are screen-detected, depends on it.</p>"
        )
    return section("flow", "Who is in it", f'<div class="flow">{"".join(boxes)}</div>', warning)


def _count(told: Told, path: str) -> str:
    return f"<b>{told.number(path)}</b>"


def areas(told: Told, plots: Mapping[str, str]) -> str:
    """ROC curves."""
    rows = [
        [
            told.text(f"{curve}.cancers"),
            told.number(f"{curve}.area.positives"),
            told.number(f"{curve}.area.negatives"),
            told.estimate(f"{curve}.area.estimate"),
            told.estimate(f"{curve}.bootstrap"),
        ]
        for curve in told.places("curves")
    ]
    head = ["cancers", "with", "without", "AUC (95 %, DeLong by woman)", "AUC (95 %, bootstrap of women)"]
    pictures = "".join(figure(plots[f"roc-{place}"]) for place in range(len(rows)))
    return section(
        "auc",
        "How well the scores tell cancers from the rest",
        table(head, rows),
        _short_intervals(told),
        f'<div class="pair">{pictures}</div>',
        '<p class="note">Bars are 95 % intervals. A reader is positive from score 2 up. With SDC alone, readers and '
        "recall look better than they are: an SDC is a cancer that they found. SDC + IC is the fairer picture.</p>",
    )


def _short_intervals(told: Told) -> str:
    short = [
        told.text(f"{curve}.cancers")
        for curve in told.places("curves")
        if told[f"{curve}.area.positives"] < _FEW and (told[f"{curve}.area.estimate.value"] or 0) >= _NEAR_ONE
    ]
    if not short:
        return ""
    return (
        f'<p class="warn">{" and ".join(short)}: with fewer than {_FEW} cancers and an area of {_NEAR_ONE} or more, '
        "the bootstrap's interval holds the truth in fewer samples than it says; the one beside it does not.</p>"
    )


def histograms(plots: Mapping[str, str]) -> str:
    """Where each outcome stands."""
    caption = (
        "Where the exams of each outcome stand among those of their own system (0: the least suspicious). "
        "Dashed: the line below which exams are ruled out; dotted: from which they are flagged."
    )
    pictures = "".join(figure(picture) for name, picture in plots.items() if name.startswith("scores-"))
    return section("scores", "Scores by outcome", f'<p>{caption}</p><div class="pair">{pictures}</div>')


def ruling_out(told: Told, plots: Mapping[str, str]) -> str:
    """Missed against ruled out."""
    rows = [
        [
            told.percent(f"{path}.position", 0),
            told.share(f"{path}.ruled_out"),
            told.share(f"{path}.missed_sdc"),
            told.percent(f"{path}.limit_sdc"),
            told.share(f"{path}.missed_ic"),
            told.percent(f"{path}.limit_ic"),
            told.share(f"{path}.sdc_per_10000", 1, 10_000, ""),
            told.share(f"{path}.ic_per_10000", 1, 10_000, ""),
        ]
        for path in told.places("rule_out")
    ]
    head = ["line", "ruled out", "SDC missed", "surely below*", "IC missed", "surely below*"]
    head += ["SDC in 10,000 ruled out", "IC in 10,000 ruled out"]
    return section(
        "ruling-out",
        "Ruling out: what would be missed",
        figure(plots["rule-out"], "Bands are 95 % intervals (Wilson), at each point by itself."),
        table(head, rows),
        '<p class="note">* One-sided: the share missed is below this with 95 % confidence (Clopper and Pearson). '
        "An IC was not found at this screening, ruled out or not; what ruling out adds to the harm is the SDC.</p>",
    )


def missed(told: Told) -> str:
    """Every cancer below the line."""
    rows = [
        [
            told.text(f"{path}.outcome"),
            told.text(f"{path}.woman_id"),
            told.text(f"{path}.exam_id"),
            day(told, f"{path}.study_date"),
            told.text(f"{path}.stratum"),
            told.number(f"{path}.round"),
            told.number(f"{path}.ai_score", 4),
            told.number(f"{path}.percentile", 1),
            told.number(f"{path}.r1"),
            told.number(f"{path}.r2"),
        ]
        for path in told.places("ruled_out_cancers")
    ]
    head = ["outcome", "woman", "exam", "date", "system", "round", "AI score", "percentile", "reader 1", "reader 2"]
    listed = table(head, rows, words=5) if rows else "<p>None.</p>"
    at = told.percent("questions.rule_out", 0)
    text = f"<p>Every cancer whose exam stands below {at} of its system's scores, under its pseudonym.</p>"
    return section("missed", "Cancers that would have been ruled out", text, listed)
