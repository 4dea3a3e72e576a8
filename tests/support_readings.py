"""Readings and reports made by hand, for the tests of the result objects: no pixels, no model, no patient."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pydicom
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView
from ai.findings import (
    Algorithm,
    BreastAssessment,
    BreastComposition,
    Category,
    CompositionAssessment,
    Finding,
    FindingType,
    HeatMap,
    InputInstance,
    Reading,
    Region,
    Stratum,
    ViewAssessment,
)
from ai.reasons import Reason, ReasonCode
from node.results import Device, Report

MG = "1.2.840.10008.5.1.4.1.1.1.2"
MG_FOR_PROCESSING = "1.2.840.10008.5.1.4.1.1.1.2.1"
STUDY = "1.2.826.0.1.3680043.8.498.1"
ROWS, COLUMNS = 3328, 2560
STARTED_AT = datetime(2026, 11, 23, 10, 41, 7, 250000, timezone(timedelta(hours=1)))
R, L = ImageLaterality.RIGHT, ImageLaterality.LEFT
VIEW_CODES = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique")}
ORIENTATION = {"R CC": "P\\L", "L CC": "A\\R", "R MLO": "P\\F", "L MLO": "A\\F"}

ALGORITHM = Algorithm(
    name="demo-net",
    version="0.1.0",
    manufacturer="mammo-node",
    parameters=("operating point suspicious 0.62", "operating point indeterminate 0.21"),
    weights_sha256="3b792e6d" * 8,
    labelling="Demonstration. Trained on synthetic images. Not for clinical use.",
    calibrated=True,
)
COMPOSITION = CompositionAssessment(
    composition=BreastComposition.C,
    probabilities=(0.02, 0.21, 0.70, 0.07),
    algorithm=Algorithm(
        name="density-histogram", version="1.2", manufacturer="mammo-node", weights_sha256="aa11bb22" * 8
    ),
)
DEVICE = Device(
    manufacturer="mammo-node",
    manufacturer_model_name="mammo-node",
    software_version="0.1.0",
    station_name="AI01",
    institution_name="Universitetssykehuset Nord",
)


def instance_uid(number: int) -> str:
    return f"{STUDY}.2.{number}"


def code_item(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def header(number: int, view: StandardView | None, **changes: object) -> Dataset:
    """A mammography header as a modality writes it. changes: keyword → value; None deletes the element."""
    source = Dataset()
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    source.SpecificCharacterSet = "ISO_IR 192"
    source.SOPClassUID, source.SOPInstanceUID = MG, instance_uid(number)
    source.StudyInstanceUID, source.SeriesInstanceUID = STUDY, f"{STUDY}.1.{number}"
    source.PatientName, source.PatientID, source.IssuerOfPatientID = "Demo^Ánná Čáppa Đuŋŋá", "19700101-12345", "NIN"
    source.PatientBirthDate, source.PatientSex, source.PatientAge = "19700101", "F", "056Y"
    source.StudyDate, source.StudyTime, source.StudyID = "20261123", "093000", "S1"
    source.StudyDescription, source.AccessionNumber = "Mammografi screening, bilateral", "ACC-0042"
    source.ReferringPhysicianName = "Brystdiagnostisk^Åse"
    source.Modality, source.PresentationIntentType = "MG", "FOR PRESENTATION"
    source.Manufacturer, source.ManufacturerModelName, source.SoftwareVersions = "HOLOGIC", "Selenia", "1.8"
    source.ContentDate, source.ContentTime = "20261123", "093112"
    source.AcquisitionDate, source.AcquisitionTime = "20261123", "093111"
    source.Rows, source.Columns = ROWS, COLUMNS
    source.PhotometricInterpretation, source.BitsAllocated, source.BitsStored = "MONOCHROME2", 16, 12
    source.ImagerPixelSpacing = [0.07, 0.07]
    if view is not None:
        source.ImageLaterality, source.ViewPosition = str(view.image_laterality), str(view.view_position)
        value, meaning = VIEW_CODES[view.view_position]
        source.ViewCodeSequence = [code_item(value, "SCT", meaning)]
        source.PatientOrientation = ORIENTATION[str(view)]
        source.PositionerPrimaryAngle = "0" if view.view_position == "CC" else "-45"
    request = Dataset()
    request.RequestedProcedureID, request.ScheduledProcedureStepID = "RP1", "SPS1"
    source.RequestAttributesSequence = [request]
    for keyword, value in changes.items():
        if value is None:
            if keyword in source:
                delattr(source, keyword)
        else:
            setattr(source, keyword, value)
    # as read from a file, not as set in memory
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, source, enforce_file_format=False)
    buffer.seek(0)
    return pydicom.dcmread(buffer, force=True)


def outline(view: StandardView) -> tuple[tuple[float, float], ...]:
    """Half an ellipse that stands on the chest wall: right edge for right breasts, left edge for left ones."""
    height = 0.40 if view.view_position == "CC" else 0.46
    points = []
    for step in range(25):
        angle = math.pi * (step / 24 - 0.5)
        x, y = 0.62 * COLUMNS * math.cos(angle), ROWS * (0.5 + height * math.sin(angle))
        points.append((COLUMNS - x if view.image_laterality is R else x, y))
    return tuple(points)


def preview(view: StandardView, lesions: tuple[tuple[float, float], ...] = ()) -> bytes:
    """A PNG at an eighth of the stored size: a grey half ellipse, with bright spots at `lesions` (column, row)."""
    rows, columns = ROWS // 8, COLUMNS // 8
    y, x = np.mgrid[0:rows, 0:columns].astype(float)
    from_wall = columns - x if view.image_laterality is R else x
    height = 0.40 if view.view_position == "CC" else 0.46
    distance = np.hypot(from_wall / (0.62 * columns), (y - rows / 2) / (height * rows))
    texture = 18 * np.sin(x / 7) * np.sin(y / 9) + 10 * np.sin((x + 2 * y) / 5)
    grey = np.where(distance < 1, 70 + 90 * np.sqrt(np.clip(1 - distance, 0, 1)) + texture, 0)
    if view.view_position == "MLO":
        grey = np.where((from_wall / (0.30 * columns) + y / (0.55 * rows) < 1) & (distance < 1.4), 190, grey)
    for column, row in lesions:
        grey += 70 * np.exp(-((x - column / 8) ** 2 + (y - row / 8) ** 2) / (2 * 9**2)) * (distance < 1)
    buffer = io.BytesIO()
    Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def finding(view: StandardView, lesion: int, probability: float, **changes: object) -> Finding:
    """A box 260 × 220 pixels on `view`, elsewhere for every lesion."""
    number = STANDARD_VIEWS.index(view) + 1
    from_wall = 500 + 130 * (lesion % 6)
    column = COLUMNS - from_wall if view.image_laterality is R else from_wall
    row = 1000 + 190 * (lesion % 8)
    parts: dict[str, object] = {
        "region": Region(
            sop_instance_uid=instance_uid(number),
            left=column - 130.0,
            top=row - 110.0,
            right=column + 130.0,
            bottom=row + 110.5,
        ),
        "finding_type": FindingType.SOFT_TISSUE,
        "probability": probability,
        "image_laterality": view.image_laterality,
        "lesion": lesion,
    }
    return Finding(**{**parts, **changes})  # type: ignore[arg-type]


def heat_map(number: int, findings: tuple[Finding, ...]) -> HeatMap:
    rows, columns = 52, 40
    y, x = np.mgrid[0:rows, 0:columns] + 0.5
    values = np.zeros((rows, columns))
    for one in findings:
        if one.region.sop_instance_uid == instance_uid(number):
            column, row = one.region.center
            near = ((x * 64 - column) ** 2 + (y * 64 - row) ** 2) / (2 * 140**2)
            values = np.maximum(values, one.probability * np.exp(-near))
    return HeatMap(
        sop_instance_uid=instance_uid(number),
        rows=rows,
        columns=columns,
        values=(values * 255).astype(np.uint8).tobytes(),
    )


def read_exam(
    views: tuple[StandardView, ...] = STANDARD_VIEWS,
    findings: tuple[Finding, ...] = (),
    category: Category = Category.NEGATIVE,
    **changes: object,
) -> Reading:
    """A reading of `views`; scores follow from the findings."""
    numbers = {view: STANDARD_VIEWS.index(view) + 1 for view in views}
    scores = {
        view: max([f.probability for f in findings if f.region.sop_instance_uid == instance_uid(n)], default=0.004 * n)
        for view, n in numbers.items()
    }
    breasts = {
        side: max(score for view, score in scores.items() if view.image_laterality is side)
        for side in ImageLaterality
        if any(view.image_laterality is side for view in views)
    }
    band = {Category.NEGATIVE: 3, Category.INDETERMINATE: 8, Category.SUSPICIOUS: 10}[category]
    parts: dict[str, object] = {
        "study_instance_uid": STUDY,
        "revision": 1,
        "algorithm": ALGORITHM,
        "category": category,
        "started_at": STARTED_AT,
        "score": max(scores.values()),
        "percentile": {3: 27.4, 8: 78.9, 10: 98.7}[band],
        "band": band,
        "breasts": tuple(BreastAssessment(image_laterality=s, probability=p) for s, p in breasts.items()),
        "views": tuple(
            ViewAssessment(
                sop_instance_uid=instance_uid(n),
                standard_view=view,
                probability=scores[view],
                breast_outline=outline(view),
            )
            for view, n in numbers.items()
        ),
        "findings": findings,
        "heat_maps": tuple(heat_map(n, findings) for n in numbers.values()),
        "stratum": Stratum(manufacturer="HOLOGIC", manufacturer_model_name="Selenia", software_versions="1.8"),
        "inputs": tuple(
            InputInstance(
                sop_instance_uid=instance_uid(n),
                sop_class_uid=MG,
                standard_view=view,
                rows=ROWS,
                columns=COLUMNS,
                pixel_sha256=f"{n:064x}",
            )
            for view, n in numbers.items()
        ),
        "strategy": "screening",
        "calibration_version": "2026-11",
        "preprocessing_version": "1",
        "eligibility_version": "1",
    }
    return Reading(**{**parts, **changes})  # type: ignore[arg-type]


def unread_exam(*reasons: Reason, **changes: object) -> Reading:
    parts: dict[str, object] = {
        "study_instance_uid": STUDY,
        "revision": 1,
        "algorithm": ALGORITHM,
        "category": Category.NOT_READ,
        "started_at": STARTED_AT,
        "reasons": reasons or (Reason(ReasonCode.VIEWS_MISSING, detail="R MLO"),),
        "eligibility_version": "1",
    }
    return Reading(**{**parts, **changes})  # type: ignore[arg-type]


def report(reading: Reading, sources: tuple[Dataset, ...] = (), **changes: object) -> Report:
    """A report with a header and a preview for every standard view, unless other sources are given."""
    sources = sources or tuple(header(n, view) for n, view in enumerate(STANDARD_VIEWS, start=1))
    previews = {}
    for n, view in enumerate(STANDARD_VIEWS, start=1):
        spots = tuple(f.region.center for f in reading.findings if f.region.sop_instance_uid == instance_uid(n))
        previews[instance_uid(n)] = preview(view, spots)
    parts: dict[str, object] = {
        "reading": reading,
        "sources": sources,
        "device": DEVICE,
        "created_at": datetime(2026, 11, 23, 9, 41, 30, tzinfo=UTC),
        "previews": {str(s.SOPInstanceUID): previews.get(str(s.SOPInstanceUID), b"") for s in sources},
    }
    given = {**parts, **changes}
    given["previews"] = {uid: png for uid, png in given["previews"].items() if png}  # type: ignore[attr-defined]
    return Report(**given)  # type: ignore[arg-type]


def single(made: Mapping[str, Dataset]) -> Dataset:
    """The object of a kind that is one object."""
    assert list(made) == [""], f"expected one object, there is {list(made)}"
    return made[""]


def encoded(dataset: Dataset) -> bytes:
    """The object as a file."""
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()
