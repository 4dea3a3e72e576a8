"""The conformance statement says what the code does, and the page in docs is the one of the shipped configuration."""

from __future__ import annotations

import importlib.util
import json
import re
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ai.findings import Category, FindingType
from node import errors, results
from node.cli import make_app
from node.config import Config, config_from, load_config
from node.conformance import _modules, attributes, content, facts, markdown, objects, services, trees, web
from node.conformance.document import Document, Section
from node.conformance.facts import Facts
from node.conformance.statement import statement, told
from node.destinations import _stow_answer
from node.dimse import scu
from node.errors import PermanentDelivery, RetriableDelivery
from node.results import _codes
from node.web import described, query_parameters
from scripts.conformance_statement import PAGE
from tests.support import REPOSITORY

SHIPPED = REPOSITORY / "config.yaml"
OTHER = {
    "node": {"ae_title": "OTHER_NODE", "institution_name": "Example Hospital"},
    "network": {"maximum_pdu_bytes": 65536},
    "web": {"port": None},
    "peers": {"ELSEWHERE": {"ae_title": "ELSE", "host": "pacs.example", "port": 104}},
    "destinations": {
        "LATE": {
            "type": "dicom_store",
            "peer": "ELSEWHERE",
            "results": [
                {"kind": "measurement_sr", "sop_class": "enhanced"},
                {"kind": "mammography_cad_sr", "rendering_intent": "optional", "detections": ["SOFT_TISSUE"]},
            ],
        }
    },
    "routing": [{"name": "ffdm", "when": {"sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2"}}],
}
"""A configuration that differs from the shipped one wherever the statement tells of it."""


@cache
def current() -> str:
    """What `make docs` writes."""
    return markdown.text(told(shipped()))


@cache
def shipped() -> Facts:
    return facts.gather(load_config(SHIPPED))


@cache
def other() -> str:
    return markdown.text(statement(config_from(OTHER, Path("nowhere"))))


@cache
def standard(name: str) -> dict[str, list[dict[str, object]]]:
    """What highdicom has taken from the standard's tables."""
    spec = importlib.util.find_spec("highdicom")
    assert spec is not None
    assert spec.origin is not None
    return json.loads((Path(spec.origin).parent / "_standard" / f"{name}.json").read_text(encoding="utf-8"))


def product_source(*places: str) -> str:
    """The text of these files and folders of the product."""
    files = [
        file
        for place in places
        for file in ([REPOSITORY / place] if place.endswith(".py") else (REPOSITORY / place).glob("*.py"))
    ]
    return "\n".join(file.read_text(encoding="utf-8") for file in files)


def rows(text: str, caption: str) -> list[list[str]]:
    """The cells of the table with this caption, without its head."""
    table = text.split(f"{caption}*\n\n", 1)[1].split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()[2:]]


# ---------------------------------------------------------------------- the page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == current(), "docs/conformance.md is out of date: run `make docs`"


def test_the_command_writes_the_same_again(tmp_path: Path) -> None:
    file = tmp_path / "statement.md"
    arguments = ["conformance", "--config", str(SHIPPED), "--out", str(file)]
    done = CliRunner().invoke(make_app(arguments), arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert file.read_text(encoding="utf-8") == current(), "made again, the statement is another one"


def test_the_page_tells_nothing_of_the_machine_or_of_the_samples() -> None:
    text = current()
    assert str(REPOSITORY) not in text
    assert re.findall(r"SAMPLE|Made up\.|first parameter|1\.2\.826\.0\.1\.3680043\.8\.498", text) == []


def test_every_link_leads_to_a_heading() -> None:
    text = current()
    anchors = {re.sub(r"[^\w\- ]", "", line.lstrip("# ").lower()).replace(" ", "-") for line in text.splitlines()}
    assert sorted({link for link in re.findall(r"\(#([^)]+)\)", text) if link not in anchors}) == []


def test_every_row_of_a_table_has_as_many_cells_as_its_head() -> None:
    tables = re.findall(r"(?:^\|.*\n)+", current(), re.MULTILINE)
    uneven = [
        table.splitlines()[0]
        for table in tables
        if len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) > 1
    ]
    assert len(tables) > 30
    assert uneven == []


def test_a_reference_to_no_section_is_an_error() -> None:
    document = Document("Title", (), (Section("One", ("see [[Two]]",)),))
    with pytest.raises(markdown.NoSuchSection, match="Two"):
        markdown.text(document)


# ---------------------------------------------------------------------- another configuration, another statement


