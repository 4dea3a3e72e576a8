"""What exams are read with now: the settings, and what a person has made count since, in one place.

Asked anew for every exam at the cost of a look at one file's date (`stamp`), so that a running node takes up what was
applied from the next exam on.
"""

from __future__ import annotations

from dataclasses import dataclass

from ai.calibration import Calibration, OperatingPoints
from ai.operating_points import SitePoints
from node.calibrations import Calibrations, ServedModel, served_model
from node.decisions import Decisions
from node.operating_points import SiteOperatingPoints
from node.promotions import promoted
from node.settings import ReadingSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class InForce:
    """settings: with the bundles that count. points: for this calibration."""

    settings: ReadingSettings
    model: ServedModel
    calibration: Calibration
    points: SitePoints


def in_force(settings: ReadingSettings) -> InForce:
    """What counts now. Raises ConfigError when a bundle or the history cannot be used."""
    counts = promoted(settings)
    model = served_model(counts)
    calibration = Calibrations(settings.calibration_folder).current(model)
    points = site_points(settings).current(model)
    return InForce(settings=counts, model=model, calibration=calibration, points=points.on(calibration))


def site_points(settings: ReadingSettings) -> SiteOperatingPoints:
    """The operating points that were applied, on those of the settings."""
    configured = OperatingPoints.model_validate(settings.operating_points.model_dump())
    return SiteOperatingPoints(settings.calibration_folder, configured)


def stamp(settings: ReadingSettings) -> tuple[int, int]:
    """Another one as soon as a person decided something."""
    return Decisions(settings.calibration_folder).stamp()
