"""The report: one HTML file that stands by itself, for a screen and for paper. It shows the numbers of the JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from ai.evaluation.assessment import Assessment
from ai.evaluation.report import sections, tables
from ai.evaluation.report.plots import plots
from ai.evaluation.report.told import Told, plain

__all__ = ["page", "result"]

_CSS = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")
_HOW = """<p>Exams are judged that the AI read, whose outcome is known, and whose system has enough exams for
thresholds. With SDC alone, interval cancers are left out; with SDC + IC they count as cancers. A cancer of the next
round counts as none. A percentile is the share of the system's own exams in this table that score lower; lines stand
in percentiles. Shares have Wilson's interval, areas DeLong's (on the logit scale, and
wider with few cancers); both allow for women with more than one exam. Nothing is corrected for having looked at many
numbers: an interval is for a question asked beforehand.</p>
<p>Not answered here: what readers would have done had they seen the AI's result; whether a missed cancer could have
been found; overdiagnosis; how it would go in another programme. Scores that a model gave for women it was trained on
make every number too good.</p>"""


def result(found: Assessment, used: Mapping[str, str], more: Mapping[str, Any]) -> dict[str, Any]:
    """What `--json` prints and the page shows. used: name → version or hash; more: results of other sections."""
    return {**plain(found), "used": dict(used), **plain(more)}


def page(found: Assessment, told: Mapping[str, Any], title: str, more: Sequence[str] = ()) -> str:
    """The whole file. told: what `result` gave; more: sections of others, shown after the readers'."""
    numbers, drawn = Told(told), plots(found)
    parts = [
        sections.flow(numbers),
        sections.areas(numbers, drawn),
        sections.histograms(drawn),
        sections.ruling_out(numbers, drawn),
        tables.points(numbers),
        *more,
        tables.reliability(numbers, drawn),
        tables.strata(numbers),
        sections.missed(numbers),
        tables.used(numbers),
        tables.stard(),
        sections.section("how", "How to read it", _HOW),
    ]
    anchors = re.findall(r'<section id="([^"]+)"[^>]*><h2>([^<]+)</h2>', "".join(parts))
    menu = "".join(f'<a href="#{anchor}">{heading}</a>' for anchor, heading in anchors)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_CSS}</style></head><body>'
        f'<h1>{escape(title)}</h1><p class="sub">Made with {numbers.text("used.software")} on '
        f"{numbers.text('used.made')}. Research: not for clinical use.</p>"
        f"{sections.tiles(numbers)}<nav>{menu}</nav>{''.join(parts)}</body></html>\n"
    )
