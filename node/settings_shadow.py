"""The section `shadow` of config.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo

from node.settings import BundleName, Settings


def _proposal_in_folder(calibration: str | None, info: ValidationInfo) -> str | None:
    """A calibration that ends with .json is a proposal's file, from the settings' folder; anything else a version."""
    folder: Path | None = (info.context or {}).get("folder")
    if calibration is None or not calibration.endswith(".json") or folder is None:
        return calibration
    return str(folder / calibration)


class ShadowSettings(Settings):
    """What reads every exam beside the live model, after it, and is shown to nobody. Without either: nothing."""

    bundles: tuple[BundleName, ...] = Field(
        default=(), description="Model bundles that read in the shadow; none: the live model's scores are taken."
    )
    calibration: Annotated[str | None, AfterValidator(_proposal_in_folder)] = Field(
        default=None,
        description="Calibration in the shadow: a version of the history, or a proposal's .json; null: what counts.",
    )

    @property
    def is_on(self) -> bool:
        """Whether anything reads in the shadow."""
        return bool(self.bundles) or self.calibration is not None
