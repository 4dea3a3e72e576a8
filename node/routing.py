"""Which instances are read, stored or refused, and which destinations get an exam's results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from pydicom.dataset import Dataset

from node.config import Config
from node.settings import Rule

#: The conditions of `settings.When` that look at a data element, by its keyword.
_KEYWORDS = {
    "sop_class_uid": "SOPClassUID",
    "modality": "Modality",
    "manufacturer": "Manufacturer",
    "manufacturer_model_name": "ManufacturerModelName",
    "institution_name": "InstitutionName",
    "station_name": "StationName",
}


def facts(dataset: Dataset, calling_ae_title: str) -> dict[str, str]:
    """What rules may look at, of one instance."""
    found = {name: str(dataset.get(keyword) or "").strip() for name, keyword in _KEYWORDS.items()}
    return {**found, "calling_ae_title": calling_ae_title}


def decide(rules: Iterable[Rule], of: Mapping[str, str]) -> Rule | None:
    """The first rule that matches `of` (see `facts`), or None."""
    return next((rule for rule in rules if _matches(rule, of)), None)


def _matches(rule: Rule, of: Mapping[str, str]) -> bool:
    conditions = rule.when.model_dump()
    return all(
        not patterns or any(fnmatchcase(of[name].upper(), pattern.upper()) for pattern in patterns)
        for name, patterns in conditions.items()
    )


def destinations(config: Config, rule_names: Iterable[str]) -> tuple[str, ...]:
    """The destinations of an exam whose instances these rules took, in the config's order.

    A rule that has since been renamed or removed counts as every destination: better one too many than none.
    """
    rules = {rule.name: rule for rule in config.routing}
    wanted: set[str] = set()
    for name in rule_names:
        wanted.update(config.destinations_of(rules[name]) if name in rules else config.destinations)
    return tuple(name for name in config.destinations if name in wanted)