@pytest.mark.parametrize(
    "told",
    [
        "| AE title | OTHER_NODE |",
        "| Institution Name of results | Example Hospital |",
        "| Largest PDU received, bytes | 65536 |",
        "| ELSEWHERE | ELSE | pacs.example | 104 |",
        "Any AE title, from this host alone.",
        "| Enhanced SR Storage | 1.2.840.10008.5.1.4.1.1.88.22 | yes | yes |",
        "| **No rule: answered with 0x0122** |  |",
        '(111151, DCM, "Presentation Optional: Rendering device may present"), for every impression',
        '| Detections (CID 6014), stated in every report | (129793001, SCT, "Mammography breast density") |',
    ],
)
def test_it_is_of_the_configuration(told: str) -> None:
    assert told in other()
    assert told not in current()


def test_every_offered_kind_is_told_of_whether_it_is_sent_or_not() -> None:
    for text in (current(), other()):
        assert [kind for kind in results.offered() if f" Object {kind}" not in text] == []


def test_it_is_told_which_objects_are_sent() -> None:
    def about(text: str) -> str:
        return text.split(" Object summary_sc\n", 1)[1].partition("*Table")[0]

    assert re.search(r"Sent to (.*, )?PACS(,|\.)", about(current()))
    assert "Not sent in this configuration." in about(other())


def test_unconfigured_objects_are_not_claimed_as_user() -> None:
    told = {row[1]: row[2] for row in rows(other(), "Network services") if len(row) == 4}
    assert told["1.2.840.10008.5.1.4.1.1.88.22"] == "yes"
    assert "1.2.840.10008.5.1.4.1.1.7" not in told, "the card goes nowhere in this configuration"


# ---------------------------------------------------------------------- statuses


def test_every_failure_is_one_that_the_tree_of_errors_has() -> None:
    told = {row[0] for row in services.answers(shipped())}
    refusals = {f"0x{each.dimse_status:04X}" for each in errors.Refused.__subclasses__()}
    assert told >= {"0x0000", "0xB000", "0xA700", "0xA900", "0xC000", "0x0122"}
    assert told - refusals == {"0x0000", "0xB000", "0xA700"}


def test_a_refusal_that_is_never_made_is_not_told_of() -> None:
    """0x0124 is in the tree of errors for those who need it; the receiver refuses callers before, by rejecting."""
    made = "NotAuthorized(" in product_source("node/intake.py", "node/dimse/scp.py")
    assert ("0x0124" in {row[0] for row in services.answers(shipped())}) == made


@pytest.mark.parametrize(
    ("status", "reaction"),
    [(0x0000, "delivered"), (0xB006, "delivered"), (0xA7FF, "tried again"), (0xA900, "given up"), (0x0122, "given up")],
)
def test_reactions_cover_every_status_once(status: int, reaction: str) -> None:
    ranges = [(*(int(part, 16) for part in (codes.split("–") * 2)[:2]), told) for codes, told in services.reactions()]
    assert sum(last - first + 1 for first, last, _ in ranges) == 0x10000
    assert next(told for first, last, told in ranges if first <= status <= last).startswith(reaction)


# ---------------------------------------------------------------------- what is said to be missing


@pytest.mark.parametrize(
    ("missing", "words"),
    services.NOT_OFFERED.items(),
    ids=lambda value: str(value)[:30],
)
def test_what_is_said_to_be_missing_is_missing(missing: str, words: tuple[str, ...]) -> None:
    source = product_source("node/dimse", "node/app.py", "node/logs.py")
    found = [word for word in words if word in source]
    assert found == [], f"the statement says that there is no {missing}: change node/conformance"


# ---------------------------------------------------------------------- objects


@pytest.mark.parametrize("kind", results.offered())
def test_every_attribute_has_its_module(kind: str) -> None:
    """The table of modules against the standard's, as another project has taken it from there."""
    of_class, modules = standard("sop_class_iod_map"), standard("module_attribute_map")
    wrong = []
    for example in (each for each in shipped().examples if each.kind == kind):
        uid = example.sop_class_uids[0]
        allowed = {str(each["key"]) for each in standard("iod_module_map")[str(of_class[uid])]}
        for attribute in attributes.attributes(example):
            if len(attribute.path) > 1:
                continue
            module = _modules.module_of(uid, attribute.keyword)
            if module is None:
                wrong.append(f"{attribute.keyword}: in no module")
            elif module.reference != "PS3.6":
                key = module.name.lower().replace(" ", "-")
                holds = {each["keyword"] for each in modules.get(key, ()) if not each["path"]}
                if key not in allowed or attribute.keyword not in holds:
                    wrong.append(f"{attribute.keyword}: not in {module.name}")
    assert wrong == []


def test_no_object_has_a_private_attribute() -> None:
    for example in shipped().examples:
        assert [each.tag for dataset in example.datasets for each in dataset.iterall() if each.tag.is_private] == []


def test_the_samples_make_every_kind_and_show_every_category_and_finding() -> None:
    samples = shipped().examples[0].samples
    readings = [report.reading for report in samples.reports.values()]
    assert {reading.category for reading in readings} == set(Category)
    assert {finding.finding_type for reading in readings for finding in reading.findings} == set(FindingType)
    assert [example.kind for example in shipped().examples if not example.datasets] == []


