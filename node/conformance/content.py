"""Annex: the content of structured reports, as trees of the built ones, and the options of their templates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydantic import BaseModel

from ai.exam import STANDARD_VIEWS
from ai.findings import FindingType
from node.conformance import terminology, trees
from node.conformance.document import Block, Bullets, Section, Table
from node.conformance.examples import Example
from node.conformance.facts import Facts, number, uid_name
from node.conformance.trees import Item
from node.results import _codes
from node.results._codes import Code

#: What stands in items whose values are texts and numbers.
NOTES: dict[Code, str] = {
    _codes.ALGORITHM_NAME: "the model's name, as on its card",
    _codes.ALGORITHM_VERSION: "the model's version",
    _codes.ALGORITHM_PARAMETERS: "weights (start of their sha256), preprocessing, calibration, eligibility and "
    "strategy, then the model's own",
    _codes.TRACKING_IDENTIFIER: "“Exam”, or “Lesion n, view”: n is the same for one lesion on two views",
    _codes.TRACKING_UID: "the same in every object of one reading",
    _codes.IMPRESSION_DESCRIPTION: "the whole result in sentences: category, band, percentile, scores of the breasts, "
    "views read and not read, what was left out, composition, change since the prior, labelling",
    _codes.COMMENT: "in a measurement group at most four short lines that viewers draw; beside the category the whole "
    "result in sentences",
    _codes.DEVICE_UID: "another one when the software, the model or its calibration changes",
    _codes.DEVICE_NAME: "Station Name of the configuration, or the AE title",
    _codes.DEVICE_SERIAL_NUMBER: "the software's version",
    _codes.CERTAINTY_OF_IMPRESSION: "score of the exam; in the measurement report of exam, breast or view where the "
    "model is not calibrated",
    _codes.CERTAINTY_OF_FINDING: "score of the mark",
    _codes.PROBABILITY_OF_CANCER: "only of a calibrated model",
    _codes.VIEWS_NOT_READ: "only in an exam that was not read, in place of scores",
    _codes.BAND: "1 to 10, 10 the most suspicious tenth of the reference population",
    _codes.PERCENTILE: "within the reference population, one decimal",
    _codes.CENTER: "of the box, in pixels of the stored image",
    _codes.OUTLINE: "the box as a closed polyline, in pixels of the stored image",
    _codes.IMAGE_REGION: "a closed polyline in pixels of the stored image",
    _codes.SOURCE_OF_MEASUREMENT: "the breast's outline, or the frame of an image; no finding",
}
_OPERATING_POINT = Code("111071", "DCM", "CAD Operating Point")


def section(facts: Facts) -> Section:
    """The annex."""
    reports = [example for example in facts.examples if _is_report(example)]
    return Section(
        "Content of structured reports",
        (
            "The trees are those of reports built from made-up readings of every kind. VM is how often an item occurs "
            "below its parent, over all of them. Codes of the groups named are in [[Coded terminology]].",
        ),
        (
            _for_all(reports),
            *(_cad(example, facts) for example in reports if example.kind == "mammography_cad_sr"),
            *(_measurements(example) for example in reports if example.kind == "measurement_sr"),
            *(Section(f"Tree of {_title(example)}", (_tree_table(example),)) for example in reports),
            _algorithm_identification(),
            _not_read(facts),
            _not_findings(),
        ),
    )


def _is_report(example: Example) -> bool:
    return any("ContentSequence" in dataset for dataset in example.datasets)


def _title(example: Example) -> str:
    return example.kind + (f" ({example.told_options})" if example.told_options else "")


def tree(example: Example) -> Item:
    """The content of all an example's reports, laid over one another."""
    return trees.overlay(example.datasets)


def _for_all(reports: Sequence[Example]) -> Section:
    items = [item for example in reports for _, item in trees.walk(tree(example))]
    types = sorted({item.value_type for item in items} - {trees.BY_REFERENCE})
    relations = sorted({item.relationship for item in items} - {""})
    return Section(
        "What PS3.4 O.4.1 asks of a user of SR storage",
        (
            Bullets(
                (
                    "Objects that are referred to: images of the exam that the product received for reading, of any "
                    "image storage SOP class, and reports of its own that are replaced.",
                    f"Value types: {', '.join(types)}. Relationship types: {', '.join(relations)}, by value, and "
                    "in the CAD report also by reference.",
                    "A new SOP Instance UID is made when the images read, the images named as not read, the algorithm, "
                    "its weights, the revision, or the object's kind or options are others. Otherwise the same object "
                    "is made again, byte for byte.",
                    "A revised document names the one it replaces in Predecessor Documents Sequence. The replaced one "
                    "is never changed.",
                    "Documents are complete, unverified and final. There is no query of SR documents.",
                )
            ),
        ),
    )


