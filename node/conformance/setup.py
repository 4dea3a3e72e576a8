"""Configuration: AE titles, addresses, who may call, what goes where, and the parameters behind the other chapters."""

from __future__ import annotations

import json
from collections.abc import Iterator

from node.conformance.document import Section, Table
from node.conformance.facts import Facts, number
from node.errors import RefusedByRule
from node.settings import Settings
from node.settings_routing import Days, Rule

#: Sections whose every setting is shown with its value; the others name places of the host or are shown elsewhere.
_SHOWN = ("network", "web", "completeness")


def section(facts: Facts) -> Section:
    """Chapter 6."""
    return Section(
        "Configuration",
        ("Every setting is described in `docs/configuration.md`. Those that concern other systems are here.",),
        (_local(facts), _remote(facts), _callers(facts), _rules(facts), _parameters(facts)),
    )


def _local(facts: Facts) -> Section:
    node = facts.config.node
    rows = (
        ("AE title", node.ae_title),
        ("Address", node.host),
        ("Port", str(node.port) if node.port else "any free one, chosen at the start"),
        ("Calls with another called AE title", "rejected" if facts.config.require_called_ae_title else "accepted"),
        ("Institution Name of results", node.institution_name or "left out"),
        ("Station Name of results", node.station_name or node.ae_title),
    )
    return Section("Local AE title and presentation address", (Table("Local address", ("Setting", "Value"), rows),))


def _remote(facts: Facts) -> Section:
    rows = [(name, peer.ae_title, peer.host, str(peer.port)) for name, peer in facts.config.peers.items()]
    head = ("Name in the configuration", "AE title", "Host", "Port")
    return Section(
        "Remote AE titles and presentation addresses",
        (Table("Applications that are called", head, tuple(rows) or (("none", "", "", ""),)),),
    )


def _callers(facts: Facts) -> Section:
    callers = facts.config.callers
    if not callers:
        return Section("Who may call", ("Any AE title, from this host alone.",))
    rows = tuple((each.ae_title, each.address or "anywhere") for each in callers)
    return Section("Who may call", (Table("Callers", ("Calling AE title", "From"), rows),))


def _rules(facts: Facts) -> Section:
    rows = [
        (
            rule.name,
            _condition(rule),
            _action(rule),
            ", ".join(facts.config.destinations_of(rule)) if rule.action == "read" else "",
            ", ".join(rule.forward),
        )
        for rule in facts.config.routing
    ]
    return Section(
        "Routing rules",
        (
            "Tried in this order; the first whose conditions hold decides. What no rule takes is answered with 0x0122.",
            Table("Rules", ("Rule", "Conditions", "Action", "Results go to", "Forwarded to"), tuple(rows)),
            "Conditions are compared without regard to case; `*` stands for any characters, `?` for one, and what "
            "stands between slashes is a regular expression. The rules can be exchanged while the product runs.",
        ),
    )


def _condition(rule: Rule) -> str:
    given = []
    for name in type(rule.when).model_fields:
        value = getattr(rule.when, name)
        if value:
            given.append(f"{name}: {value.told if isinstance(value, Days) else ' or '.join(value)}")
    return "; ".join(given) or "none"


def _action(rule: Rule) -> str:
    if rule.action == "read" and rule.reading is not None:
        return f"read, as {rule.reading}"
    status = rule.status if rule.status is not None else RefusedByRule.dimse_status
    return f"refuse with 0x{status:04X}" if rule.action == "refuse" else rule.action


def _parameters(facts: Facts) -> Section:
    rows: list[tuple[str, str, str]] = []
    for name in _SHOWN:
        rows += _settings(name, getattr(facts.config, name))
    rows += _settings("reading.operating_points", facts.config.reading.operating_points)
    for name, peer in facts.config.peers.items():
        rows += [row for row in _settings(f"peers.{name}", peer) if row[0].endswith(("_s", "_bytes"))]
    return Section("Parameters", (Table("Parameters", ("Setting", "Value", "Meaning"), tuple(rows)),))


def _settings(prefix: str, settings: Settings) -> Iterator[tuple[str, str, str]]:
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        yield f"{prefix}.{name}", _shown(value), field.description or ""


def _shown(value: object) -> str:
    """As in config.yaml."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return number(value)
    return value if isinstance(value, str) else json.dumps(value, default=str)
