"""Which instances are read, stored or refused, and where an exam's results go."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from node import explained, routing
from node.config import Config, config_from
from node.errors import ConfigError
from node.routing import Router
from node.settings_routing import Rule
from tests.support_exams import view

FOLDER = {"type": "folder", "folder": "results", "results": ["summary_sc"]}
PEER = {"host": "127.0.0.1", "port": 104}
TODAY = date(2026, 12, 3)  # the exams' Study Date is 2026-11-23


def config(*rules: dict[str, Any], **sections: Any) -> Config:
    destinations = {"pacs": FOLDER, "archive": FOLDER, "research": FOLDER}
    settings = {"destinations": destinations, "routing": list(rules), **sections}
    return config_from(settings, Path("/nonexistent"))


def faults(*rules: dict[str, Any], **sections: Any) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config(*rules, **sections)
    return str(caught.value).splitlines()


def decide(*rules: dict[str, Any], calling: str = "PACS1", **elements: object) -> str | None:
    rule = routing.decide(config(*rules).routing, routing.facts(view(**elements), calling, TODAY))
    return rule.name if rule else None


def code(value: str, scheme: str, **more: object) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator = value, scheme
    for keyword, each in more.items():
        setattr(item, keyword, each)
    return item


# --- which rule


def test_the_first_rule_that_matches_decides() -> None:
    rules = [{"name": "a", "when": {"modality": "CT"}}, {"name": "b", "when": {"modality": "MG"}}, {"name": "c"}]
    assert decide(*rules) == "b"
    assert decide(*rules, Modality="US") == "c"


def test_no_rule_takes_what_none_matches() -> None:
    assert decide({"name": "mg", "when": {"modality": "MG"}}, Modality="CT") is None


@pytest.mark.parametrize(
    ("when", "matches"),
    [
        ({"calling_ae_title": "PACS*"}, True),
        ({"calling_ae_title": ["OTHER", "pacs1"]}, True),
        ({"calling_ae_title": "PACS"}, False),
        ({"calling_ae_title": "PACS?"}, True),
        ({"manufacturer": "test*", "modality": "MG"}, True),
        ({"manufacturer": "test*", "modality": "CT"}, False),
        ({"manufacturer": "/MAKER$/"}, True),
        ({"manufacturer": "/^maker/"}, False),
        ({"manufacturer": ["/^maker/", "/t.*t/"]}, True),
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2"}, True),
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.?"}, True),
        ({"station_name": "ROOM*"}, False),
        ({"station_name": ""}, True),
        ({"manufacturer": ""}, False),
        ({"station_name": "*"}, True),
        ({"presentation_intent_type": "for presentation"}, True),
        ({"presentation_intent_type": "FOR PROCESSING"}, False),
        ({"study_description": "/screening/"}, True),
        ({"series_description": "R CC*"}, True),
        ({"study_age_days": {"minimum": 10}}, True),
        ({"study_age_days": {"minimum": 11}}, False),
        ({"study_age_days": {"maximum": 10}}, True),
        ({"study_age_days": {"minimum": 0, "maximum": 9}}, False),
        ({"study_age_days": {}}, True),
        ({}, True),
    ],
)
def test_every_condition_must_match_by_any_of_its_patterns(when: dict[str, object], matches: bool) -> None:
    described = {"StudyDescription": "Mammography screening, round 3", "SeriesDescription": "R CC tomo"}
    assert (decide({"name": "rule", "when": when}, **described) == "rule") is matches


@pytest.mark.parametrize("study_date", [None, "", "20261332", "soon"])
def test_without_a_date_a_study_has_no_age(study_date: str | None) -> None:
    assert decide({"name": "rule", "when": {"study_age_days": {}}}, StudyDate=study_date) is None


@pytest.mark.parametrize(
    ("condition", "wanted", "matches"),
    [
        ("procedure_code", "MAMSCR", True),
        ("procedure_code", "99OURS:MAMSCR", True),
        ("procedure_code", "99THEIRS:MAMSCR", False),
        ("procedure_code", "REQUESTED", True),
        ("procedure_code", "SCHEDULED", True),
        ("procedure_code", "399368009", False),
        ("view_code", "SCT:399368009", True),
        ("view_code", "399055006", True),
        ("view_code", "/^SCT:399\\d+$/", True),
        ("view_code", "R-10242", False),
    ],
)
def test_codes_are_looked_for_where_procedures_and_views_have_them(condition: str, wanted: str, matches: bool) -> None:
    dataset = view(position="MLO")
    dataset.ProcedureCodeSequence = [code("MAMSCR", "99OURS")]
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = [code("399055006", "SCT")]
    request = Dataset()
    request.RequestedProcedureCodeSequence = [code("REQUESTED", "99OURS")]
    request.ScheduledProtocolCodeSequence = [code("SCHEDULED", "99OURS")]
    dataset.RequestAttributesSequence = [request]
    (rule,) = config({"name": "rule", "when": {condition: wanted}}).routing
    assert (not any(routing.mismatches(rule, routing.facts(dataset, "PACS")))) is matches


def test_a_sequence_that_is_none_has_no_codes() -> None:
    dataset = view()
    dataset.add_new("ProcedureCodeSequence", "LO", "not items")
    assert routing.facts(dataset, "PACS")["procedure_code"] == ("",)


def test_facts_come_from_the_header_and_the_sender() -> None:
    found = routing.facts(view(StationName=" ROOM 1 "), "PACS", TODAY)
    assert found["station_name"] == ("ROOM 1",)
    assert found["calling_ae_title"] == ("PACS",)
    assert found["study_age_days"] == ("10",)
    assert set(found) == set(Rule(name="any").when.model_dump()), "a condition that looks at nothing"


# --- what a rule says


def test_results_go_where_any_of_the_exams_rules_says_in_the_order_of_the_config() -> None:
    router = Router(
        config(
            {"name": "one", "destinations": ["research", "pacs"]},
            {"name": "two", "destinations": "archive"},
            {"name": "all"},
        )
    )
    assert router.destinations([("one", "X")]) == ("pacs", "research")
    assert router.destinations([("one", "X"), ("two", "X")]) == ("pacs", "archive", "research")
    assert router.destinations([("all", "X")]) == ("pacs", "archive", "research")


def test_a_rule_that_the_node_never_knew_counts_as_every_destination() -> None:
    router = Router(config({"name": "new", "destinations": "pacs"}))
    assert router.destinations([("old", "X")]) == ("pacs", "archive", "research")


def sender_config(*destinations: str) -> Config:
    return config(
        {"name": "rule", "destinations": list(destinations)},
        destinations={
            "pacs": {"peer": "PACS", "results": ["summary_sc"]},
            "room": {"peer": "STATION", "results": ["summary_sc"], "answers": ["ROOM*", "BUS"]},
            "files": FOLDER,
        },
        peers={"PACS": {"ae_title": "PACS1", **PEER}, "STATION": {"ae_title": "STATION", **PEER}},
    )


@pytest.mark.parametrize(
    ("sender", "back"),
    [("PACS1", ("pacs",)), ("STATION", ("room",)), ("ROOM3", ("room",)), ("BUS", ("room",)), ("STRANGER", ())],
)
def test_back_to_the_sender_is_to_its_peer_or_to_whom_answers_for_it(sender: str, back: tuple[str, ...]) -> None:
    router = Router(sender_config("@sender"))
    assert router.destinations([("rule", sender)]) == back
    assert Router(sender_config("@sender", "files")).destinations([("rule", sender)]) == (*back, "files")


def test_an_exam_of_two_senders_goes_back_to_both() -> None:
    assert Router(sender_config("@sender")).destinations([("rule", "PACS1"), ("rule", "BUS")]) == ("pacs", "room")


READINGS = {"strict": {"operating_points": {"rule_out_percentile": 5}}, "priors": {"strategy": "with_priors"}}


def test_a_rule_says_how_its_exams_are_read() -> None:
    router = Router(config({"name": "a", "reading": "strict"}, {"name": "b"}, readings=READINGS))
    assert router.reading(["a"]) == "strict"
    assert router.reading(["b"]) is None
    assert router.reading(["b", "a"]) == "strict", "the rule that comes first in the configuration decides"
    assert set(router.readings()) == {None, "strict"}, "what no rule names is not loaded"


def test_another_way_to_read_is_the_usual_one_but_for_what_it_says() -> None:
    usual = {"bundles": ["demo", "x/y"], "strategy_options": {"a": 1}, "threads": 3}
    made = config({"name": "a"}, readings=READINGS, reading=usual)
    strict, priors = made.reading_named("strict"), made.reading_named("priors")
    assert made.reading_named(None) == made.reading
    assert (strict.operating_points.rule_out_percentile, strict.threads) == (5, 3)
    assert (strict.bundles, strict.strategy_options) == (made.reading.bundles, {"a": 1})
    assert (priors.strategy, priors.strategy_options) == ("with_priors", {}), "options are of one strategy"


# --- exchanged while the node runs


def test_rules_are_exchanged_whole_and_the_old_ones_are_known_for_what_they_took() -> None:
    router = Router(config({"name": "old", "destinations": "pacs", "reading": "strict"}, readings=READINGS))
    router.exchange(config({"name": "new", "destinations": "archive"}).routing)
    assert [rule.name for rule in router.config.routing] == ["new"]
    assert router.destinations([("old", "X")]) == ("pacs",)
    assert router.reading(["old"]) == "strict"


def test_rules_that_lead_nowhere_here_are_refused_and_the_old_ones_go_on() -> None:
    router = Router(config({"name": "old", "destinations": "pacs"}))
    other = config({"name": "new", "destinations": "far"}, destinations={"far": FOLDER}).routing
    with pytest.raises(ConfigError, match=r"routing\.0\.destinations: value 'far' is not allowed; allowed: pacs, arch"):
        router.exchange(other)
    assert [rule.name for rule in router.config.routing] == ["old"]


# --- what is refused


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"when": {"modality": "/(/"}}, "when.modality: value '/(/' is not allowed; allowed: a text or a list of"),
        ({"when": {"procedure_code": 12}}, "when.procedure_code: value 12 is not allowed; allowed: a text or a list"),
        (
            {"when": {"study_age_days": {"minimum": 9, "maximum": 3}}},
            "when.study_age_days.minimum: value 9 is not allowed; allowed: at most maximum, 3",
        ),
        ({"when": {"study_age_days": {"min": 9}}}, "when.study_age_days.min: unknown key; did you mean minimum?"),
        ({"status": 0xA700}, "status: value 42752 is not allowed; allowed: null, as the rule's action is read"),
        (
            {"action": "refuse", "status": 0xB000},
            "status: value '0xB000' is not allowed; allowed: a failure of the storage service: 0x0122, 0x0124, 0xA700",
        ),
        ({"action": "refuse", "status": 0}, "status: value 0 is not allowed; allowed: a failure of the storage"),
        ({"action": "refuse", "http_status": 200}, "http_status: value 200 is not allowed; allowed: a code from 400"),
        ({"action": "refuse", "forward": "pacs"}, "forward: value ['pacs'] is not allowed; allowed: [], as nothing"),
        ({"forward": "nowhere"}, "forward: value 'nowhere' is not allowed; allowed: pacs, archive, research"),
        ({"reading": "other"}, "reading: value 'other' is not allowed; allowed: a name under readings; there is none"),
        (
            {"destinations": "@sender"},
            "destinations: value '@sender' is not allowed; allowed: destinations of which one has a peer",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_of_a_rule_names_key_value_and_what_is_allowed(rule: dict[str, Any], told: str) -> None:
    (line,) = faults({"name": "rule", **rule})
    assert line.startswith(f"routing.0.{told}")


def test_a_destination_without_results_answers_no_exam() -> None:
    destinations = {"pacs": FOLDER, "copies": {**FOLDER, "results": []}}
    config({"name": "a", "destinations": ["pacs", "copies"], "forward": "copies"}, destinations=destinations)
    (line,) = faults({"name": "a", "destinations": "copies", "forward": "copies"}, destinations=destinations)
    assert "a result that every exam has" in line


def test_whoever_sent_an_exam_gets_a_result_that_every_exam_has() -> None:
    silent = {"peer": "PACS", "results": ["key_objects"]}
    destinations = {"pacs": FOLDER, "room": silent}
    peers = {"PACS": {"ae_title": "PACS1", **PEER}}
    config({"name": "a", "destinations": ["@sender", "pacs"]}, destinations=destinations, peers=peers)
    (line,) = faults({"name": "a", "destinations": "@sender"}, destinations=destinations, peers=peers)
    assert "a result that every exam has" in line


# --- explained


def test_an_explanation_names_the_rule_and_every_condition_that_kept_those_before_it() -> None:
    made = config(
        {"name": "far", "when": {"modality": "CT", "station_name": ["A", "B"], "manufacturer": "*"}},
        {"name": "mg", "when": {"modality": "MG"}, "destinations": "archive", "forward": "research"},
        {"name": "never"},
    )
    found = explained.explain(made, view(), "PACS1", "a.dcm")
    assert (found.number, found.rule, found.action, found.conditions) == (2, "mg", "read", ("modality",))
    assert (found.destinations, found.forward, found.status) == (("archive",), ("research",), None)
    (passed,) = found.passed_over
    told = [(each.condition, each.wanted, each.found) for each in passed.because]
    assert (passed.number, passed.rule) == (1, "far")
    assert told == [("modality", ("CT",), ("MG",)), ("station_name", ("A", "B"), ("",))]


@pytest.mark.parametrize(
    ("rule", "action", "status"),
    [
        ({"action": "refuse"}, "refuse", 0x0122),
        ({"action": "refuse", "status": 0xA700}, "refuse", 0xA700),
        ({"when": {"modality": "CT"}}, "refuse", 0x0122),
        ({"action": "store"}, "store", None),
    ],
)
def test_an_explanation_tells_the_status_of_what_is_refused(
    rule: dict[str, Any], action: str, status: int | None
) -> None:
    found = explained.explain(config({"name": "rule", **rule}), view(), "PACS1", "a.dcm")
    assert (found.action, found.status, found.destinations) == (action, status, ())


def test_an_explained_exam_goes_where_its_instances_rules_say_together() -> None:
    made = config(
        {"name": "cc", "when": {"view_code": "399162004"}, "destinations": "pacs", "reading": "strict"},
        {"name": "mlo", "destinations": "archive"},
        readings=READINGS,
    )
    views = [view(1), view(2, position="MLO")]
    found = explained.explanation(made, [explained.explain(made, each, "PACS1", "x") for each in views])
    (exam,) = found.exams
    assert (exam.reading, exam.destinations) == ("strict", ("pacs", "archive"))
