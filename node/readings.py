"""A reading told to a person and to a script."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from ai.findings import Category, Finding, PriorComparison, Reading, ViewDetail
from ai.reasons import Reason


def told(reading: Reading) -> dict[str, Any]:
    """The whole reading as plain data, without heat maps; reasons with their sentences."""
    content: dict[str, Any] = json.loads(reading.to_json())
    del content["heat_maps"]
    for key in ("reasons", "left_out"):
        content[key] = [_reason(reason) for reason in getattr(reading, key)]
    content["cautions"] = [
        {"code": str(each.code), "sentence": each.code.sentence, "detail": each.detail} for each in reading.cautions
    ]
    if reading.prior is not None:
        content["prior"]["reasons"] = [_reason(reason) for reason in reading.prior.reasons]
    return content


def _reason(reason: Reason) -> dict[str, str]:
    return {
        "code": str(reason.code),
        "sentence": reason.code.sentence,
        "sop_instance_uid": reason.sop_instance_uid,
        "detail": reason.detail,
    }


def reading_lines(reading: Reading) -> Iterator[str]:
    """The reading in lines of text."""
    yield _verdict(reading)
    for caution in reading.cautions:
        yield f"with caution: {caution.sentence}"
    if reading.breasts:
        scores = [f"{each.image_laterality} {each.probability:.3f}" for each in reading.breasts]
        scores += [f"{each.standard_view} {each.probability:.3f}" for each in reading.views]
        yield f"scores: {', '.join(scores)}"
    for detail in reading.details:
        yield _detail(detail)
    for finding in reading.findings:
        yield _finding(reading, finding)
    if reading.prior is not None:
        yield _change(reading.prior)
    if reading.composition is not None:
        shares = ", ".join(f"{share:.2f}" for share in reading.composition.probabilities)
        yield f"breast composition {reading.composition.composition} (a–d: {shares})"
    for reason in reading.left_out:
        yield f"left out: {reason.sop_instance_uid}: {reason.sentence}"
    model = reading.algorithm
    if reading.stratum is not None:
        points = reading.operating_points_version or "unknown"
        yield f"calibration {reading.calibration_version}, operating points {points}"
        yield f"strategy {reading.strategy}, stratum {reading.stratum}"
    yield f"model: {model.name} {model.version}, weights {model.weights_sha256[:16]}. {model.labelling}".rstrip()
    for each in reading.inputs:
        yield f"input {each.standard_view}: pixels sha256 {each.pixel_sha256[:16]}, {each.sop_instance_uid}"
    if reading.timings_s:
        yield "took " + ", ".join(f"{stage} {spent_s:.2f} s" for stage, spent_s in reading.timings_s.items())


def _verdict(reading: Reading) -> str:
    if reading.category is Category.NOT_READ:
        return "NOT READ: " + "; ".join(dict.fromkeys(reason.sentence for reason in reading.reasons))
    return (
        f"{reading.category}, band {reading.band} of 10, percentile {reading.percentile:.1f}, score {reading.score:.3f}"
    )


def _change(prior: PriorComparison) -> str:
    if not prior.breasts:
        return f"prior of {prior.study_date} not read: " + "; ".join(reason.sentence for reason in prior.reasons)
    changes = [f"{b.image_laterality} {b.prior_probability:.3f} → {b.probability:.3f}" for b in prior.breasts]
    return f"since {prior.study_date}: {', '.join(changes)}"


def _detail(detail: ViewDetail) -> str:
    scores = ", ".join(f"{label} {score:.3f}" for label, score in detail.scores.items())
    return f"{detail.standard_view}: {scores} (networks: {len(detail.networks)}; each one's answer with --json)"


def _finding(reading: Reading, finding: Finding) -> str:
    region = finding.region
    views = {each.sop_instance_uid: each.standard_view for each in reading.inputs}
    where = views.get(region.sop_instance_uid, finding.image_laterality)
    box = f"columns {region.left:.0f}–{region.right:.0f}, rows {region.top:.0f}–{region.bottom:.0f}"
    kind = finding.finding_type.replace("_", " ").lower()
    return f"lesion {finding.lesion} on {where}: {kind}, {finding.probability:.3f}, {box}"
