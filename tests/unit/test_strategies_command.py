"""`mammo-node strategies` and `cohort simulate`, as a person calls them."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ai import cohort
from ai.evaluation import drawn_rounds, readers, strategies_page
from ai.evaluation import exams as arrays
from ai.evaluation import strategies as offer
from ai.evaluation.comparison import compare
from ai.evaluation.decisions import Assumptions
from ai.evaluation.simulated import Programme
from node import cli
from node.errors import ConfigError

TABLE = drawn_rounds.cohort(Programme(exams=3000, shown=0.03), seed=6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    cohort.write(TABLE, tmp_path / "cohort.parquet")
    return tmp_path / "cohort.parquet"


def run(*arguments: object) -> str:
    """The command's output; what it ends with other than 0 is raised."""
    words = [str(each) for each in arguments]
    done = CliRunner().invoke(cli.make_app(words), words)
    if done.exception is not None:
        raise done.exception
    return done.output


def test_a_simulated_table_is_compared_at_once(tmp_path: Path) -> None:
    assert "2000 exams" in run("cohort", "simulate", tmp_path / "made.csv", "--exams", 2000, "--shown", 0.02)
    told = run("strategies", tmp_path / "made.csv", "--draws", 0)
    assert all(re.search(rf"^{name}\b", told, re.MULTILINE) for name in ("S0", "S1b", "S6r", "S17"))


def test_every_number_is_in_the_json(path: Path) -> None:
    told = json.loads(
        run("strategies", path, "--json", "--draws", 50, "--strategy", "s2 lower=0.65", "--by", "stratum")
    )
    assert [each["stratum"] for each in told["comparisons"]] == [
        "all exams",
        "Simulated / System 1 / 1.0",
        "Simulated / System 2 / 1.0",
    ]
    whole, one, other = told["comparisons"]
    assert one["exams"] + other["exams"] == whole["exams"] == 3000
    assert [each["name"] for each in whole["results"]] == ["S0", "S2 lower=0.65"]
    ruled_out = whole["results"][1]["metrics"]["ruled_out_pct"]
    assert ruled_out["low"] < ruled_out["value"] < ruled_out["high"]
    assert ruled_out["value"] == pytest.approx(65, abs=2)
    lost = [each for each in told["lost"] if each["strategy"] == "S2 lower=0.65"]
    values = {name: whole["results"][1]["metrics"][name]["value"] for name in ("missed_sdc", "missed_ic")}
    assert sum(each["outcome"] == "SDC" for each in lost) == values["missed_sdc"]
    assert sum(each["outcome"] == "IC" for each in lost) == values["missed_ic"] > 0
    assert {each["exam_id"] for each in lost} <= set(TABLE["exam_id"])
    assert sum(cell["exams"] for cell in told["readers"]) == 3000
    assert set(whole["results"][1]["sweep"]) == {"0.2", "0.4", "0.6", "0.8", "1.0"}


def test_the_published_table_is_shown_beside_ours() -> None:
    told = run("strategies", "--published")
    assert re.search(r"^5 +1–9 negative.* 2805 / 2805 +1437 / 1437 +653 / 653 +33 / 33$", told, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--strategy", "s99"], "strategy 's99' is not offered"),
        (["--by", "vendor"], "--by: value 'vendor' is not allowed; allowed: stratum"),
    ],
)
def test_what_cannot_be_asked_is_refused(path: Path, arguments: list[str], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        run("strategies", path, *arguments)


def test_a_table_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    cohort.write(TABLE.drop("outcome"), tmp_path / "cohort.csv")
    with pytest.raises(ConfigError, match="the column outcome is missing"):
        run("strategies", tmp_path / "cohort.csv")
    with pytest.raises(ConfigError, match="give a cohort table"):
        run("strategies")


def test_what_limits_the_comparison_is_said(path: Path) -> None:
    seen = TABLE.with_columns(ai_visible=TABLE["ai_visible"] | (TABLE["round"] == 2), outcome=TABLE["outcome"])
    cohort.write(seen.with_columns(outcome=seen["outcome"].set(seen["round"] == 4, None)), path)
    told = run("strategies", path, "--draws", 0, "--strategy", "s2")
    assert re.search(r"left out: \d+ exams without outcome", told)
    assert re.search(r"caution: in \d+ exams the readers saw the AI's result", told)


class _Page(HTMLParser):
    """What a page refers to, and whether its elements close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.references: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.references += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "line", "circle"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "circle"):
            assert self.open.pop() == tag


def test_the_report_is_one_page_with_everything_in_it(path: Path, tmp_path: Path) -> None:
    run("strategies", path, "--published", "--draws", 20, "--report", tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    page = _Page()
    page.feed(text)
    assert page.open == []
    assert page.references == [], "nothing is fetched"
    assert text.count("<svg") == 1
    assert text.count("<circle") == len(offer.everything())
    assert all(f">{variant}</td>" in text for variant in offer.everything())
    assert "Published and reproduced" in text


def test_labels_of_the_picture_do_not_cover_each_other() -> None:
    exams = arrays.exams(TABLE).exams
    found = compare(exams, offer.everything(), Assumptions(), draws=0, seed=1)
    section = strategies_page.section([found], readers.table(exams))
    places = [
        (float(x), float(y), len(label) * 6.2)
        for x, y, label in re.findall(r'<text x="([\d.]+)" y="([\d.-]+)" fill="#\w+">([^<]+)<', section)
    ]
    assert len(places) == len(found.results)
    for number, (x, y, width) in enumerate(places):
        for other_x, other_y, other_width in places[:number]:
            assert abs(y - other_y) > 12 or x >= other_x + other_width or other_x >= x + width
