"""The operating points that a site has applied, by the model they are for; `node.decisions` tells how they are kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ai.calibration import OperatingPoints
from ai.operating_points import CONFIGURED, PointsProposal, SitePoints, adopted
from node.calibrations import Calibrations, ServedModel
from node.decisions import Decisions, Entry, named, parsed, read
from node.errors import ConfigError


class SiteOperatingPoints:
    """The last entry about a model's weights says which points count for it; without one, those of the settings."""

    def __init__(self, folder: Path, configured: OperatingPoints) -> None:
        self._decisions, self._calibrations = Decisions(folder), Calibrations(folder)
        self._configured = SitePoints(default=configured)

    def history(self) -> tuple[Entry, ...]:
        """Every entry about operating points, oldest first."""
        return self._decisions.history("operating_points")

    def current(self, model: ServedModel) -> SitePoints:
        """The points that count; strata without their own go by the settings of today. Raises ConfigError."""
        own = self._own(model)
        return self._load(own[-1]) if own else self._configured

    def apply(self, proposal: Path, model: ServedModel, *, by: str, reason: str) -> Entry:
        """Make a proposal count. Raises ConfigError when it is none, or made for what counts no more."""
        content = read(proposal)
        found, current = parsed(PointsProposal, content, proposal, "proposal of operating points"), self.current(model)
        calibration = self._calibrations.current(model).version
        stands_on = {
            "weights": (found.weights_sha256[:16], model.weights_sha256[:16]),
            "calibration": (found.calibration_version, calibration),
            "operating points": (found.based_on, current.version),
        }
        for what, (then, now) in stands_on.items():
            if then != now:
                raise ConfigError(f"{proposal}: it stands on {what} {then}; {now} counts now: propose anew")
        entry = self._decisions.draft("operating_points", "apply", model.weights_sha256, by=by, reason=reason)
        made = adopted(found, current, f"points.{entry.number}")
        return self._decisions.keep(
            entry,
            made,
            version=made.version,
            proposal_sha256=hashlib.sha256(content).hexdigest(),
            data_sha256=found.data_sha256,
        )

    def revert(self, model: ServedModel, version: str, *, by: str, reason: str) -> Entry:
        """Make earlier points count again. Raises ConfigError when the model never had that version."""
        entry = self._decisions.draft("operating_points", "revert", model.weights_sha256, by=by, reason=reason)
        return self._decisions.again(entry, named("operating points", version, CONFIGURED, self._own(model)), version)

    def _own(self, model: ServedModel) -> tuple[Entry, ...]:
        return self._decisions.history("operating_points", model.weights_sha256)

    def _load(self, entry: Entry) -> SitePoints:
        if not entry.file:
            return self._configured
        kept = SitePoints.model_validate_json(self._decisions.content(entry))
        return kept.model_copy(update={"default": self._configured.default})
