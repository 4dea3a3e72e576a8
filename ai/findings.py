"""What a reading says: scores, findings, category, and what it was made from.

All coordinates are stored-image pixels, (column, row), origin at the top-left corner of the top-left
pixel (PS3.3 C.18.6.1.1), before any flip, crop or resize. Scores and probabilities are 0–1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from pydantic import ConfigDict, TypeAdapter
from pydantic.dataclasses import dataclass as _checked

from ai.exam import ImageLaterality, StandardView
from ai.reasons import Caution, CautionCode, Reason


class Category(StrEnum):
    """The triage result. NOT_READ is its own answer and never looks like NEGATIVE."""

    NEGATIVE = "NEGATIVE"
    INDETERMINATE = "INDETERMINATE"
    SUSPICIOUS = "SUSPICIOUS"
    NOT_READ = "NOT_READ"


class FindingType(StrEnum):
    """Single-image findings of CID 6014 that models here give."""

    SOFT_TISSUE = "SOFT_TISSUE"  # SCT 129793001 Mammography breast density
    CALCIFICATION_CLUSTER = "CALCIFICATION_CLUSTER"  # SCT 129769006
    ARCHITECTURAL_DISTORTION = "ARCHITECTURAL_DISTORTION"  # SCT 129792006
    SUSPICIOUS_REGION = "SUSPICIOUS_REGION"  # DCM 111099 Selected region: the model does not tell which kind


class BreastComposition(StrEnum):
    """ACR BI-RADS 5th edition breast composition, CID 6000."""

    A = "a"
    B = "b"
    C = "c"
    D = "d"


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """Algorithm identification, TID 4019. `labelling` is printed on every result ("" when none is needed).

    calibrated: scores are probabilities of cancer (111047); otherwise they are certainties (111012, 111013).
    """

    name: str
    version: str
    manufacturer: str
    parameters: tuple[str, ...] = ()
    weights_sha256: str = ""
    labelling: str = ""
    calibrated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A box in stored-image pixels: left < right <= Columns, top < bottom <= Rows."""

    sop_instance_uid: str
    left: float
    top: float
    right: float
    bottom: float

    @property
    def center(self) -> tuple[float, float]:
        """(column, row) of the middle."""
        return ((self.left + self.right) / 2, (self.top + self.bottom) / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A marked region on one view. Findings of one lesion on two views share `lesion` (1, 2, … by suspicion)."""

    region: Region
    finding_type: FindingType
    probability: float
    image_laterality: ImageLaterality
    lesion: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BreastAssessment:
    """The malignancy score of one breast. Not a BI-RADS assessment."""

    image_laterality: ImageLaterality
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewAssessment:
    """The score of one view, and its outline of the breast: a closed polygon of (column, row) points."""

    sop_instance_uid: str
    standard_view: StandardView
    probability: float
    breast_outline: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    """Suspicion over the whole stored image on a coarse grid: `rows` × `columns` bytes, row by row, 0–255 = 0–1."""

    sop_instance_uid: str
    rows: int
    columns: int
    values: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionOfInterest:
    """A place that a network looked at more closely. Not a finding: there are such places in every healthy breast.

    region: what of it lies in the image, if any does. input_row, input_column: of its first pixel in the network's own
    input. attention: its share of the network's, 0–1.
    """

    region: Region | None
    input_row: int
    input_column: int
    attention: float


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkDetail:
    """What one network of a model said of a view: its scores by name, 0–1, and where it looked more closely."""

    name: str
    scores: Mapping[str, float]
    regions_of_interest: tuple[RegionOfInterest, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewDetail:
    """What a model says of a view besides its malignancy score, for whoever compares it with others.

    scores: by label, 0–1, of the model as a whole. networks: those that the model is made of.
    """

    sop_instance_uid: str
    standard_view: StandardView
    scores: Mapping[str, float]
    networks: tuple[NetworkDetail, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompositionAssessment:
    """Breast composition of the exam, with the probability of each of a–d and who says so."""

    composition: BreastComposition
    probabilities: tuple[float, float, float, float]
    algorithm: Algorithm


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """The acquisition population whose reference window gives percentile and band."""

    manufacturer: str
    manufacturer_model_name: str
    software_versions: str

    def __str__(self) -> str:
        return " / ".join((self.manufacturer, self.manufacturer_model_name, self.software_versions))


@dataclass(frozen=True, slots=True, kw_only=True)
class InputInstance:
    """An image that was read, with the sha256 of its decoded stored pixel values (little-endian, row by row)."""

    sop_instance_uid: str
    sop_class_uid: str
    standard_view: StandardView
    rows: int
    columns: int
    pixel_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BreastChange:
    """One breast's score in the prior exam and now, by the same model, before any weight is given to the change."""

    image_laterality: ImageLaterality
    prior_probability: float
    probability: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorComparison:
    """The woman's prior exam as this reading saw it: read again, by the same model.

    breasts, score: empty and None where the prior could not be read; `reasons` then say why. percentile, band: None
    also where the prior's equipment has no reference population. change_weight: of the change in this reading's
    scores; 0 where it was only reported. inputs: the prior's images that were read.
    """

    study_instance_uid: str
    study_date: str
    algorithm: Algorithm
    breasts: tuple[BreastChange, ...] = ()
    score: float | None = None
    percentile: float | None = None
    band: int | None = None
    change_weight: float = 0.0
    inputs: tuple[InputInstance, ...] = ()
    reasons: tuple[Reason, ...] = ()


@_checked(frozen=True, slots=True, kw_only=True, config=ConfigDict(ser_json_bytes="base64", val_json_bytes="base64"))
class Reading:
    """One exam's result. NOT_READ has `reasons` and no score, percentile, band, breast, view or finding.

    score: exam malignancy score 0–1. percentile: 0–100 within the stratum's reference window.
    band: 1–10, a tenth of a screening population each, 10 the most suspicious.
    reasons: why the exam was not read. left_out: images of a read or unread exam that were not used, and why.
    cautions: what limits an answer that was given, e.g. that percentile and band are of other equipment's population.
    prior: the comparison with the woman's earlier exam, where the strategy made one.
    score_scale: which reference windows place its scores (see `ai.reading`).
    details: of models that tell more than a score. started_at: start of analysis, timezone-aware (becomes Content
    Date/Time). timings_s: seconds per stage.
    """

    study_instance_uid: str
    revision: int
    algorithm: Algorithm
    category: Category
    started_at: datetime
    score: float | None = None
    percentile: float | None = None
    band: int | None = None
    reasons: tuple[Reason, ...] = ()
    left_out: tuple[Reason, ...] = ()
    cautions: tuple[Caution, ...] = ()
    breasts: tuple[BreastAssessment, ...] = ()
    views: tuple[ViewAssessment, ...] = ()
    findings: tuple[Finding, ...] = ()
    details: tuple[ViewDetail, ...] = ()
    heat_maps: tuple[HeatMap, ...] = ()
    composition: CompositionAssessment | None = None
    stratum: Stratum | None = None
    prior: PriorComparison | None = None
    inputs: tuple[InputInstance, ...] = ()
    strategy: str = ""
    score_scale: str = ""
    calibration_version: str = ""
    operating_points_version: str = ""
    preprocessing_version: str = ""
    eligibility_version: str = ""
    device: str = ""
    timings_s: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.started_at.tzinfo is None:
            raise ValueError("Reading.started_at must be timezone-aware")
        scored = (self.score, self.percentile, self.band)
        if self.category is Category.NOT_READ:
            if not self.reasons:
                raise ValueError("a NOT_READ reading needs a reason")
            if any(value is not None for value in scored) or self.findings or self.breasts or self.views:
                raise ValueError("a NOT_READ reading carries no score, view, breast or finding")
        elif None in scored or self.reasons or not self.inputs:
            raise ValueError("a read exam needs score, percentile, band and inputs, and has no reasons")

    @property
    def is_borrowed(self) -> bool:
        """Whether percentile and band are of other equipment's population."""
        return any(each.code is CautionCode.NO_REFERENCE_POPULATION for each in self.cautions)

    def to_json(self) -> str:
        """As JSON; `from_json` gives back an equal value."""
        return _ADAPTER.dump_json(self).decode()

    @staticmethod
    def from_json(text: str | bytes) -> Reading:
        """The reading that `to_json` wrote. Raises pydantic.ValidationError for anything else."""
        return _ADAPTER.validate_json(text)


@dataclass(frozen=True, slots=True)
class ReadOutcome:
    """A reading, and a preview of each image: SOP Instance UID → PNG, 8-bit grey, the whole image scaled down."""

    reading: Reading
    previews: Mapping[str, bytes]


_ADAPTER: TypeAdapter[Reading] = TypeAdapter(Reading)
