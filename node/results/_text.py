"""The words of the result objects, said once: the SR, the viewers' comments and the card repeat the same strings."""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable
from textwrap import wrap

from ai.exam import STANDARD_VIEWS, ImageLaterality, ViewPosition
from ai.findings import BreastComposition, Category, FindingType, PriorComparison, Reading
from ai.reasons import Caution, CautionCode, Reason
from node.results import Report

COMMENT_WIDTH = 32  # characters that OHIF draws beside a region without overlap
COMMENT_LINES = 4

CATEGORIES = {
    Category.NEGATIVE: "Negative",
    Category.INDETERMINATE: "Indeterminate",
    Category.SUSPICIOUS: "Suspicious",
    Category.NOT_READ: "Not read by AI",
}
FINDING_TYPES = {
    FindingType.SOFT_TISSUE: "soft tissue",
    FindingType.CALCIFICATION_CLUSTER: "calcifications",
    FindingType.ARCHITECTURAL_DISTORTION: "distortion",
    FindingType.SUSPICIOUS_REGION: "suspicious region",
}
SELECTED_REGION = "Suspicious region. The algorithm does not tell which kind of lesion."
COMPOSITIONS = {
    BreastComposition.A: "almost entirely fat",
    BreastComposition.B: "scattered fibroglandular densities",
    BreastComposition.C: "heterogeneously dense",
    BreastComposition.D: "extremely dense",
}
SIDES = {ImageLaterality.RIGHT: "right", ImageLaterality.LEFT: "left"}
NOT_READ_WARNING = "There is no AI result for this exam. This is not a negative result."

# What typography offers and Latin-1 or ASCII does not; anything else falls back to its base letter or "?".
_PLAIN = str.maketrans({
    "→": "->", "…": "...", "–": "-", "—": "-", "−": "-", "·": "-", "•": "-", "×": "x", "±": "+/-",
    "≥": ">=", "≤": "<=", "’": "'", "‘": "'", "“": '"', "”": '"', "\u00a0": " ", "æ": "ae", "Æ": "AE",
    "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ŋ": "n", "Ŋ": "N", "ŧ": "t", "Ŧ": "T", "ß": "ss", "ł": "l", "Ł": "L",
})  # fmt: skip


def within_a_line(category: Category) -> str:
    """The category's word where it does not begin a sentence: "negative", "not read by AI"."""
    word = CATEGORIES[category]
    return word[0].lower() + word[1:]


def encodable(text: str, encoding: str) -> str:
    """`text` with what `encoding` (a Python codec) cannot hold replaced, character by character."""
    return "".join(_encodable_character(character, encoding) for character in text)


def _encodable_character(character: str, encoding: str) -> str:
    base = unicodedata.normalize("NFKD", character)[:1]
    for candidate in (character, character.translate(_PLAIN), base):
        try:
            candidate.encode(encoding)
        except UnicodeEncodeError:
            continue
        return candidate
    return "?"


def percent(probability: float) -> str:
    """0–1 as per cent: two decimals below 1 %, one above; the same string wherever the number appears."""
    value = 100 * probability
    return f"{value:.2f}" if value < 0.995 else f"{value:.1f}"


def date(dicom_date: str) -> str:
    """YYYYMMDD as YYYY-MM-DD; anything else as it is."""
    is_date = len(dicom_date) == 8 and dicom_date.isdigit()
    return f"{dicom_date[:4]}-{dicom_date[4:6]}-{dicom_date[6:]}" if is_date else dicom_date


def breast_scores(reading: Reading) -> dict[ImageLaterality, float]:
    """Image laterality → score 0–1, for the breasts that were read."""
    return {breast.image_laterality: breast.probability for breast in reading.breasts}


def marks(report: Report, side: ImageLaterality | None = None) -> str:
    """The marked views, of one breast or both, with their most suspicious mark: "L CC 87.3 %, L MLO 77.3 %"."""
    highest: dict[str, float] = {}
    views = {image.sop_instance_uid: str(image.standard_view) for image in report.reading.inputs}
    for finding in report.reading.findings:
        if side not in (None, finding.image_laterality):
            continue
        view = views.get(finding.region.sop_instance_uid, str(finding.image_laterality))
        highest[view] = max(finding.probability, highest.get(view, 0.0))
    return ", ".join(f"{view} {percent(probability)} %" for view, probability in highest.items())


def views_line(reading: Reading) -> str:
    """E.g. "4 of 4 views read: R CC, L CC, R MLO, L MLO"."""
    read = {image.standard_view for image in reading.inputs}
    names = ", ".join(str(view) for view in STANDARD_VIEWS if view in read)
    return f"{len(read)} of {len(STANDARD_VIEWS)} views read" + (f": {names}" if names else "")