def _cad(example: Example, facts: Facts) -> Section:
    """What PS3.4 O.4.1.1 asks of a user of Mammography CAD SR storage, and more that a workstation may ask."""
    root = tree(example)
    return Section(
        f"TID 4000 options of {_title(example)}",
        (
            Table(
                "Mammography CAD SR: detections, analyses, rendering",
                ("Option", "Here"),
                tuple(_cad_rows(root, example, facts)),
            ),
        ),
    )


def _cad_rows(root: Item, example: Example, facts: Facts) -> Iterator[tuple[str, str]]:
    stated = [_codes.FINDING_TYPES[FindingType(each)] for each in _option(example.options, "detections")]
    yield "Detections (CID 6014), stated in every report", _coded(stated)
    others = [code for code in _codes.FINDING_TYPES.values() if code not in stated]
    yield "Detections added when the model gives such a finding", _coded(others) or "none"
    yield "Views", ", ".join(map(str, STANDARD_VIEWS)) + f"; {_coded(_codes.VIEWS.values())} of CID 4014"
    yield (
        "Analyses (CID 6043)",
        _coded(trees.values_of(root, _codes.ANALYSIS_PERFORMED))
        + (
            "; the composition only where a model of it is configured"
            if _codes.COMPOSITION_ANALYSIS in trees.values_of(root, _codes.ANALYSIS_PERFORMED)
            else ""
        ),
    )
    yield "Composite features (TID 4004)", _used(root, _codes.COMPOSITE_FEATURE)
    yield "One lesion on two views", _on_two_views(root)
    yield "Rendering intent", _coded(trees.values_of(root, _codes.RENDERING_INTENT)) + _intent_rule(example.options)
    yield "CAD operating point (111071)", _used(root, _OPERATING_POINT)
    yield (
        "Which findings are in the report",
        "; ".join(
            f"those of {model.name} with a probability of at least {number(model.finding_threshold)}"
            for model in facts.models
            if model.task == "detection"
        )
        + "; there are none below it, so rendering need not be thinned out",
    )
    yield (
        "Scores",
        (
            "Certainty of Finding with every finding; Probability of Cancer besides, of a calibrated model only. "
            "Certainty of Impression of the exam."
        ),
    )
    yield "Category of the exam, band, percentile", "no code in TID 4000: in Impression Description (111033)"
    yield "Breast composition", "in Impression Description; its algorithm in Summary of Analyses"
    yield "BI-RADS assessment", "none"
    yield "Geometry", "Center as POINT, Outline as closed POLYLINE, both SELECTED FROM the image by reference"
    yield "Prior images", "not in the image library; in Pertinent Other Evidence Sequence"
    yield "Image library", "every image of the study that was received for reading, read or not; item n is 1.2.n"


def _option(options: BaseModel, name: str) -> Sequence[str]:
    return tuple(getattr(options, name, ()))


def _intent_rule(options: BaseModel) -> str:
    chosen = getattr(options, "rendering_intent", "")
    rule = f", for every impression and finding: the option rendering_intent is {chosen}"
    if chosen == "optional":
        rule += "; recommended is to show all of them together when the reader asks for CAD marks"
    return rule


def _used(root: Item, concept: Code) -> str:
    return "used" if trees.below([root], concept) else "not used"


def _on_two_views(root: Item) -> str:
    """How findings of one lesion are held together."""
    composites = trees.below([root], _codes.COMPOSITE_FEATURE)
    if not composites:
        return "two Single Image Findings in one Individual Impression/Recommendation"
    told = "; ".join(
        f"{concept.meaning.lower()}: {_coded(values)}"
        for concept in (_codes.COMPOSITE_TYPE, _codes.SCOPE_OF_FEATURE)
        if (values := trees.values_of(root, concept))
    )
    return f"a Composite Feature that is inferred from a Single Image Finding on each; {told}"


def _measurements(example: Example) -> Section:
    root = tree(example)
    rows = (
        ("SOP class", ", ".join(map(uid_name, example.sop_class_uids))),
        ("Observer", "a device (TID 1004); no person"),
        ("Procedure reported", _coded(trees.values_of(root, _codes.PROCEDURE_REPORTED))),
        ("First measurement group", "TID 1501: the exam, with the scores of exam, breasts and views, band, percentile"),
        (
            "Further measurement groups",
            "TID 1410: one for each marked region, with Finding (121071), site, score, region",
        ),
        (
            "A region beside a single lesion",
            "where one region is marked, a group with another view's breast outline and score, and no Finding",
        ),
        (
            "Qualitative evaluations",
            "triage category (private), CID 6047, reasons (private), breast composition (CID 6000)",
        ),
        ("Negative exam", "no group with a Finding; the exam's group is there"),
        ("Coordinates", "SCOORD: pixels (column, row) of the stored image"),
    )
    return Section(
        f"TID 1500 options of {_title(example)}", (Table("Measurement report: options", ("Option", "Here"), rows),)
    )


