"""The demonstration's outcome for a person (a table) and for a script (summary.json), and one card as a picture."""

from __future__ import annotations

import json
import platform
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image
from pydicom import dcmread
from pydicom.uid import SecondaryCaptureImageStorage
from rich.text import Text

from ai.findings import Category
from node import console
from node.demo import LOOK_EVERY_S, ROOMS
from node.demo_verdict import ExamAnswer, Verdict
from node.identity import SOFTWARE_VERSION

CARD = "card.png"
SUMMARY = "summary.json"
_COLUMNS = ("exam", "truth", "category", "band", "R", "L", "seconds", "objects", "rev")
_STYLES = {Category.NOT_READ: "bold yellow", Category.SUSPICIOUS: "bold red", Category.INDETERMINATE: "cyan"}


def write(verdict: Verdict, out: Path) -> dict[str, Any]:
    """Write summary.json and the card; returns the summary."""
    summary = {
        "ok": verdict.ok,
        "counts": verdict.counts,
        "problems": [*verdict.problems, *(f"{exam.name}: {each}" for exam in verdict.exams for each in exam.problems)],
        "exams": [{**asdict(exam), "lost": exam.lost} for exam in verdict.exams],
        "turnaround_s": _turnaround(verdict),
        "timings_s": verdict.timings_s,
        "versions": {
            "mammo-node": SOFTWARE_VERSION,
            "python": platform.python_version(),
            "pacs": verdict.pacs,
            "models": list(verdict.bundles),
        },
        "card": _write_card(verdict, out / CARD),
    }
    text = json.dumps(summary, indent=1, ensure_ascii=False) + "\n"
    (out / SUMMARY).write_text(text, encoding="utf-8")
    return summary


def show(verdict: Verdict, out: Path) -> None:
    """The table, and what to make of it."""
    made = console.table(*_COLUMNS, right=_COLUMNS[3:])
    for exam in verdict.exams:
        made.add_row(*_row(exam))
        for reason in exam.reasons:
            made.add_row(Text(f"  → {reason}", style="yellow"))
    console.out().print(made)
    counts = verdict.counts
    console.say(
        f"\n{counts['sent']} exams sent, {counts['read']} read, {counts['not_read']} not read; "
        f"{counts['delivered']} results in {verdict.pacs}; {counts['lost']} lost, {counts['doubled']} doubled"
    )
    console.say(_how(verdict))
    for problem in verdict.problems:
        console.say(f"WRONG: {problem}", style="bold red")
    for exam in verdict.exams:
        for problem in exam.problems:
            console.say(f"WRONG: {exam.name}: {problem}", style="bold red")
    if verdict.ok:
        console.say("every exam was answered once per revision, under the name it was sent with", style="bold green")
    card = f", {CARD}" if (out / CARD).is_file() else ""
    console.say(f"in {out}: pacs/ (what the PACS received), exams/, {SUMMARY}{card}, config.yaml, node.log")


def _row(exam: ExamAnswer) -> list[Text]:
    style = _STYLES.get(Category(exam.category), "") if exam.category else "bold red"
    category = exam.category.replace("_", " ") or "NO ANSWER"
    cells = [
        exam.name,
        exam.truth,
        category,
        "" if exam.band is None else str(exam.band),
        "" if exam.right is None else f"{exam.right:.2f}",
        "" if exam.left is None else f"{exam.left:.2f}",
        "–" if exam.turnaround_s is None else f"{exam.turnaround_s:.1f}",
        f"{exam.objects}/{exam.objects_expected}",
        str(exam.revision),
    ]
    return [Text(cell, style=style if index in (2, 3) else "") for index, cell in enumerate(cells)]


def _how(verdict: Verdict) -> str:
    found = _turnaround(verdict)
    shared = (
        f"seconds: from the answer to an exam's last image to its last result in the PACS, seen in {verdict.how} "
        f"every {LOOK_EVERY_S:g} s; {len(ROOMS)} rooms send, each its next exam when the last is answered"
    )
    return shared if found is None else f"{shared}; median {found['median']:.1f}, longest {found['longest']:.1f}"


def _turnaround(verdict: Verdict) -> dict[str, Any] | None:
    times = [exam.turnaround_s for exam in verdict.exams if exam.turnaround_s is not None]
    if not times:
        return None
    return {
        "median": statistics.median(times),
        "longest": max(times),
        "from": "answer to the C-STORE of the last image of the exam's latest revision",
        "to": f"last result of that revision seen in {verdict.how}, looked at every {LOOK_EVERY_S:g} s",
        "load": f"{len(ROOMS)} rooms, each with one exam under way",
    }


def _write_card(verdict: Verdict, path: Path) -> str:
    """The Secondary Capture of the first exam with cancer, as the PACS gave it out; returns the exam's name, or ""."""
    positive = [exam for exam in verdict.exams if exam.truth.startswith("cancer")]
    for exam in (*positive, *verdict.exams):
        cards = [
            each
            for each in verdict.arrivals
            if each.header.StudyInstanceUID == exam.study_instance_uid
            and each.header.SOPClassUID == SecondaryCaptureImageStorage
        ]
        if cards:
            latest = max(cards, key=lambda each: int(each.header.InstanceNumber))
            Image.fromarray(dcmread(latest.path).pixel_array).save(path, optimize=True)
            return exam.name
    return ""
