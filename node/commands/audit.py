"""Verify the audit trail, and show what is in it."""

from __future__ import annotations

from typing import Annotated
from xml.etree import ElementTree

import typer

from node import console
from node.audit import events
from node.audit.auditor import Auditor, this_user
from node.audit.codes import Outcome
from node.audit.trail import Record
from node.audit.verify import Finding, Verdict, records
from node.audit.verify import verify as look
from node.console import ConfigOption, ExitCode, JsonOption

FirstOption = Annotated[
    int, typer.Option("--first", min=1, help="The oldest record that must be there; older files were put away.")
]
NotedOption = Annotated[
    str, typer.Option("--noted", metavar="NUMBER:SHA256", help="A record that was noted elsewhere and must be there.")
]


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    group = typer.Typer(help="Verify the audit trail, and show what is in it.")
    group.command("verify")(verify)
    group.command("show")(show)
    app.add_typer(group, name="audit", no_args_is_help=True)


def verify(
    first: FirstOption = 1, noted: NotedOption = "", config: ConfigOption = None, json: JsonOption = False
) -> None:
    """Look whether the audit trail is what was written: every record, their order, and the end.

    Ends with 1 when a record was altered, is missing or is torn, and names each.
    """
    trail = Auditor(console.configuration(config)).trail
    found = look(trail, first=first)
    if noted and noted not in (f"{each.number}:{each.sha256}" for each in records(trail)):
        found.faults.append(Finding(0, "--noted", 0, "there is no such record"))
    if json:
        console.print_json({**console.plain(found), "whole": found.is_whole})
    else:
        _show_verdict(found)
    if not found.is_whole:
        console.end(ExitCode.WRONG)


def _show_verdict(found: Verdict) -> None:
    for each in found.faults:
        where = f"{each.file}, line {each.line}" if each.line else each.file
        console.say(f"BROKEN at record {each.record} ({where}): {each.why}", style="bold yellow")
    for each in found.torn:
        console.say(f"torn at record {each.record} ({each.file}, line {each.line}): {each.why}; nothing is missing")
    if found.first is None or found.last is None:
        console.say("no record")
        return
    console.say(f"{found.records} records, {found.first.number} to {found.last.number}")
    console.say(f"the last: {found.last.number}:{found.last.sha256}")


def show(
    *,
    last: Annotated[int, typer.Option("--last", min=1, help="Only the newest this many.")] = 50,
    study: Annotated[str, typer.Option("--study", help="Only about this Study Instance UID.")] = "",
    patient: Annotated[str, typer.Option("--patient", help="Only about this Patient ID.")] = "",
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show records, oldest first. That somebody looked is written to the trail, too."""
    settings = console.configuration(config)
    auditor = Auditor(settings)
    wanted = [each for each in (study, auditor.patient(patient)) if each]
    found = [record for record in records(auditor.trail) if all(each in subjects(record) for each in wanted)][-last:]
    auditor.tell(events.log_used(this_user(), settings.audit.folder.absolute().as_uri()))
    if json:
        console.print_json([{"number": e.number, "at": e.at, "message": e.message} for e in found])
        return
    made = console.table("", "when", "event", "ended", "who", "about", "", right=("",))
    console.out().print(console.rows(made, [line(record) for record in found]))


def subjects(record: Record) -> list[str]:
    """What a record is about, by ID."""
    message = ElementTree.fromstring(record.message)
    return [each.get("ParticipantObjectID", "") for each in message.iterfind("ParticipantObjectIdentification")]


def line(record: Record) -> tuple[object, ...]:
    """A record for a person."""
    message = ElementTree.fromstring(record.message)
    names = [message.find(f"EventIdentification/{each}") for each in ("EventID", "EventTypeCode")]
    event = ": ".join(each.get("originalText", "") for each in names if each is not None)
    who = [_who(each) for each in message.iterfind("ActiveParticipant")]
    about, text = " ".join(subjects(record)), message.findtext("EventIdentification/EventOutcomeDescription", "")
    return record.number, console.moment(record.at), event, _outcome(message), ", ".join(who), about, text


def _outcome(message: ElementTree.Element) -> str:
    told = next((each.get("EventOutcomeIndicator", "0") for each in message.iterfind("EventIdentification")), "0")
    return "" if told == "0" else f"{Outcome(int(told)).name.lower()} failure"


def _who(participant: ElementTree.Element) -> str:
    user, name = participant.get("UserID", ""), participant.get("UserName", "")
    point = participant.get("NetworkAccessPointID", "")
    return user + (f" {name}" if name else "") + (f" ({point})" if point else "")
