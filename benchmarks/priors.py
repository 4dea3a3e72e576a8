"""What a prior exam adds to the shipped model, on drawn women with two rounds each.

    python benchmarks/priors.py [--women 80] [--json] [--cache FILE]

Half of the women have cancer in the second round. Two years before, a cancer was smaller by a drawn volume doubling
time (lognormal about a median of 282 days), or not there; benign lesions had their size, within 10 %. The breast was
positioned anew, and one prior in three was taken on another make of system. Each exam is read as a node would read
it, from stored pixel values at 0.1 mm. The cache keeps scores of women already read, so a run may be continued.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from scipy.stats import rankdata

from ai import bundle
from ai.bundle import Bundle
from ai.decoding import StoredImage
from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView, View
from ai.models import detect
from ai.phantom import VENDOR_LOOKS, Lesion, VendorLook, Woman, member, render
from ai.pixels import BreastImage, read_breast
from ai.reading.with_priors import with_change

SEED, PREVALENCE, PITCH_MM = 990_031, 0.5, 0.1
INTERVAL_DAYS, DOUBLING_DAYS, DOUBLING_SPREAD = 730, 282, 0.6
VISIBLE_FROM_MM, OTHER_SYSTEM = 3.5, 1 / 3


def earlier(woman: Woman, rng: np.random.Generator) -> Woman:
    """The woman as she was one round before."""
    before = (_earlier_lesion(lesion, rng) for lesion in woman.lesions)
    return replace(woman, lesions=tuple(lesion for lesion in before if lesion.diameter_mm >= VISIBLE_FROM_MM))


def _earlier_lesion(lesion: Lesion, rng: np.random.Generator) -> Lesion:
    if lesion.malignant:
        doublings = INTERVAL_DAYS / (DOUBLING_DAYS * math.exp(rng.normal(0, DOUBLING_SPREAD)))
        return replace(lesion, diameter_mm=lesion.diameter_mm * 2 ** (-doublings / 3))
    return replace(lesion, diameter_mm=lesion.diameter_mm * math.exp(rng.normal(0, 0.1)))


def image(woman: Woman, standard: StandardView, look: VendorLook, repeat: int) -> BreastImage:
    """A drawn view as if stored and decoded; another `repeat` is another positioning and other noise."""
    rendered = render(woman, standard, look=look, pitch_mm=PITCH_MM, repeat=repeat)
    values = np.rint(rendered.pixels * look.largest_value).astype(np.uint16)
    uid = f"2.25.{1 + STANDARD_VIEWS.index(standard)}"
    view = View(
        sop_instance_uid=uid,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.1.2",
        series_instance_uid="2.25.10",
        study_instance_uid=f"2.25.{20 + repeat}",
        modality="MG",
        image_laterality=standard.image_laterality,
        view_position=standard.view_position,
        rows=values.shape[0],
        columns=values.shape[1],
        imager_pixel_spacing_mm=(PITCH_MM, PITCH_MM),
    )
    return read_breast(view, StoredImage(uid, values, look.largest_value, ""))


def read_woman(index: int, model: Any) -> dict[str, Any]:
    """Her truth, and the model's view scores of both rounds."""
    screened, rng = member(SEED, index, prevalence=PREVALENCE), np.random.default_rng([SEED, index])
    other = VENDOR_LOOKS[int(rng.integers(len(VENDOR_LOOKS)))]
    before_look = other if rng.random() < OTHER_SYSTEM else screened.look
    rounds = {
        "now": {each: image(screened.woman, each, screened.look, 0) for each in STANDARD_VIEWS},
        "before": {each: image(earlier(screened.woman, rng), each, before_look, 1) for each in STANDARD_VIEWS},
    }
    scores = {name: {str(s): o.probability for s, o in detect(model, views).items()} for name, views in rounds.items()}
    return {"index": index, "malignant": sorted(map(str, screened.woman.malignant_sides)), **scores}


