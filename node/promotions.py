"""Which bundles exams are read with: those of the settings, until a person promotes others in their place."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from node.calibrations import served_model
from node.errors import ConfigError
from node.ledger import Entry, Ledger
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
    ledger = Ledger(settings.calibration_folder)
    entry = ledger.draft("model", "promote", model.weights_sha256, by=by, reason=reason)
    made = Promotion(instead_of=settings.bundles, bundles=bundles)
    return ledger.keep(entry, made, version=f"{model.name} {model.version}")


def rollback(settings: ReadingSettings, *, by: str, reason: str) -> Entry:
    """Make what counted before the last promotion count again. Raises ConfigError when nothing was promoted."""
    ledger = Ledger(settings.calibration_folder)
    standing = _standing(ledger)
    if not standing or promoted(settings) is settings:
        raise ConfigError("nothing was promoted: there is nothing to roll back")
    before = standing[-2] if len(standing) > 1 else None
    found = _loaded(ledger, before).bundles if before is not None else settings.bundles
    model = served_model(settings.model_copy(update={"bundles": found}))
    entry = ledger.draft("model", "rollback", model.weights_sha256, by=by, reason=reason)
    return ledger.again(entry, before, f"{model.name} {model.version}")


def _current(settings: ReadingSettings) -> Promotion | None:
    ledger = Ledger(settings.calibration_folder)
    standing = _standing(ledger)
    return _loaded(ledger, standing[-1]) if standing else None


def _standing(ledger: Ledger) -> list[Entry]:
    """Promotions that were not rolled back; the last one counts."""
    found: list[Entry] = []
    for entry in ledger.history("model"):
        if entry.action == "promote":
            found.append(entry)
        elif found:
            found.pop()
    return found


def _loaded(ledger: Ledger, entry: Entry) -> Promotion:
    return Promotion.model_validate_json(ledger.content(entry))
