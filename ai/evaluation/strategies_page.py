"""The strategies' part of a report: tables, and workload against detection as a picture. HTML without anything outside.

`section` gives the part for a page of any make, `page` a whole one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape

from ai.evaluation.comparison import Comparison, Estimate, Result
from ai.evaluation.published import Reproduced
from ai.evaluation.readers import AI_RANGES, Cell
from ai.evaluation.strategies_picture import picture

_COLUMNS: Mapping[str, tuple[str, int]] = {
    "reads": ("reads an exam", 2),
    "workload": ("workload", 2),
    "consensus_pct": ("consensus %", 1),
    "recall_pct_mid": ("recall %", 2),
    "sdc_per_1000_lo": ("SDC / 1000", 2),
    "detected_per_1000_lo": ("detected / 1000, lo", 2),
    "detected_per_1000_mid": ("mid", 2),
    "detected_per_1000_hi": ("hi", 2),
    "ruled_out_pct": ("ruled out %", 1),
    "missed_sdc": ("SDC ruled out", 0),
    "missed_ic": ("IC ruled out", 0),
    "missed_sdc_per_10000": ("SDC / 10,000 ruled out", 2),
    "missed_ic_per_10000": ("IC / 10,000 ruled out", 2),
    "gained_mid": ("gained, mid", 1),
    "lost_mid": ("lost, mid", 1),
}
STYLE = """
body{font:14px/1.45 system-ui,sans-serif;margin:2em auto;max-width:1200px;padding:0 1em;color:#1a1a1a;background:#fff}
.strategies table{border-collapse:collapse;font-variant-numeric:tabular-nums;margin:.6em 0 1.6em}
.strategies th,.strategies td{padding:.2em .6em;text-align:right;border-bottom:1px solid #ddd;vertical-align:top}
.strategies th:first-child,.strategies td:first-child{text-align:left}
.strategies small{display:block;color:#666;white-space:nowrap}
.strategies svg{max-width:100%;height:auto}
"""


def page(comparisons: Sequence[Comparison], cells: Sequence[Cell], published: Sequence[Reproduced], title: str) -> str:
    """A whole page, self-contained."""
    body = section(comparisons, cells) + (published_section(published) if published else "")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def section(comparisons: Sequence[Comparison], cells: Sequence[Cell] = ()) -> str:
    """The part of a report: for each comparison its table and picture; then r1 × r2 × AI."""
    parts = [_comparison(each) for each in comparisons]
    parts += [_readers(cells)] if cells else []
    return f'<section class="strategies"><h2>Strategies</h2>{_NOTE}{"".join(parts)}</section>'


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
    head = "".join(f"<th>{name}</th>" for name in ("strategy", *(title for title, _ in _COLUMNS.values())))
    lines = "".join(_line(result) for result in found.results)
    return (
        f"<h3>{escape(found.stratum)}</h3><p>{found.exams:,} exams of {found.women:,} women, {found.following:,} with "
        f"an answer of the AI; {found.sdc:,} SDC, {found.ic:,} IC; π0 {found.recall_of_others:.3f}</p>"
        f"{picture(found)}<table><tr>{head}</tr>{lines}</table>"
    )


def _line(result: Result) -> str:
    cells = "".join(f"<td>{_cell(result.metrics[name], decimals)}</td>" for name, (_, decimals) in _COLUMNS.items())
    return f'<tr><td title="{escape(result.rule)}">{escape(result.name)}</td>{cells}</tr>'


def _cell(estimate: Estimate, decimals: int) -> str:
    if estimate.value is None:
        return "–"
    small = [f"{estimate.low:.{decimals}f}–{estimate.high:.{decimals}f}"] if estimate.low is not None else []
    if estimate.difference:
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