def read_all(count: int, cache: Path | None) -> list[dict[str, Any]]:
    """The first `count` women, those in the cache as they are there."""
    kept = [json.loads(line) for line in cache.read_text().splitlines()] if cache and cache.exists() else []
    done = {row["index"]: row for row in kept}
    model = Bundle.load(bundle.DEMO).model
    rows = []
    with Progress(console=Console(stderr=True)) as progress:
        for index in progress.track(range(count), description="reading"):
            row = done.get(index) or read_woman(index, model)
            rows.append(row)
            if cache and index not in done:
                with cache.open("a") as file:
                    file.write(json.dumps(row) + "\n")
    return rows


def breasts(rows: Sequence[dict[str, Any]], name: str) -> NDArray[np.float64]:
    """(women, 2) scores, R and L: the mean of the breast's views."""
    sides = [[f"{side} CC", f"{side} MLO"] for side in ImageLaterality]
    return np.array([[np.mean([row[name][view] for view in views]) for views in sides] for row in rows])


def rules(now: NDArray[np.float64], before: NDArray[np.float64]) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Each way to score the breasts, by name."""
    yield "without prior", now
    for weight in (0.25, 0.5, 1.0, 2.0):
        pairs = np.stack([now, before], axis=-1)
        raised = [[with_change(*pair, weight) for pair in woman] for woman in pairs]
        yield f"with_priors, change_weight {weight:g}", np.array(raised)
    for weight in (0.5, 1.0):
        change = logit(now) - logit(before)
        yield f"logit(now) + {weight:g} × change, both ways (not offered)", logit(now) + weight * change
    yield "prior alone", before


def logit(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    kept = np.clip(scores, 1e-6, 1 - 1e-6)
    return np.log(kept / (1 - kept))


def area_under_curve(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Probability that a positive scores above a negative, ties counting half."""
    ranks, count = rankdata(scores), int(positive.sum())
    return float((ranks[positive].sum() - count * (count + 1) / 2) / (count * (len(scores) - count)))


def specificity(scores: NDArray[np.float64], positive: NDArray[np.bool_], sensitivity: float = 0.9) -> float:
    """Share of exams without cancer below the threshold that keeps `sensitivity` of those with."""
    return float(np.mean(scores[~positive] < np.quantile(scores[positive], 1 - sensitivity)))


def compare(rows: Sequence[dict[str, Any]], draws: int = 2000) -> list[dict[str, Any]]:
    """Each rule's AUC and specificity, and the AUC's difference from no prior, with 95 % intervals over women."""
    positive = np.array([bool(row["malignant"]) for row in rows])
    scored = {name: scores.max(axis=1) for name, scores in rules(breasts(rows, "now"), breasts(rows, "before"))}
    rng = np.random.default_rng(SEED)
    samples = [each for each in rng.integers(len(rows), size=(draws, len(rows))) if 0 < positive[each].mean() < 1]
    plain = np.array([area_under_curve(scored["without prior"][s], positive[s]) for s in samples])
    return [_row(name, scores, positive, samples, plain) for name, scores in scored.items()]


def _row(
    name: str,
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    samples: Sequence[NDArray[np.int64]],
    plain: NDArray[np.float64],
) -> dict[str, Any]:
    areas = np.array([area_under_curve(scores[sample], positive[sample]) for sample in samples])
    return {
        "rule": name,
        "auc": area_under_curve(scores, positive),
        "auc_95": np.quantile(areas, [0.025, 0.975]).tolist(),
        "difference_95": np.quantile(areas - plain, [0.025, 0.975]).tolist(),
        "specificity_at_90": specificity(scores, positive),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--women", type=int, default=80)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rows = read_all(arguments.women, arguments.cache)
    found = compare(rows)
    cancers = sum(bool(row["malignant"]) for row in rows)
    if arguments.json:
        print(json.dumps({"women": len(rows), "with_cancer": cancers, "rules": found}))
        return
    table = Table("rule", "AUC", "95 %", "difference, 95 %", "specificity at 90 % sensitivity")
    for each in found:
        low, high = each["auc_95"]
        less, more = each["difference_95"]
        interval, difference = f"{low:.3f}–{high:.3f}", f"{less:+.3f} to {more:+.3f}"
        table.add_row(each["rule"], f"{each['auc']:.3f}", interval, difference, f"{each['specificity_at_90']:.2f}")
    Console().print(f"{len(rows)} women, {cancers} with cancer")
    Console().print(table)


if __name__ == "__main__":
    main()