def source_of(kind: str, keyword: str) -> str:
    example = next(each for each in shipped().examples if each.kind == kind)
    return next(each.source for each in attributes.attributes(example) if each.path == (keyword,))


@pytest.mark.parametrize(
    ("keyword", "source"),
    [
        ("PatientName", "COPY"),
        ("StudyInstanceUID", "COPY"),
        ("StationName", "CONFIG"),
        ("CompletionFlag", "FIXED"),
        ("CurrentRequestedProcedureEvidenceSequence", "SOURCE"),
        ("SOPInstanceUID", "AUTO"),
        ("ContentDate", "AUTO"),
    ],
)
def test_where_a_value_comes_from_is_found(keyword: str, source: str) -> None:
    assert source_of("measurement_sr", keyword) == source


def test_notes_are_on_what_there_is() -> None:
    examples = shipped().examples
    items = [item for each in examples if each.kind.endswith("_sr") for _, item in trees.walk(content.tree(each))]
    concepts = {item.concept[:2] for item in items if item.concept}
    found = [attribute for example in examples for attribute in attributes.attributes(example)]
    assert [concept for concept in content.NOTES if concept[:2] not in concepts] == []
    assert sorted(set(objects.NOTES) - {each.keyword for each in found if len(each.path) == 1}) == []
    assert sorted(set(objects.INNER_NOTES) - {each.keyword for each in found if len(each.path) > 1}) == []


def test_only_groups_with_a_finding_mark_findings() -> None:
    """What the statement says of outlines: the exam's group has no region of its own, and no Finding."""
    example = next(each for each in shipped().examples if each.kind == "measurement_sr")
    exam, regions = trees.below([content.tree(example)], _codes.MEASUREMENT_GROUP)
    assert (exam.template, regions.template) == ("1501", "1410")
    assert _codes.FINDING not in {child.concept for child in exam.children}
    assert _codes.IMAGE_REGION not in {child.concept for child in exam.children}
    finding = next(child for child in regions.children if child.concept == _codes.FINDING)
    assert finding.multiplicity == "0-1", "a region beside a single lesion has none"


def test_an_exam_that_was_not_read_is_never_told_as_negative() -> None:
    for example in shipped().examples:
        negative, *unread = (
            dict(content.verdicts(example, name)) for name in ("negative", "not read: refused", "not read: failed")
        )
        if negative and example.kind.endswith("_sr"):
            told = "CAD Processing and Findings Summary"
            assert all(each[told] != negative[told] for each in unread)


# ---------------------------------------------------------------------- web, models


def test_whether_web_services_are_served_is_told() -> None:
    at = load_config(SHIPPED).web
    assert at.port is not None
    assert f"Served at http://{at.host}:{at.port}{at.path}" in current()
    assert "| WADO-RS | yes | no |" in current()
    assert "| WADO-RS | not in this configuration | no |" in other()


def test_where_results_are_stored_over_the_web_is_told() -> None:
    places = load_config(SHIPPED).destinations.values()
    servers = [each.server.url for each in places if each.server is not None and each.type == "dicomweb_store"]
    assert servers
    assert [url for url in servers if f"| {url} |" not in current()] == []
    assert "| STOW-RS | yes | yes |" in current()
    assert "| STOW-RS | not in this configuration | not in this configuration |" in other()


@pytest.mark.parametrize(
    ("reason", "error"),
    [(0xA700, RetriableDelivery), (0x0111, None), (0xC000, PermanentDelivery), (0x0122, PermanentDelivery)],
)
def test_a_failure_reason_is_taken_as_told(reason: int, error: type[Exception] | None) -> None:
    failed = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [reason]}}]}}
    verdict = _stow_answer.judge(409, json.dumps(failed).encode(), "1.2.3")
    assert verdict.error is None if error is None else type(verdict.error) is error


def test_every_query_parameter_is_told_of() -> None:
    assert sorted(web.PARAMETERS) == sorted(query_parameters.OPTIONS)


def test_no_resource_of_the_web_side_is_forgotten() -> None:
    told = {(row[1], row[2].strip("`")) for row in rows(current(), "Resources")}
    assert told == {(route.method, route.path.replace(":path", "")) for route in described.routes()}


def test_a_bundle_that_cannot_be_read_is_named() -> None:
    config = Config(reading={"bundles": ["missing"]}, destinations=load_config(None).destinations)
    with pytest.raises(errors.ConfigError, match=r"missing: card\.json"):
        facts.gather(config)


def test_verification_is_proposed_as_told() -> None:
    assert {uid for uid, _ in scu.VERIFICATION} == {facts.VERIFICATION}