def _tree_table(example: Example) -> Table:
    rows = [
        (
            ">" * depth,
            item.relationship,
            item.value_type,
            terminology.told(item.concept) if item.concept else "",
            item.multiplicity,
            _value(item),
        )
        for depth, item in trees.walk(tree(example))
    ]
    head = ("Level", "Relationship", "Value type", "Concept name", "VM", "Value")
    return Table(f"Content of {_title(example)}", head, tuple(rows))


def _value(item: Item) -> str:
    parts = [f"TID {item.template}"] if item.template else []
    if item.value_type == trees.BY_REFERENCE:
        parts.append("an entry of the image library")
    elif item.value_type == "NUM":
        parts.append("unit " + ", ".join(code.value for code in item.codes))
    elif item.codes:
        parts.append(terminology.group_of(item.codes) or _coded(item.codes))
    parts += item.graphic_types
    return "; ".join([*parts, *_notes(item)])


def _notes(item: Item) -> Iterator[str]:
    """The note on its concept; one on regions is not for an image."""
    for concept, text in NOTES.items():
        is_image = item.value_type == "IMAGE" and concept is _codes.SOURCE_OF_MEASUREMENT
        if item.concept and item.concept[:2] == concept[:2] and not is_image:
            yield text


def _coded(codes: Iterable[Code]) -> str:
    return ", ".join(map(terminology.told, codes))


def _algorithm_identification() -> Section:
    return Section(
        "Algorithm identification (TID 4019)",
        (
            "Name and version of the model stand with the exam's result, with every detection and analysis and with "
            "every marked region; its parameters with the exam's result and with detections and analyses. A model of "
            "the composition is identified for itself. The same names are in Contributing Equipment Sequence.",
        ),
    )


def _not_read(facts: Facts) -> Section:
    """How objects of exams that were not read differ from those of negative ones: taken from built ones."""
    names = [
        name for name in facts.examples[0].built if name == "negative" or "not read" in name or "one breast" in name
    ]
    rows: list[tuple[str, ...]] = []
    for example in facts.examples:
        rows.append((_title(example), *("" for _ in names)))
        told = [dict(verdicts(example, name)) for name in names]
        for what in dict.fromkeys(key for each in told for key in each):
            rows.append((what, *(each.get(what, "absent") for each in told)))
    return Section(
        "Exams that were not read",
        (
            "An exam that may not be read, or could not be read, is answered all the same, and never as negative. "
            "An exam of which a part was read says which part was not. Objects that show nothing but findings are not "
            "made where there are none.",
            Table("How it is told", ("Element or concept", *names), tuple(rows)),
        ),
    )


_VERDICTS = (
    _codes.FINDINGS_SUMMARY,
    _codes.SUMMARY_OF_DETECTIONS,
    _codes.SUMMARY_OF_ANALYSES,
    _codes.TRIAGE_CATEGORY,
    _codes.REASON,
    _codes.REASON_LEFT_OUT,
)


def verdicts(example: Example, sample: str) -> Iterator[tuple[str, str]]:
    """What the objects of a sample say of the exam as a whole: element or concept → value."""
    datasets = list(example.built[sample].values())
    yield "objects", str(len(datasets)) if datasets else "none"
    for dataset in datasets[:1]:
        if "ContentSequence" in dataset:
            root = trees.overlay([dataset])
            for concept in _VERDICTS:
                if codes := trees.values_of(root, concept):
                    yield concept.meaning, ", ".join(f"{code.meaning} ({code.value})" for code in codes)
        for keyword in ("SeriesDescription", "DerivationDescription", "ContentLabel", "ContentDescription"):
            if keyword in dataset:
                yield keyword, str(dataset.get(keyword))


def _not_findings() -> Section:
    blocks: tuple[Block, ...] = (
        Bullets(
            (
                "In the measurement report a region is a finding only in a measurement group with Finding (121071). "
                "The breast outlines and image frames that the exam's numbers are inferred from are none; nor is the "
                "outline in the group beside a single lesion. They are there so that viewers which draw nothing "
                "without a region show the exam's result.",
                "In the CAD report every Single Image Finding is a finding; there are no other regions.",
                f"Band, percentile and the number of views not read are NUM items of the private scheme "
                f"{_codes.PRIVATE_SCHEME}: {_coded((_codes.BAND, _codes.PERCENTILE, _codes.VIEWS_NOT_READ))}.",
            )
        ),
    )
    return Section("Regions that are no findings, and private numbers", blocks)
