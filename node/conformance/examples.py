"""Result objects, really built: every offered kind, and every kind with the options that a destination asks for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel
from pydicom.dataset import Dataset

from node import results
from node.config import Config
from node.conformance._sample import Samples
from node.results import Predecessor, Report

Built = Mapping[str, Dataset]
Key = tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """Objects of one kind and options. destinations: which of the configuration get it, none for a kind only offered.

    built: the sample's name → part → object. other_source, other_reading, other_device: see `Samples`; by part.
    """

    kind: str
    options: BaseModel
    destinations: tuple[str, ...]
    samples: Samples
    built: Mapping[str, Built]
    other_source: Built
    other_reading: Built
    other_device: Built

    @property
    def about(self) -> str:
        """The first sentence of the kind's module."""
        return str(results.load(self.kind).__doc__).partition("\n")[0]

    @property
    def datasets(self) -> tuple[Dataset, ...]:
        """Every object of every sample, the fullest sample first."""
        return tuple(dataset for parts in self.built.values() for dataset in parts.values())

    @property
    def full(self) -> Built:
        """The objects of the fullest sample."""
        return next(iter(self.built.values()))

    @property
    def sop_class_uids(self) -> tuple[str, ...]:
        """Of its objects, each once."""
        return tuple(dict.fromkeys(str(dataset.SOPClassUID) for dataset in self.datasets))

    @property
    def told_options(self) -> str:
        """Options that differ from the defaults, as in config.yaml; "" when none does."""
        differing = self.options.model_dump(mode="json", exclude_defaults=True)
        return ", ".join(f"{name}: {value}" for name, value in differing.items())


def build(config: Config, samples: Samples) -> tuple[Example, ...]:
    """An example for each kind and options of the configuration, and one for each other kind with its defaults."""
    wanted = _wanted(config)
    choices = {key: options for key, (options, _) in wanted.items()}
    built = {name: _made_of(choices, report) for name, report in samples.reports.items()}
    source, reading, device = (
        _made_of(choices, report) for report in (samples.other_source, samples.other_reading, samples.other_device)
    )
    return tuple(
        Example(
            kind=key[0],
            options=options,
            destinations=destinations,
            samples=samples,
            built={name: made[key] for name, made in built.items()},
            other_source=source[key],
            other_reading=reading[key],
            other_device=device[key],
        )
        for key, (options, destinations) in wanted.items()
    )


def _made_of(choices: Mapping[Key, BaseModel], report: Report) -> dict[Key, Built]:
    """The objects of a report; a revision knows of those of the revision before."""
    reports = dict.fromkeys(choices, report) if report.reading.revision == 1 else _after_earlier(choices, report)
    return {key: _made(key[0], choices[key], each) for key, each in reports.items()}


def _after_earlier(choices: Mapping[Key, BaseModel], report: Report) -> dict[Key, Report]:
    """The report as each kind gets it, knowing of the objects of the revision before."""
    before = replace(report, reading=replace(report.reading, revision=report.reading.revision - 1))
    earlier = {key: _made(key[0], options, before) for key, options in choices.items()}
    superseded = tuple(_predecessor(dataset) for parts in earlier.values() for dataset in parts.values())
    return {
        key: replace(
            report,
            predecessors={part: _predecessor(dataset) for part, dataset in parts.items()},
            superseded=superseded,
        )
        for key, parts in earlier.items()
    }


def _wanted(config: Config) -> dict[Key, tuple[BaseModel, tuple[str, ...]]]:
    """(kind, its options as JSON) → options and destinations; the configured ones first."""
    found: dict[Key, tuple[BaseModel, tuple[str, ...]]] = {}
    for name, destination in config.destinations.items():
        for choice in destination.results:
            options = results.load(choice.kind).OPTIONS(**choice.options)
            key = (choice.kind, options.model_dump_json())
            _, before = found.get(key, (options, ()))
            found[key] = (options, tuple(dict.fromkeys((*before, name))))
    configured = {kind for kind, _ in found}
    for kind in results.offered():
        if kind not in configured:
            options = results.load(kind).OPTIONS()
            found[kind, options.model_dump_json()] = (options, ())
    return found


def _made(kind: str, options: BaseModel, report: Report) -> Built:
    return results.load(kind).build(report, options)


def _predecessor(dataset: Dataset) -> Predecessor:
    return Predecessor(
        study_instance_uid=str(dataset.StudyInstanceUID),
        series_instance_uid=str(dataset.SeriesInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
    )


def of_destination(examples: Iterable[Example], name: str) -> tuple[Example, ...]:
    """Those that the destination `name` gets."""
    return tuple(example for example in examples if name in example.destinations)
