"""The strategies' part of a report: tables, and workload against detection as a picture. HTML without anything outside.

`section` gives the part for a page of any make, `page` a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ai.evaluation.comparison import Comparison, Estimate, Result
from ai.evaluation.losses import Lost
from ai.evaluation.published import Reproduced
from ai.evaluation.readers import AI_RANGES, Cell
from ai.evaluation.strategies_picture import picture


@dataclass(frozen=True, slots=True)
class _Column:
    """bare: the number alone, without interval and difference."""

    title: str
    decimals: int
    bare: bool = False


_COLUMNS: Mapping[str, _Column] = {
    "reads": _Column("reads an exam", 2),
    "workload": _Column("workload", 2),
    "consensus_pct": _Column("consensus %", 1),
    "recall_pct_mid": _Column("recall %", 2),
    "sdc_per_1000_lo": _Column("SDC / 1000", 2),
    "detected_per_1000_lo": _Column("found / 1000, lo", 2, bare=True),
    "detected_per_1000_mid": _Column("mid", 2),
    "detected_per_1000_hi": _Column("hi", 2, bare=True),
    "gained_mid": _Column("gained, mid", 1, bare=True),
    "lost_mid": _Column("lost, mid", 1, bare=True),
    "ruled_out_pct": _Column("ruled out %", 1, bare=True),
    "missed_sdc": _Column("SDC ruled out", 0, bare=True),
    "missed_ic": _Column("IC ruled out", 0, bare=True),
    "missed_sdc_per_10000": _Column("SDC of 10,000", 2),
    "missed_ic_per_10000": _Column("IC of 10,000", 2),
}
STYLE = """
body{font:13px/1.4 system-ui,sans-serif;margin:2em auto;max-width:1400px;padding:0 1em;color:#1a1a1a;background:#fff}
.strategies table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.6em 0 1.6em}
.strategies th,.strategies td{padding:.2em .5em;text-align:right;border-bottom:1px solid #ddd;vertical-align:top}
.strategies th:first-child,.strategies td:first-child{text-align:left}
.strategies small{display:block;font-size:10.5px;color:#666;white-space:nowrap}
.strategies svg{max-width:100%;height:auto}
"""


def page(title: str, body: str, published: Sequence[Reproduced] = ()) -> str:
    """A whole page, self-contained. body: of `section`."""
    body += published_section(published) if published else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def section(comparisons: Sequence[Comparison], cells: Sequence[Cell] = (), lost: Sequence[Lost] = ()) -> str:
    """The part of a report: each comparison's table and picture, r1 × r2 × AI, and every cancer lost; "" of nothing."""
    if not comparisons:
        return ""
    parts = [_comparison(each) for each in comparisons]
    parts += [_readers(cells)] if cells else []
    parts += [_losses(lost)] if lost else []
    return f'<section id="strategies" class="strategies"><h2>Strategies</h2>{_NOTE}{"".join(parts)}</section>'


_NOTE = (
    "<p>Every strategy replayed on the same exams; in small print the middle 95 % of a bootstrap clustered by woman, "
    "and the difference from double reading (Δ) with the same. lo, mid, hi: meetings that were never held dismiss the "
    "woman, recall her with an assumed chance, recall her if there was cancer.</p>"
)


def published_section(rows: Sequence[Reproduced]) -> str:
    """The published table beside what this software makes of a cohort with the published margins."""
    head = "".join(
        f"<th>{name}</th>" for name in ("scenario", *(f"{what}, {of}" for what in _PUBLISHED for of in _BOTH))
    )
    lines = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in _published_cells(each))}</tr>" for each in rows)
    return (
        '<section class="strategies"><h2>Published and reproduced</h2><p>Larsen et al., European Radiology 32 (2022) '
        "8238–8246, table 2, and the same rules on a cohort built only from published margins.</p>"
        f"<table><tr>{head}</tr>{lines}</table></section>"
    )


_PUBLISHED, _BOTH = ("consensus", "recalled", "SDC", "IC in consensus"), ("published", "reproduced")


