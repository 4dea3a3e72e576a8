"""A specification → a whole synthetic screening exam as DICOM datasets, with the truth about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRLittleEndian

from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView
from ai.findings import BreastComposition
from ai.phantom.anatomy import Lesion, LesionKind, Woman, woman
from ai.phantom.exposure import FOR_PRESENTATION, FOR_PROCESSING, Exposure, Identity, StudyHeader, derived_uid
from ai.phantom.noise import stream
from ai.phantom.objects import mammogram
from ai.phantom.rendering import RenderedView, ViewTruth, render, stored
from ai.phantom.vendors import FJORDLYS, VendorLook


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamSpec:
    """What exam to make; the same specification gives the same bytes.

    omitted: standard views that were not taken. repeated: a view exposed again; it is the last instance and marked
    late. presentation_intent_type: of all images; with_for_processing adds the raw sibling of each.
    rounds_ago: an earlier screening round of the same woman (give it its own study_date and accession_number).
    voi_lut_function: (0028,1056), "" to leave it out (see `ai.phantom.objects`).
    pitch_mm: a coarser pixel pitch than the system's own, for quick tests; None for full size.
    """

    name: str
    seed: int
    identity: Identity
    density: BreastComposition = BreastComposition.B
    lesions: tuple[Lesion | LesionKind, ...] = ()
    implant: bool = False
    look: VendorLook = FJORDLYS
    transfer_syntax_uid: str = ExplicitVRLittleEndian
    study_date: str = "20250312"
    study_time: str = "101500"
    accession_number: str = ""
    omitted: tuple[StandardView, ...] = ()
    repeated: StandardView | None = None
    presentation_intent_type: str = FOR_PRESENTATION
    with_for_processing: bool = False
    rounds_ago: int = 0
    voi_lut_function: str = "LINEAR"
    pitch_mm: float | None = None

    @property
    def woman(self) -> Woman:
        """The woman of this exam."""
        return woman(self.seed, density=self.density, lesions=self.lesions, implant=self.implant)

    def earlier_round(self, rounds_ago: int = 1) -> ExamSpec:
        """Her exam two years earlier for each round, with its own accession number."""
        year = int(self.study_date[:4]) - 2 * rounds_ago
        return replace(
            self,
            name=f"{self.name}, {rounds_ago} round(s) earlier",
            study_date=f"{year}{self.study_date[4:]}",
            accession_number=f"{self.accession_number}P{rounds_ago}" if self.accession_number else "",
            rounds_ago=self.rounds_ago + rounds_ago,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticInstance:
    """One image of the exam. truth: of the view, its boxes in pixels of this image. late: sent after the others."""

    dataset: FileDataset
    truth: ViewTruth
    late: bool = False

    @property
    def sop_instance_uid(self) -> str:
        """Of this image."""
        return str(self.dataset.SOPInstanceUID)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticExam:
    """The images in the order a system sends them, and whose breasts they show."""

    spec: ExamSpec
    instances: tuple[SyntheticInstance, ...]

    @property
    def datasets(self) -> tuple[FileDataset, ...]:
        """All images, late ones last."""
        return tuple(instance.dataset for instance in self.instances)

    @property
    def malignant_sides(self) -> frozenset[ImageLaterality]:
        """The breasts with a malignant lesion to be seen in this round."""
        return frozenset(
            instance.truth.standard_view.image_laterality for instance in self.instances if instance.truth.malignant
        )


@dataclass(frozen=True, slots=True)
class _Clock:
    """Times and numbers of the images, one after the other."""

    start: str
    gap_s: int = 45
    count: list[int] = field(default_factory=lambda: [0])

    def next(self) -> tuple[int, str]:
        self.count[0] += 1
        seconds = int(self.start[:2]) * 3600 + int(self.start[2:4]) * 60 + int(self.start[4:6])
        seconds = (seconds + self.gap_s * self.count[0]) % 86400
        return self.count[0], f"{seconds // 3600:02d}{seconds // 60 % 60:02d}{seconds % 60:02d}"


def simulate_exam(spec: ExamSpec) -> SyntheticExam:
    """The whole exam in memory: some 100 MB at the largest full-size matrix."""
    return SyntheticExam(spec=spec, instances=tuple(_instances(spec)))


def _instances(spec: ExamSpec) -> Iterator[SyntheticInstance]:
    her, clock, study = spec.woman, _Clock(spec.study_time), _study(spec)
    views = [(view, 0) for view in STANDARD_VIEWS if view not in spec.omitted]
    if spec.repeated is not None:
        views.append((spec.repeated, 1))
    for view, repeat in views:
        rendered = render(her, view, look=spec.look, pitch_mm=spec.pitch_mm, rounds_ago=spec.rounds_ago, repeat=repeat)
        intents = [FOR_PROCESSING] if spec.with_for_processing else []
        intents += [spec.presentation_intent_type]
        for intent in dict.fromkeys(intents):
            number, time = clock.next()
            exposure = _exposure(spec, her, rendered, intent=intent, repeat=repeat, number=number, time=time)
            look = spec.look if intent == FOR_PRESENTATION else _raw(spec.look)
            values = stored(rendered, look) if intent == FOR_PRESENTATION else _exposed(rendered, look)
            dataset = mammogram(
                values,
                identity=spec.identity,
                study=study,
                exposure=exposure,
                look=look,
                transfer_syntax_uid=spec.transfer_syntax_uid,
            )
            yield SyntheticInstance(dataset=dataset, truth=rendered.truth, late=repeat > 0)


def _study(spec: ExamSpec) -> StudyHeader:
    number = stream(spec.seed, "accession", spec.rounds_ago).integers(10**6)
    return StudyHeader(
        study_instance_uid=derived_uid(*_study_key(spec)),
        study_id=f"S{number:06d}",
        study_date=spec.study_date,
        study_time=spec.study_time,
        accession_number=spec.accession_number or f"MG{spec.study_date[2:4]}{number:06d}",
    )


def _study_key(spec: ExamSpec) -> tuple[object, ...]:
    return ("study", spec.seed, spec.identity.patient_id, spec.study_date, spec.accession_number, spec.rounds_ago)


def _sop_instance_uid(spec: ExamSpec, view: StandardView, repeat: int, intent: str) -> str:
    return derived_uid(*_study_key(spec), "instance", view, repeat, intent)


def _exposure(
    spec: ExamSpec, her: Woman, rendered: RenderedView, *, intent: str, repeat: int, number: int, time: str
) -> Exposure:
    view = rendered.truth.standard_view
    series: tuple[object, ...] = (view, repeat) if spec.look.series_per_view else ("all",)
    thickness = her.breast(view.image_laterality).thickness_mm * (1.0 if str(view.view_position) == "CC" else 1.06)
    return Exposure(
        standard_view=view,
        sop_instance_uid=_sop_instance_uid(spec, view, repeat, intent),
        series_instance_uid=derived_uid(*_study_key(spec), "series", intent, *series),
        series_number=number if spec.look.series_per_view else 1 + (intent == FOR_PROCESSING),
        instance_number=number,
        acquisition_time=time,
        imager_pixel_spacing_mm=rendered.pitch_mm,
        body_part_thickness_mm=round(thickness),
        compression_force_n=int(stream(spec.seed, "force", view, spec.rounds_ago).integers(75, 140)),
        oblique_angle_deg=round(her.oblique_angle_deg),
        breast_implant_present=spec.implant,
        presentation_intent_type=intent,
        voi_lut_function=spec.voi_lut_function,
        source=_sop_instance_uid(spec, view, repeat, FOR_PROCESSING) if intent == FOR_PRESENTATION else "",
    )


def _raw(look: VendorLook) -> VendorLook:
    """The same detector before processing: exposure counts, dark where dense."""
    return replace(look, photometric_interpretation="MONOCHROME1", bits_stored=14)


def _exposed(rendered: RenderedView, look: VendorLook) -> npt.NDArray[np.uint16]:
    """For Processing values: what reaches the detector falls exponentially with the tissue in the way."""
    reached = np.where(rendered.pixels > 0, 0.14 * np.exp(-2.2 * rendered.pixels), 0.9)
    values: npt.NDArray[np.uint16] = np.rint(reached * look.largest_value).astype(np.uint16)
    return values
