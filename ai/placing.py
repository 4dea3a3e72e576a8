"""Where a score stands among the exams of its own equipment: percentile, band, category, and what must be said with it.

Thresholds learnt on other equipment are borrowed: the same score may be a usual one there and a high one here. So on
borrowed thresholds an exam is not NEGATIVE, unless the site says that it may be; it may still be SUSPICIOUS.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ai.calibration import ALL, Calibration, OperatingPoints, band, matched
from ai.exam import View
from ai.findings import Category, Stratum
from ai.operating_points import SitePoints
from ai.reasons import Caution, CautionCode

#: A window of fewer exams stands in for one that has yet to be learnt: no score has a place in it.
_FEWEST = 2
#: Details of a caution.
OTHER_SOFTWARE = "its software is another than that of the reference population"
OTHER_SCALE = "the calibration was made for another reading strategy"
SEVERAL_SYSTEMS = "images of more than one system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A score's place. window: the name of the reference window. cautions: why it is a borrowed one."""

    stratum: Stratum
    window: str
    percentile: float
    band: int
    category: Category
    cautions: tuple[Caution, ...] = ()


class Scale:
    """A calibration and a site's operating points, for the scores of one strategy."""

    def __init__(
        self,
        calibration: Calibration,
        operating_points: OperatingPoints | SitePoints,
        *,
        scores: str,
        negative_without_reference_population: bool = False,
    ) -> None:
        """scores: the scale of the scores to be placed (see `ai.reading`)."""
        self._calibration = calibration
        given = operating_points
        self._points = given if isinstance(given, SitePoints) else SitePoints(default=given)
        self._scores = scores
        self._lenient = negative_without_reference_population

    @property
    def scores(self) -> str:
        """The scale of the scores that are placed."""
        return self._scores

    @property
    def version(self) -> str:
        """The calibration's."""
        return self._calibration.version

    @property
    def points_version(self) -> str:
        """The operating points'."""
        return self._points.version

    def place(self, score: float, strata: Sequence[Stratum]) -> Placed:
        """The place of an exam's score. strata: of its images. Raises ValueError for a score that is no number."""
        window, why = self._window(strata)
        percentile = self._calibration.percentile(score, window or ALL)
        category = (self._points.default if why else self._points.of(strata[0])).category(percentile)
        if self._calibration.windows[window or ALL].exams < _FEWEST:
            category = Category.INDETERMINATE
        if why and category is Category.NEGATIVE and not self._lenient:
            category = Category.INDETERMINATE
        return Placed(
            stratum=strata[0],
            window=window or ALL,
            percentile=percentile,
            band=band(percentile),
            category=category,
            cautions=why,
        )

    def _window(self, strata: Sequence[Stratum]) -> tuple[str | None, tuple[Caution, ...]]:
        """The window that the exam belongs to; or None, and why there is none."""
        code = CautionCode.NO_REFERENCE_POPULATION
        if self._calibration.scale != self._scores:
            return None, (Caution(code, detail=OTHER_SCALE),)
        windows = {self._calibration.window_of(stratum) for stratum in strata}
        if len(set(strata)) > 1 and len(windows) > 1:
            return None, (Caution(code, detail=SEVERAL_SYSTEMS),)
        (window,) = windows
        if window is not None:
            return window, ()
        return None, (Caution(code, detail=OTHER_SOFTWARE if self._was_updated(strata[0]) else ""),)

    def _was_updated(self, stratum: Stratum) -> bool:
        """Whether there is a window of the same system under other software."""
        system = matched(stratum)[:2]
        windows = self._calibration.windows.values()
        return all(system) and any(matched(each)[:2] == system for window in windows for each in window.strata)


def strata(views: Iterable[View]) -> tuple[Stratum, ...]:
    """Of each image, each stratum once, in the order of the images: a screening exam is taken on one system."""
    found = (
        Stratum(
            manufacturer=view.manufacturer,
            manufacturer_model_name=view.manufacturer_model_name,
            software_versions=", ".join(view.software_versions),
        )
        for view in views
    )
    return tuple(dict.fromkeys(found))