def _published_cells(found: Reproduced) -> Iterator[str]:
    row = found.row
    yield f"{row.number} {escape(row.scenario)}"
    for name in ("consensus", "recalled", "sdc", "ic"):
        given = getattr(row, name)
        yield "–" if given is None else f"{given:,}"
        yield f"{getattr(found, name):,}"


def _comparison(found: Comparison) -> str:
    head = "".join(f"<th>{name}</th>" for name in ("strategy", *(column.title for column in _COLUMNS.values())))
    lines = "".join(_line(result) for result in found.results)
    return (
        f"<h3>{escape(found.stratum)}</h3><p>{found.exams:,} exams of {found.women:,} women, {found.following:,} with "
        f"an answer of the AI; {found.sdc:,} SDC, {found.ic:,} IC; π0 {found.recall_of_others:.3f}</p>"
        f"{picture(found)}<table><tr>{head}</tr>{lines}</table>"
    )


def _line(result: Result) -> str:
    cells = "".join(f"<td>{_cell(result.metrics[name], column)}</td>" for name, column in _COLUMNS.items())
    return f'<tr><td title="{escape(result.rule)}">{escape(result.name)}</td>{cells}</tr>'


def _cell(estimate: Estimate, column: _Column) -> str:
    if estimate.value is None:
        return "–"
    decimals, small = column.decimals, []
    if estimate.low is not None and not column.bare:
        small.append(f"{estimate.low:.{decimals}f}–{estimate.high:.{decimals}f}")
    if estimate.difference and not column.bare:
        small.append(f"Δ {estimate.difference:+.{decimals}f}{_between(estimate, decimals)}")
    return f"{estimate.value:.{decimals}f}" + "".join(f"<small>{each}</small>" for each in small)


def _between(estimate: Estimate, decimals: int) -> str:
    if estimate.difference_low is None:
        return ""
    return f" ({estimate.difference_low:+.{decimals}f} to {estimate.difference_high:+.{decimals}f})"


def _readers(cells: Sequence[Cell]) -> str:
    """r1 × r2 × AI: a line for each pair of scores, a column for each range of the AI."""
    found = {(each.r1, each.r2, each.ai): each for each in cells}
    pairs, ranges = sorted({(each.r1, each.r2) for each in cells}), [each for each in AI_RANGES if each in _told(cells)]
    head = "".join(f"<th>AI {escape(each)}</th>" for each in ranges)
    lines = "".join(
        f"<tr><td>{r1} × {r2}</td>{''.join(_reader_cell(found.get((r1, r2, each))) for each in ranges)}</tr>"
        for r1, r2 in pairs
    )
    return (
        "<h3>Readers and AI</h3><p>Exams by r1 × r2 and the AI's percentile; below: recalled, SDC, IC.</p>"
        f"<table><tr><th>r1 × r2</th>{head}</tr>{lines}</table>"
    )


def _told(cells: Sequence[Cell]) -> set[str]:
    return {each.ai for each in cells}


def _reader_cell(cell: Cell | None) -> str:
    if cell is None:
        return "<td>–</td>"
    return f"<td>{cell.exams:,}<small>{cell.recalled:,}, {cell.sdc:,}, {cell.ic:,}</small></td>"


def _losses(lost: Sequence[Lost]) -> str:
    """A list that opens for each strategy that costs a cancer."""
    names = list(dict.fromkeys(each.strategy for each in lost))
    lists = "".join(_lost_of(name, [each for each in lost if each.strategy == name]) for name in names)
    return f"<h3>Cancers lost or ruled out</h3>{lists}"


def _lost_of(name: str, lost: Sequence[Lost]) -> str:
    lines = "".join(
        f"<tr><td>{escape(each.exam_id)}</td><td>{each.outcome}</td><td>{'yes' if each.ruled_out else ''}</td>"
        f"<td>{each.r1} × {each.r2}</td><td>{'–' if each.ai_score is None else f'{each.ai_score:.4g}'}</td></tr>"
        for each in lost
    )
    head = "<tr><th>exam</th><th>outcome</th><th>ruled out</th><th>r1 × r2</th><th>AI score</th></tr>"
    return f"<details><summary>{escape(name)}: {len(lost)}</summary><table>{head}{lines}</table></details>"
