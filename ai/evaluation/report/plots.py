"""The plots of the report as SVG: drawn by matplotlib, words left as words, every id the plot's own."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from ai.evaluation.assessment import Assessment, Curve, Histogram, Point, Questions
from ai.evaluation.cases import BOTH, SDC

#: Okabe and Ito's colours, which the colour-blind can tell apart.
COLOURS = {
    SDC: "#0072B2",
    "IC": "#D55E00",
    BOTH: "#5B3A8C",
    "NEXT": "#B5609A",
    "NONE": "#6B6B6B",
}
_MARKERS = {"first reader": "s", "second reader": "D", "recalled": "^"}
_STYLE: Mapping[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.sans-serif": ["Helvetica", "Arial", "Liberation Sans", "DejaVu Sans"],
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
_PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g}")


def svg(name: str, describe: str, draw: Callable[[Figure], None], size: tuple[float, float] = (5.2, 4.3)) -> str:
    """A plot. name: prefix of its ids; describe: for those who cannot see it; size: inches."""
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure)
        kept = io.StringIO()
        figure.savefig(kept, format="svg", metadata={"Date": None}, transparent=True)
    text = kept.getvalue()[kept.getvalue().index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    opening = f'<svg class="plot" role="img" aria-label="{escape(describe, quote=True)}"'
    return re.sub(
        r'<svg|(?<=\s)(width|height)="[\d.]+pt"', lambda found: opening if found[0] == "<svg" else "", text, count=3
    )


def plots(found: Assessment) -> Mapping[str, str]:
    """Name → SVG of every plot of the assessment."""
    made = {
        f"roc-{number}": svg(
            f"roc-{number}",
            f"ROC curve for {curve.cancers}, area {curve.area.estimate.value:.3f}, with the readers' points",
            lambda figure, curve=curve: _roc(figure.subplots(), found, curve),  # type: ignore[misc]
        )
        for number, curve in enumerate(found.curves)
    }
    for number, each in enumerate(found.histograms):
        if each.exams:
            made[f"scores-{number}"] = svg(
                f"scores-{number}",
                f"Where the exams with {_OUTCOMES[each.outcome]} stand among those of their system",
                lambda figure, each=each: _histogram(figure.subplots(), each, found.questions),  # type: ignore[misc]
                (5.2, 2.5),
            )
    made["rule-out"] = svg(
        "rule-out",
        "Share of the cancers missed against share of the exams ruled out",
        lambda figure: _rule_out(figure.subplots(), found),
        (6.2, 4.1),
    )
    made["reliability"] = svg(
        "reliability", "Observed share with cancer against score", lambda figure: _reliability(figure.subplots(), found)
    )
    return made


def _roc(axes: Axes, found: Assessment, curve: Curve) -> None:
    closer = axes.inset_axes((0.44, 0.42, 0.54, 0.48))
    for each in (axes, closer):
        _roc_curve(each, found, curve)
        _in_percent(each)
    axes.set(xlim=(-0.01, 1), ylim=(0, 1.02), title=f"{curve.cancers}: {curve.area.positives} of {_exams(curve)} exams")
    axes.set(xlabel="without cancer and positive, %", ylabel="with cancer and positive (sensitivity), %")
    axes.legend(loc="lower right", fontsize=8.5, borderaxespad=0.2, labelspacing=0.3)
    points = [each for each in found.points if each.cancers == curve.cancers and "ruled" not in each.who]
    lowest = min((each.sensitivity.low for each in points if each.sensitivity.of), default=0.0)
    closer.set(xlim=(0, 0.12), ylim=(max(0.0, lowest - 0.05), 1.02), title="the readers' part, closer")
    closer.title.set_fontsize(8.5)
    closer.tick_params(labelsize=8)


def _roc_curve(axes: Axes, found: Assessment, curve: Curve) -> None:
    colour, area = COLOURS[curve.cancers], curve.area.estimate.value
    axes.plot(curve.false_positive, curve.true_positive, color=colour, lw=1.8, label=f"AI, AUC {area:.3f}")
    axes.plot([0, 1], [0, 1], color="#AAAAAA", lw=1, ls="--")
    for point in found.points:
        if point.cancers == curve.cancers:
            _reader(axes, point, colour)


def _reader(axes: Axes, point: Point, colour: str) -> None:
    """A point with its whiskers, in the colour of the curve where it is the AI's."""
    across, up = _whiskers(point.specificity), _whiskers(point.sensitivity)
    ai = point.who.startswith("AI")
    marker, own = ("o", colour) if ai else (_MARKERS[point.who], "#111111")
    face = "white" if ai and "ruled" in point.who else own
    look: dict[str, Any] = {"color": own, "marker": marker, "mfc": face, "ms": 5.5, "lw": 0.9, "ls": ""}
    x, y = 1 - point.specificity.value, point.sensitivity.value
    bars = np.array([[across[1]], [across[0]]]), np.array([[up[0]], [up[1]]])
    axes.errorbar(x, y, xerr=bars[0], yerr=bars[1], label=point.who, **look)


