"""Annex: the information objects that are created, attribute by attribute."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from node.conformance import _modules, attributes
from node.conformance._modules import Module
from node.conformance.attributes import Attribute, Presence, Source
from node.conformance.document import Section, Table
from node.conformance.examples import Example
from node.conformance.facts import Facts, uid_name

_PRESENCE = {
    Presence.ALWAYS: "always there, with a value",
    Presence.VNAP: "always there, the value may be empty",
    Presence.ANAP: "not always there",
    Presence.EMPTY: "always there, without a value",
}
_SOURCE = {
    Source.COPY: "copied unchanged from an image of the exam",
    Source.SOURCE: "made from the headers of the images",
    Source.CONFIG: "from the configuration",
    Source.FIXED: "the same in every object",
    Source.AUTO: "made by the product, from the reading or for the object",
}
#: What is behind values that the product makes: of attributes of the data set, and of those within sequences.
NOTES = {
    "SOPInstanceUID": "derived: the same reading gives the same UID",
    "SeriesInstanceUID": "derived: one for each kind, options and revision",
    "InstanceNumber": "the revision",
    "ContentDate": "start of the analysis",
    "ContentTime": "start of the analysis",
    "SeriesDate": "as Content Date",
    "SeriesTime": "as Content Time",
    "InstanceCreationDate": "when the report was made",
    "InstanceCreationTime": "when the report was made",
    "TimezoneOffsetFromUTC": "of the image, else of the host; all times made are in it",
    "SpecificCharacterSet": "see [[Support of character sets]]",
    "ContributingEquipmentSequence": "an item for each model",
    "PredecessorDocumentsSequence": "in a revised document",
    "CurrentRequestedProcedureEvidenceSequence": "every object of the study that is referred to",
    "PertinentOtherEvidenceSequence": "images of the prior exam, where one is known",
    "ReferencedRequestSequence": "from Request Attributes Sequence of the image",
    "ContentSequence": "see [[Content of structured reports]]",
    "SourceImageSequence": "the images read; of an exam that was not read all",
    "ImageComments": "the whole result in sentences",
    "ImageLaterality": "of the breasts read: R, L or B",
    "LossyImageCompression": "01 where a source was compressed with loss",
}
_NOTED_COPIES = ("SpecificCharacterSet", "TimezoneOffsetFromUTC")
INNER_NOTES = {
    "Manufacturer": "the model's",
    "ManufacturerModelName": "the model's name",
    "SoftwareVersions": "of the model, and of the product",
    "DeviceUID": "another one when the software, the model or its calibration changes",
    "ContributionDateTime": "start of the analysis",
    "ContributionDescription": "with the start of the weights' sha256",
}


def section(facts: Facts) -> Section:
    """The annex."""
    every = {id(example): attributes.attributes(example) for example in facts.examples}
    common = _common(every)
    return Section(
        "Information objects created",
        (
            "Counted over objects built from made-up exams, with sources that hold every element and sources that hold "
            "hardly any. Where a value comes from is found by exchanging the sources, the reading or the "
            "configuration.",
            Table("Presence of a value", ("Word", "Meaning"), tuple(_PRESENCE.items())),
            Table("Source of a value", ("Word", "Meaning"), tuple(_SOURCE.items())),
        ),
        (
            Section(
                "What all objects have in common",
                (
                    _table(
                        "Attributes of every object",
                        facts.examples[0],
                        [a for a in every[id(facts.examples[0])] if a in common],
                    ),
                ),
            ),
            *(_object(example, [a for a in every[id(example)] if a not in common]) for example in facts.examples),
            Section(
                "Extensions",
                (
                    "All are standard SOP classes: none is extended, specialized or private. There are no private "
                    "attributes. Elements that the standard has retired are copied where a source has them.",
                ),
            ),
        ),
    )


def _common(every: Mapping[int, tuple[Attribute, ...]]) -> set[Attribute]:
    return set.intersection(*(set(each) for each in every.values()))


def _object(example: Example, own: list[Attribute]) -> Section:
    options = f" ({example.told_options})" if example.told_options else ""
    sent = f"Sent to {', '.join(example.destinations)}." if example.destinations else "Not sent in this configuration."
    parts = dict.fromkeys(part for built in example.built.values() for part in built)
    many = f" One object for each of: {', '.join(parts)}." if list(parts) != [""] else ""
    classes = ", ".join(f"{uid_name(uid)} ({uid})" for uid in example.sop_class_uids)
    return Section(
        f"Object {example.kind}{options}",
        (
            f"{example.about} {classes}. {sent}{many} Besides what all objects have in common:",
            _table(f"Attributes of {example.kind}{options}", example, own),
        ),
    )


def _table(caption: str, example: Example, own: Iterable[Attribute]) -> Table:
    head = ("Attribute", "Tag", "VR", "Presence", "Source", "Value or rule")
    return Table(caption, head, tuple(_rows(example, list(own))))


def _rows(example: Example, own: list[Attribute]) -> Iterator[tuple[str, ...]]:
    uid = example.sop_class_uids[0]
    for module in _modules.MODULES[uid]:
        rows = [each for each in own if _modules.module_of(uid, each.path[0]) is module]
        if rows:
            yield _heading(module), "", "", "", "", ""
        for each in rows:
            yield each.name, each.tag, each.vr, each.presence, each.source, each.value or _note(each)


def _note(attribute: Attribute) -> str:
    if attribute.source is Source.COPY and attribute.keyword not in _NOTED_COPIES:
        return ""
    return (NOTES if len(attribute.path) == 1 else INNER_NOTES).get(attribute.keyword, "")


def _heading(module: Module) -> str:
    return f"{module.name} ({module.reference})"
