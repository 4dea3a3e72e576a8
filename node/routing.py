"""Which instances are read, stored or refused, and which destinations get an exam's results."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from node import moments
from node.config import Config
from node.settings import ReadingSettings
from node.settings_routing import Days, Rule, expression

#: What rules may look at, of one instance: the values of each condition of `settings_routing.When`, by its name.
Facts = Mapping[str, tuple[str, ...]]

#: The conditions that look at one data element, by its keyword.
_KEYWORDS = {
    "sop_class_uid": "SOPClassUID",
    "modality": "Modality",
    "presentation_intent_type": "PresentationIntentType",
    "manufacturer": "Manufacturer",
    "manufacturer_model_name": "ManufacturerModelName",
    "institution_name": "InstitutionName",
    "station_name": "StationName",
    "study_description": "StudyDescription",
    "series_description": "SeriesDescription",
}
_PROCEDURE_CODES = ("ProcedureCodeSequence", "RequestedProcedureCodeSequence", "PerformedProtocolCodeSequence")
_REQUEST_CODES = ("RequestedProcedureCodeSequence", "ScheduledProtocolCodeSequence")
_VIEW_CODES, _VIEW_MODIFIERS = ("ViewCodeSequence",), ("ViewModifierCodeSequence",)
#: A value is a line of text; what is longer is nobody's description, and would take an expression its time.
_LONGEST = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Mismatch:
    """A condition that kept a rule from taking an instance: what it asks for, and what the instance has."""

    condition: str
    wanted: tuple[str, ...]
    found: tuple[str, ...]


def facts(dataset: Dataset, calling_ae_title: str, today: date | None = None) -> dict[str, tuple[str, ...]]:
    """What rules may look at, of one instance. today: for the study's age; None is today, here."""
    found = {name: (_text(dataset, keyword),) for name, keyword in _KEYWORDS.items()}
    age = _age_days(_text(dataset, "StudyDate"), today or datetime.now().astimezone().date())
    return {
        **found,
        "calling_ae_title": (calling_ae_title,),
        "procedure_code": tuple(dict.fromkeys(_procedure_codes(dataset))) or ("",),
        "view_code": tuple(dict.fromkeys(_view_codes(dataset))) or ("",),
        "study_age_days": () if age is None else (str(age),),
    }


def decide(rules: Iterable[Rule], of: Facts) -> Rule | None:
    """The first rule that matches `of` (see `facts`), or None."""
    return next((rule for rule in rules if not any(mismatches(rule, of))), None)


def mismatches(rule: Rule, of: Facts) -> Iterator[Mismatch]:
    """The conditions that keep `rule` from taking this instance; none: it matches."""
    for name in type(rule.when).model_fields:
        wanted = getattr(rule.when, name)
        if isinstance(wanted, Days):
            if not any(wanted.holds(int(value)) for value in of[name]):
                yield Mismatch(condition=name, wanted=(wanted.told,), found=of[name])
        elif wanted and not any(expression(each).fullmatch(value) for each in wanted for value in of[name]):
            yield Mismatch(condition=name, wanted=wanted, found=of[name])


class Router:
    """The rules that count at the moment, and those that counted before and took what is still under way."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._earlier: dict[str, Rule] = {}

    @property
    def config(self) -> Config:
        """The configuration with the rules that count now."""
        return self._config

    def exchange(self, rules: tuple[Rule, ...]) -> None:
        """Take up other rules from now on. Raises ConfigError when they are not in order; then the old ones go on."""
        changed = self._config.with_rules(rules)
        self._earlier |= {rule.name: rule for rule in self._config.routing}
        self._config = changed

    def decide(self, of: Facts) -> Rule | None:
        """The rule that decides about an instance, or None: then it is refused."""
        return decide(self._config.routing, of)

    def destinations(self, taken: Iterable[tuple[str, str]]) -> tuple[str, ...]:
        """The destinations of an exam whose instances came by these (rule, sender), in the config's order.

        A rule that this node has never known counts as every destination: better one too many than none.
        """
        config, wanted = self._config, set[str]()
        for name, sender in taken:
            rule = self._named(name)
            wanted.update(config.destinations_of(rule, sender) if rule is not None else config.destinations)
        return tuple(name for name in config.destinations if name in wanted)

    def reading(self, rule_names: Iterable[str]) -> str | None:
        """How an exam is read whose instances these rules took, by its name under `readings`; None: the usual way.

        Where they disagree the rule that comes first decides.
        """
        names = set(rule_names)
        first = next((rule for rule in (*self._config.routing, *self._earlier.values()) if rule.name in names), None)
        return first.reading if first is not None and first.reading in self._config.readings else None

    def readings(self, rules: Iterable[Rule] | None = None) -> dict[str | None, ReadingSettings]:
        """Every way to read that the rules ask for, and the usual one (None)."""
        names = dict.fromkeys([None, *(rule.reading for rule in rules or self._config.routing)])
        return {name: self._config.reading_named(name) for name in names}

    def _named(self, name: str) -> Rule | None:
        return next((rule for rule in self._config.routing if rule.name == name), self._earlier.get(name))


def _text(dataset: Dataset, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip()[:_LONGEST]


def _age_days(study_date: str, today: date) -> int | None:
    """Days since a date (DA); None where there is none."""
    written = moments.sortable("DA", study_date)
    try:
        return (today - datetime.strptime(written, "%Y%m%d").date()).days
    except ValueError:
        return None


def _procedure_codes(dataset: Dataset) -> Iterator[str]:
    yield from _codes(dataset, _PROCEDURE_CODES)
    for request in _items(dataset, "RequestAttributesSequence"):
        yield from _codes(request, _REQUEST_CODES)


def _view_codes(dataset: Dataset) -> Iterator[str]:
    yield from _codes(dataset, _VIEW_CODES)
    for view in _items(dataset, "ViewCodeSequence"):
        yield from _codes(view, _VIEW_MODIFIERS)


def _codes(dataset: Dataset, keywords: Iterable[str]) -> Iterator[str]:
    """CODE and SCHEME:CODE of every item (PS3.3 Table 8.8-1)."""
    for keyword in keywords:
        for item in _items(dataset, keyword):
            value = _text(item, "CodeValue") or _text(item, "LongCodeValue")
            if value:
                yield value
                yield f"{_text(item, 'CodingSchemeDesignator')}:{value}"


def _items(dataset: Dataset, keyword: str) -> Iterator[Dataset]:
    """The items of a sequence; none where a sender made something else of it."""
    found = dataset.get(keyword)
    yield from found if isinstance(found, Sequence) else ()