def _exams(curve: Curve) -> str:
    return f"{curve.area.positives + curve.area.negatives:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def _whiskers(share: object) -> tuple[float, float]:
    value, low, high = (float(getattr(share, name)) for name in ("value", "low", "high"))
    return max(0.0, value - low), max(0.0, high - value)


def _histogram(axes: Axes, each: Histogram, questions: Questions) -> None:
    edges = np.linspace(0, 1, len(each.shares) + 1)
    axes.bar(edges[:-1], each.shares, np.diff(edges), align="edge", color=COLOURS[each.outcome], ec="white", lw=0.6)
    exams = f"{each.exams:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
    axes.set_title(f"{_OUTCOMES[each.outcome]}: {exams} exams", loc="left", fontsize=10)
    for position, style in ((questions.rule_out, "--"), (questions.flag, ":")):
        axes.axvline(position, color="#111111", lw=1, ls=style)
    axes.set(xlim=(0, 1), ylabel="exams, %", xlabel="share of the system's exams that score lower, %")
    _in_percent(axes)


_OUTCOMES = {
    "SDC": "screen-detected cancer",
    "IC": "interval cancer",
    "NEXT": "cancer of the next round",
    "NONE": "no cancer",
}


def _rule_out(axes: Axes, found: Assessment) -> None:
    curve = found.rule_out_curve
    across = [each.ruled_out.value for each in curve]
    for name, shares in (("IC", [e.missed_ic for e in curve]), (SDC, [e.missed_sdc for e in curve])):
        values, low, high = (np.array([getattr(each, end) for each in shares]) for end in ("value", "low", "high"))
        label = f"{_OUTCOMES[name]}s missed, of {shares[0].of}"
        axes.plot(across, values, color=COLOURS[name], lw=2, label=label)
        axes.fill_between(across, low, high, color=COLOURS[name], alpha=0.15, lw=0)
    axes.axvline(found.questions.rule_out, color="#111111", lw=1, ls="--", label="the site's line")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="exams ruled out, %", ylabel="cancers among them, % of all such cancers")
    _in_percent(axes)
    axes.legend(loc="upper left")


def _reliability(axes: Axes, found: Assessment) -> None:
    bins = [each for each in found.reliability.bins if each.observed.of]
    floor = 0.3 / max(each.observed.of for each in bins)
    values = np.array([max(each.observed.value, floor) for each in bins])
    ends = np.array([_whiskers(each.observed) for each in bins]).T
    ends[0] = np.minimum(ends[0], values - floor / 2)
    none = np.array([each.observed.count == 0 for each in bins])
    probable = np.isfinite(found.reliability.brier)
    across = np.array([each.predicted if probable else (each.low + each.high) / 200 for each in bins])
    for chosen, face in ((~none, COLOURS[BOTH]), (none, "white")):
        look: dict[str, Any] = {"color": COLOURS[BOTH], "mfc": face, "marker": "o", "ls": "", "lw": 1}
        axes.errorbar(across[chosen], values[chosen], yerr=ends[:, chosen], **look)
    axes.set(yscale="log", ylabel="observed with SDC or IC, %")
    if probable:
        line = [across.min(), 1]
        axes.plot(line, line, color="#888888", lw=1, ls="--", label="as the score says")
        axes.set(xscale="log", xlabel="mean score, %")
        axes.legend(loc="upper left")
    else:
        axes.set(xlabel="share of the exams that score lower, %")
    _in_percent(axes)


def _in_percent(axes: Axes) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(_PERCENT)
        axis.set_minor_formatter(NullFormatter())