def unread_views(reading: Reading) -> list[str]:
    """Names of the standard views that were not read."""
    read = {image.standard_view for image in reading.inputs}
    return [str(view) for view in STANDARD_VIEWS if view not in read]


def missing_part(unread: list[str]) -> str:
    """E.g. "Left breast" where both its views are unread, else the views' names."""
    for side in ImageLaterality:
        if all(name.startswith(f"{side} ") for name in unread) and len(unread) == len(ViewPosition):
            return f"{SIDES[side].capitalize()} breast"
    return ", ".join(unread)


def counted(reasons: Iterable[Reason | Caution]) -> list[str]:
    """Each different sentence once, with the number of images it concerns where that is more than one."""
    tally = Counter(reason.sentence for reason in reasons)
    return [f"{sentence} ({count} images)" if count > 1 else sentence for sentence, count in tally.items()]


def score_line(reading: Reading) -> str:
    """E.g. "Right 2.1 %, left 87.3 %"; a breast that was not read is said to be so."""
    scores = breast_scores(reading)
    said = [f"{SIDES[s]} {percent(scores[s])} %" if s in scores else f"{SIDES[s]} not read" for s in ImageLaterality]
    return ", ".join(said).capitalize()


def _position_line(reading: Reading, position: ViewPosition) -> str:
    scores = {
        view.standard_view.image_laterality: percent(view.probability)
        for view in reading.views
        if view.standard_view.view_position is position
    }
    return f"{position}: " + ", ".join(f"{side} {scores[side]} %" for side in ImageLaterality if side in scores)


def comment_lines(reading: Reading) -> list[str]:
    """At most four short lines that a general viewer draws beside the exam's region."""
    if reading.category is Category.NOT_READ:
        lines = [line for text in counted(reading.reasons) for line in wrap(f"Reason: {text}", COMMENT_WIDTH)]
        if len(lines) > COMMENT_LINES - 1:
            lines = [*lines[: COMMENT_LINES - 2], "More reasons: see report"]
        return ["AI triage: Not read by AI", *lines]
    positions = [p for p in ViewPosition if any(view.standard_view.view_position is p for view in reading.views)]
    lines = [
        f"AI triage: {CATEGORIES[reading.category]}, {reading.band}/10",
        *(["No reference population"] if reading.is_borrowed else []),
        *(["Drift alarm"] if _has_drifted(reading) else []),
        score_line(reading),
        *(_position_line(reading, position) for position in positions),
    ]
    return lines[:COMMENT_LINES]


def view_comment_lines(reading: Reading, sop_instance_uid: str) -> list[str]:
    """What a general viewer draws beside the region of one image: exam's category, breast's and view's score."""
    lines = [f"AI triage: {CATEGORIES[reading.category]}, {reading.band}/10"]
    scores = breast_scores(reading)
    for view in reading.views:
        if view.sop_instance_uid == sop_instance_uid:
            side = view.standard_view.image_laterality
            if side in scores:
                lines.append(f"{SIDES[side]} {percent(scores[side])} %".capitalize())
            lines.append(f"{view.standard_view.view_position}: {side} {percent(view.probability)} %")
    return lines


def percentile(reading: Reading) -> str:
    """One decimal, rounded down: no score is higher than all of the population it belongs to."""
    # the highest of a window is above all others, not above all
    return f"{min(99.9, math.floor(10 * (reading.percentile or 0) + 1e-9) / 10):.1f}"


def percentile_sentence(reading: Reading) -> str:
    """E.g. "Score higher than 98.7 % of exams like this one"; with a caution, that and why it is of other exams."""
    whose = "another population's exams" if reading.is_borrowed else "exams like this one"
    sentence = f"Score higher than {percentile(reading)} % of {whose}"
    if not reading.cautions:
        return sentence
    why = "; ".join(counted(reading.cautions))
    so = ", so not called negative" if reading.category is Category.INDETERMINATE else ""
    return f"{why[0].upper()}{why[1:]}{so}. {sentence}"


def _has_drifted(reading: Reading) -> bool:
    return any(each.code is CautionCode.DRIFT_ALARM for each in reading.cautions)


def change_lines(report: Report) -> list[str]:
    """What changed since the prior exam: sides, band; or that it cannot be compared. Empty without a prior.

    The comparison that the reading itself made comes before the one of two readings.
    """
    if report.reading.prior is not None:
        return _compared_lines(report.reading, report.reading.prior)
    if report.prior is None:
        return []
    before, when = report.prior
    if before.category is Category.NOT_READ:
        return [f"Prior exam {date(when)} was not read by AI"]
    if report.reading.category is Category.NOT_READ:
        return [f"Prior exam {date(when)} was read by AI, this one was not"]
    lines = [f"Since {date(when)}:"]
    now, then = breast_scores(report.reading), breast_scores(before)
    lines += [_change_line(s, then[s], now[s]) for s in ImageLaterality if s in now and s in then]
    if report.reading.band is not None:
        lines.append(f"band {before.band} → {report.reading.band}")
    return lines + _other_ways(report.reading, before)


