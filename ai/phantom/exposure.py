"""What is known of an image besides its pixels: whose, of which study, how exposed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ai.exam import StandardView

FOR_PRESENTATION, FOR_PROCESSING = "FOR PRESENTATION", "FOR PROCESSING"


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who she is to the hospital. character_set: Specific Character Set (0008,0005), e.g. ISO_IR 192 or ISO_IR 100."""

    patient_name: str
    patient_id: str
    issuer_of_patient_id: str = "SCREENING"
    patient_birth_date: str = "19640229"
    patient_sex: str = "F"
    character_set: str = "ISO_IR 100"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyHeader:
    """The study the images belong to. study_date: YYYYMMDD, study_time: HHMMSS."""

    study_instance_uid: str
    study_id: str
    study_date: str
    study_time: str
    accession_number: str
    study_description: str = "Mammography screening"
    institution_name: str = "Synthetic Breast Centre"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """One image of the study: which view, when, and what the machine noted. acquisition_time: HHMMSS."""

    standard_view: StandardView
    sop_instance_uid: str
    series_instance_uid: str
    series_number: int
    instance_number: int
    acquisition_time: str
    imager_pixel_spacing_mm: float
    body_part_thickness_mm: int = 55
    compression_force_n: int = 105
    oblique_angle_deg: int = 45
    breast_implant_present: bool = False
    presentation_intent_type: str = FOR_PRESENTATION
    voi_lut_function: str = "LINEAR"  # or SIGMOID; "" to leave it out
    source: str = ""  # SOP Instance UID of the For Processing image it was made from (sent or not)


def derived_uid(*parts: object) -> str:
    """A UID under 2.25 (PS3.5 B.2) that depends on the parts alone: the same parts give the same UID."""
    digest = hashlib.sha256("\0".join(str(part) for part in parts).encode()).digest()
    number = int.from_bytes(digest[:16]) & ~(0xF << 76) | (4 << 76)
    return f"2.25.{number & ~(0x3 << 62) | (0x2 << 62)}"
