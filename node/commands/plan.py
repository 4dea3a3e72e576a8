"""Plan a site's own evaluation: how many exams and cancers it takes to show what is to be shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from ai.evaluation import planning
from ai.evaluation.planning import Plan, Unreachable
from node import console
from node.console import JsonOption
from node.errors import ConfigError

_GROUP = typer.Typer(help="Plan a site's own evaluation.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.add_typer(_GROUP, name="plan")


_PerThousand = Annotated[
    float,
    typer.Option("--per-thousand", min=0.01, max=1000, help="Cancers in 1,000 exams, of the kind that is asked of."),
]
_Yearly = Annotated[int | None, typer.Option("--yearly", min=1, help="Exams of the site a year, to tell the years.")]
_Power = Annotated[float, typer.Option("--power", min=50, max=99.9, help="Chance of showing it, if it is so; %.")]


@_GROUP.command("misses")
def misses(
    limit: Annotated[float, typer.Option("--limit", min=0.01, max=99, help="Misses to be shown fewer; % of cancers.")],
    expected: Annotated[float, typer.Option("--expected", min=0, max=99, help="Misses that are expected; %.")],
    confidence: Annotated[float, typer.Option("--confidence", min=50, max=99.9, help="One-sided; %.")] = 95.0,
    power: _Power = 80.0,
    per_thousand: _PerThousand = 6.0,
    *,
    yearly: _Yearly = None,
    json: JsonOption = False,
) -> None:
    """Show that the rule-out misses fewer than LIMIT of the cancers (Clopper and Pearson's upper limit)."""

    def make() -> Plan:
        cancers, allowed = planning.cancers_for_misses(
            limit / 100, expected / 100, confidence=confidence / 100, power=power / 100
        )
        return planning.planned(cancers, per_thousand, yearly, allowed)

    what = f"to show, with {confidence:g} % confidence, that fewer than {limit:g} % of cancers are missed"
    _tell(make, what, json=json)


@_GROUP.command("width")
def width(
    expected: Annotated[float, typer.Option("--expected", min=0, max=100, help="Sensitivity that is expected; %.")],
    plus_minus: Annotated[float, typer.Option("--plus-minus", min=0.01, max=50, help="Half of the interval; points.")],
    per_thousand: _PerThousand = 6.0,
    *,
    yearly: _Yearly = None,
    json: JsonOption = False,
) -> None:
    """Know a sensitivity to within PLUS-MINUS points (95 %, Wilson's interval)."""

    def make() -> Plan:
        cancers = planning.cancers_for_width(expected / 100, plus_minus / 100)
        return planning.planned(cancers, per_thousand, yearly)

    _tell(make, f"to know a sensitivity of about {expected:g} % to ± {plus_minus:g} points", json=json)


@_GROUP.command("non-inferiority")
def non_inferiority(
    margin: Annotated[float, typer.Option("--margin", min=0.01, max=50, help="Largest loss that is borne; points.")],
    discordant: Annotated[
        float, typer.Option("--discordant", min=0.01, max=100, help="Cancers that just one of both ways finds; %.")
    ],
    difference: Annotated[
        float, typer.Option("--difference", min=-50, max=50, help="Expected difference, new less old; points.")
    ] = 0.0,
    power: _Power = 80.0,
    per_thousand: _PerThousand = 7.7,
    *,
    yearly: _Yearly = None,
    json: JsonOption = False,
) -> None:
    """Show that a new way of reading finds not fewer cancers beyond MARGIN, both on the same exams (2.5 %, one-sided).

    By default cancers are SDC and IC, 7.7 in 1,000. For specificity count exams without cancer: --per-thousand 992.
    """

    def make() -> Plan:
        pairs = planning.pairs_for_non_inferiority(margin / 100, discordant / 100, difference / 100, power=power / 100)
        return planning.planned(pairs, per_thousand, yearly)

    _tell(make, f"to show a loss of no more than {margin:g} points, with {power:g} % power", json=json)


def _tell(make: Callable[[], Plan], what: str, *, json: bool) -> None:
    try:
        plan = make()
    except Unreachable as error:
        raise ConfigError(str(error)) from error
    if json:
        console.print_json({"cancers": plan.cancers, "exams": plan.exams, "years": plan.years, "allowed": plan.allowed})
        return
    years = f", {plan.years:.1f} years" if plan.years is not None else ""
    console.say(f"{plan.exams:,} exams with {plan.cancers:,} cancers{years}: {what}", style="bold")
    if plan.allowed is not None:
        console.say(f"it is shown when at most {plan.allowed} of them are missed")
    console.say("Women seen more than once are worth fewer exams; exams without outcome do not count.")
