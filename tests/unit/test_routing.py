"""Which instances are read, stored or refused, and where an exam's results go."""

from __future__ import annotations

from pathlib import Path

import pytest

from node import routing
from node.config import Config, config_from
from node.settings import Rule
from tests.support_exams import view

FOLDER = {"type": "folder", "folder": "results", "results": ["summary_sc"]}


def config(*rules: dict[str, object]) -> Config:
    settings = {"destinations": {"pacs": FOLDER, "archive": FOLDER, "research": FOLDER}, "routing": list(rules)}
    return config_from(settings, Path("/nonexistent"))


def decide(*rules: dict[str, object], calling: str = "PACS1", **elements: object) -> str | None:
    rule = routing.decide(config(*rules).routing, routing.facts(view(**elements), calling))
    return rule.name if rule else None


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
        ({"manufacturer": "test*", "modality": "MG"}, True),
        ({"manufacturer": "test*", "modality": "CT"}, False),
        ({"sop_class_uid": "1.2.840.10008.5.1.4.1.1.1.2"}, True),
        ({"station_name": "ROOM*"}, False),
        ({}, True),
    ],
)
def test_every_condition_must_match_by_any_of_its_patterns(when: dict[str, object], matches: bool) -> None:
    assert (decide({"name": "rule", "when": when}) == "rule") is matches


def test_results_go_where_any_of_the_exams_rules_says_in_the_order_of_the_config() -> None:
    made = config(
        {"name": "one", "destinations": ["research", "pacs"]},
        {"name": "two", "destinations": "archive"},
        {"name": "all"},
    )
    assert routing.destinations(made, ["one"]) == ("pacs", "research")
    assert routing.destinations(made, ["one", "two"]) == ("pacs", "archive", "research")
    assert routing.destinations(made, ["all"]) == ("pacs", "archive", "research")


def test_a_rule_that_is_gone_from_the_config_counts_as_every_destination() -> None:
    assert routing.destinations(config({"name": "new", "destinations": "pacs"}), ["old"]) == (
        "pacs",
        "archive",
        "research",
    )


def test_facts_come_from_the_header_and_the_sender() -> None:
    found = routing.facts(view(StationName=" ROOM 1 "), "PACS")
    assert found["station_name"] == "ROOM 1"
    assert found["calling_ae_title"] == "PACS"
    assert set(found) == set(Rule(name="any").when.model_dump()), "a condition that looks at nothing"
