"""What a person sees of a cohort's report in a browser, on paper and on a telephone: what --json told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.conftest import PICTURES
from tests.support_evaluation import Evaluated, evaluated
from tests.support_viewer import chromium, window

_NUMBERS = "[...document.querySelectorAll('data')].map(e => [e.dataset.path, e.value, e.dataset.times, e.innerText])"
_PLOTS = """[...document.querySelectorAll('svg')].map(svg => {
    const box = svg.getBoundingClientRect();
    return {label: svg.getAttribute('aria-label') || svg.textContent.trim().slice(0, 40), width: box.width,
            height: box.height, left: box.left, right: box.right, marks: svg.querySelectorAll('path, circle').length};
})"""
_SIDEWAYS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@dataclass
class Shown:
    """The report in a page. faults: what the browser complained of; asked: every address it asked for."""

    page: Page
    faults: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def open(self, report: Path) -> None:
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(report.as_uri())

    def plots(self) -> list[dict[str, Any]]:
        return list(self.page.evaluate(_PLOTS))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Evaluated:
    return evaluated(tmp_path_factory.mktemp("evaluated"))


@pytest.fixture(scope="module")
def shown(made: Evaluated) -> Iterator[Shown]:
    with chromium() as browser, window(browser) as context:
        opened = Shown(context.new_page())
        opened.open(made.report)
        yield opened


def at(told: Any, path: str) -> float:
    """What --json told at a path."""
    for key in path.split("."):
        told = told[int(key)] if isinstance(told, list) else told[key]
    return float(told)


def test_the_file_stands_by_itself(shown: Shown, made: Evaluated) -> None:
    assert shown.faults == []
    assert shown.asked == [made.report.as_uri()]
    assert shown.page.locator("script, link, img, iframe").count() == 0


def test_every_number_shown_is_the_one_that_json_tells(shown: Shown, made: Evaluated) -> None:
    numbers = shown.page.evaluate(_NUMBERS)
    assert len(numbers) > 500
    wrong = []
    for path, value, times, text in numbers:
        told = at(made.told, path)
        read = text.replace("\N{NARROW NO-BREAK SPACE}", "").replace("−", "-")
        close = read == "< 0.001" and told < 0.001
        if times and not close:
            decimals = len(read.partition(".")[2])
            close = abs(float(read) - told * float(times)) <= 0.5000001 * 10**-decimals
        if float(value) != told or not close:
            wrong.append(f"{path}: shown {text}, JSON {told}")
    assert wrong == []


@pytest.mark.parametrize(
    "path",
    [
        *(f"curves.{curve}.{what}.value" for curve in (0, 1) for what in ("area.estimate", "bootstrap")),
        *("flow.exams", "flow.no_outcome", "rule_out.1.missed_sdc.value", "rule_out.1.missed_ic.value"),
        *("reliability.brier", "strata.0.area_sdc.value", "ruled_out_cancers.0.ai_score"),
        "comparisons.0.non_inferiority.difference.low",
    ],
)
def test_the_numbers_that_count_are_on_the_page(shown: Shown, path: str) -> None:
    assert shown.page.locator(f'data[data-path="{path}"]').first.is_visible()


def test_every_cancer_that_was_ruled_out_is_listed(shown: Shown, made: Evaluated) -> None:
    rows = [row.split("\t") for row in shown.page.locator("#missed tbody tr").all_inner_texts()]
    told = [[each[name] for name in ("outcome", "woman_id", "exam_id")] for each in made.told["ruled_out_cancers"]]
    assert [row[:3] for row in rows] == told


def test_hashes_of_data_model_and_lines_are_shown(shown: Shown, made: Evaluated) -> None:
    text = shown.page.locator("#used").inner_text()
    assert [value for value in made.told["used"].values() if value not in text] == []
    assert len(made.told["used"]["data sha256"]) == len(made.told["used"]["model weights sha256"]) == 64


@pytest.mark.parametrize("width", [1600, 1024, 390])
def test_every_plot_is_seen_at_any_width(shown: Shown, made: Evaluated, width: int) -> None:
    shown.page.set_viewport_size({"width": width, "height": 900})
    plots = shown.plots()
    histograms = sum(count > 0 for count in made.told["flow"]["outcomes"].values())
    assert len(plots) == 2 + histograms + 3, "ROC curves, histograms; ruling out, strategies, calibration"
    for plot in plots:
        assert plot["width"] > 250, plot
        assert plot["height"] > 120, plot
        assert plot["left"] >= 0, plot
        assert plot["right"] <= width, plot
        assert plot["marks"] >= 5, plot
    assert shown.page.evaluate(_SIDEWAYS) <= 0, "the page itself scrolls sideways"
    PICTURES.mkdir(exist_ok=True)
    # the software renderer repeats a picture beyond 8192 pixels
    area = {"x": 0, "y": 0, "width": width, "height": 8000}
    shown.page.screenshot(path=PICTURES / f"evaluation-{width}.png", full_page=True, clip=area)


def test_every_strategy_is_there_with_its_reads_and_detections(shown: Shown, made: Evaluated) -> None:
    table = shown.page.locator(".strategies table").first
    rows = [row.split("\t") for row in table.locator("tr").all_inner_texts()[1:]]
    for row, told in zip(rows, made.told["strategies"]["results"], strict=True):
        assert row[0] == told["name"]
        assert float(row[1].split("\n")[0]) == pytest.approx(told["metrics"]["reads"]["value"], abs=0.0051)


def test_it_prints(shown: Shown) -> None:
    PICTURES.mkdir(exist_ok=True)
    pdf = shown.page.pdf(prefer_css_page_size=True)
    assert pdf.startswith(b"%PDF")
    assert 6 <= pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") <= 30
    (PICTURES / "evaluation.pdf").write_bytes(pdf)