def prior_scores(report: Report) -> dict[ImageLaterality, float]:
    """Image laterality → score 0–1 in the prior exam that `change_lines` speaks of."""
    if report.reading.prior is not None:
        return {breast.image_laterality: breast.prior_probability for breast in report.reading.prior.breasts}
    return breast_scores(report.prior[0]) if report.prior is not None else {}


def _compared_lines(reading: Reading, prior: PriorComparison) -> list[str]:
    if not prior.breasts:
        reasons = "; ".join(dict.fromkeys(reason.code.sentence for reason in prior.reasons))
        return [f"Prior exam {date(prior.study_date)} could not be read: {reasons}"]
    lines = [f"Since {date(prior.study_date)}, both read by this model:"]
    lines += [_change_line(each.image_laterality, each.prior_probability, each.probability) for each in prior.breasts]
    if reading.band is not None and prior.band is not None:
        lines.append(f"band {prior.band} → {reading.band}")
    if prior.change_weight:
        lines.append(f"the change went into the score, weight {prior.change_weight:g}")
    return lines


def _change_line(side: ImageLaterality, then: float, now: float) -> str:
    return f"{SIDES[side]} {percent(then)} → {percent(now)} %"


def _other_ways(now: Reading, before: Reading) -> list[str]:
    """In what the prior was read differently, so that its scores may not be of the same scale."""
    then, model = before.algorithm, now.algorithm
    lines = []
    if (then.name, then.version) != (model.name, model.version):
        lines.append(f"prior read by {then.name} {then.version}")
    elif then.weights_sha256 != model.weights_sha256:
        lines.append(f"prior read with other weights of {then.name}")
    if before.strategy != now.strategy:
        lines.append(f"prior read with strategy {before.strategy or 'unknown'}")
    if before.calibration_version != now.calibration_version:
        lines.append("bands by other calibrations")
    return lines


def composition_line(reading: Reading) -> str:
    """E.g. "c, heterogeneously dense"; "" when there is none."""
    if reading.composition is None:
        return ""
    return f"{reading.composition.composition}, {COMPOSITIONS[reading.composition.composition]}"


def composition_reader(reading: Reading) -> str:
    """Name and version of the algorithm that gave the composition; "" when there is none."""
    assessment = reading.composition
    return "" if assessment is None else f"{assessment.algorithm.name} {assessment.algorithm.version}"


def impression(report: Report) -> str:
    """The exam's result in sentences, for a reader of text."""
    reading = report.reading
    if reading.category is Category.NOT_READ:
        sentences = ["AI triage: not read by AI", NOT_READ_WARNING.rstrip(".")]
        sentences += [f"Reason: {text}" for text in counted(reading.reasons)]
    else:
        kind = "probability of cancer" if reading.algorithm.calibrated else "certainty, not calibrated"
        known = reading.stratum is not None and not reading.is_borrowed
        population = f" (reference population {reading.stratum})" if known else ""
        sentences = [
            f"AI triage: {within_a_line(reading.category)}",
            f"Band {reading.band} of 10. {percentile_sentence(reading)}{population}",
            f"Malignancy score ({kind}): {score_line(reading)}; exam {percent(reading.score or 0)} %",
            views_line(reading),
        ]
        if missing := unread_views(reading):
            sentences.append(f"{missing_part(missing)} not read by AI")
    sentences += [f"Left out: {text}" for text in counted(reading.left_out)]
    if composition := composition_line(reading):
        sentences.append(f"Breast composition: {composition} (by {composition_reader(reading)})")
    if change := change_lines(report):
        sentences.append(change[0] + " " + ", ".join(change[1:]) if change[1:] else change[0])
    if reading.algorithm.labelling:
        sentences.append(reading.algorithm.labelling.rstrip("."))
    return ". ".join(sentences) + "."


def parameter_lines(reading: Reading) -> list[str]:
    """Algorithm Parameters (TID 4019): weights, versions that change the numbers, then the algorithm's own."""
    named = {
        "weights sha256": reading.algorithm.weights_sha256[:16],
        "preprocessing": reading.preprocessing_version,
        "calibration": reading.calibration_version,
        "operating points": reading.operating_points_version,
        "eligibility": reading.eligibility_version,
        "strategy": reading.strategy,
    }
    return [f"{name} {value}" for name, value in named.items() if value] + list(reading.algorithm.parameters)
