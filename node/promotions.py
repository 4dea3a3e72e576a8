"""Which bundles exams are read with: those of the settings, until a person promotes others in their place."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from node.calibrations import served_model
from node.decisions import Decisions, Entry
from node.errors import ConfigError
from node.settings import ReadingSettings


class Promotion(BaseModel):
    """bundles count instead of `instead_of`, for as long as the settings name those."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    instead_of: tuple[str, ...]
    bundles: tuple[str, ...]


def promoted(settings: ReadingSettings) -> ReadingSettings:
    """The settings with the bundles that count. Raises ConfigError when the history cannot be used."""
    found = _current(settings)
    if found is None or found.instead_of != settings.bundles:
        return settings
    return settings.model_copy(update={"bundles": found.bundles})


def promote(settings: ReadingSettings, bundles: tuple[str, ...], *, by: str, reason: str) -> Entry:
    """Make bundles count in place of those of the settings. Raises ConfigError when they are none, or count already."""
    if promoted(settings).bundles == bundles:
        raise ConfigError(f"{', '.join(bundles)} counts already")
    model = served_model(settings.model_copy(update={"bundles": bundles}))
    decisions = Decisions(settings.calibration_folder)
    entry = decisions.draft("model", "promote", model.weights_sha256, by=by, reason=reason)
    made = Promotion(instead_of=settings.bundles, bundles=bundles)
    return decisions.keep(entry, made, version=f"{model.name} {model.version}")


def rollback(settings: ReadingSettings, *, by: str, reason: str) -> Entry:
    """Make what counted before the last promotion count again. Raises ConfigError when nothing was promoted."""
    decisions = Decisions(settings.calibration_folder)
    standing = _standing(decisions)
    if not standing or promoted(settings) is settings:
        raise ConfigError("nothing was promoted: there is nothing to roll back")
    before = standing[-2] if len(standing) > 1 else None
    found = _loaded(decisions, before).bundles if before is not None else settings.bundles
    model = served_model(settings.model_copy(update={"bundles": found}))
    entry = decisions.draft("model", "rollback", model.weights_sha256, by=by, reason=reason)
    return decisions.again(entry, before, f"{model.name} {model.version}")


def _current(settings: ReadingSettings) -> Promotion | None:
    decisions = Decisions(settings.calibration_folder)
    standing = _standing(decisions)
    return _loaded(decisions, standing[-1]) if standing else None


def _standing(decisions: Decisions) -> list[Entry]:
    """Promotions that were not rolled back; the last one counts."""
    found: list[Entry] = []
    for entry in decisions.history("model"):
        if entry.action == "promote":
            found.append(entry)
        elif found:
            found.pop()
    return found


def _loaded(decisions: Decisions, entry: Entry) -> Promotion:
    return Promotion.model_validate_json(decisions.content(entry))
