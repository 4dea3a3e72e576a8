"""Show everything about one exam: its steps, its reading, its results and where they went."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from ai.findings import Category, Reading
from node import console, holdings, overview
from node.console import ConfigOption, JsonOption
from node.errors import NotFound
from node.holdings import Holdings
from node.readings import reading_lines, told
from storage.records import Delivery, DeliveryState, Event, Instance, ResultObject, Study


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("show")(show)


def show(
    study: Annotated[str, typer.Argument(help="Study Instance UID, or a part that only one study has.")],
    config: ConfigOption = None,
    json: JsonOption = False,
) -> None:
    """Show everything about one exam: its steps, its reading, its results and where they went."""
    with holdings.opened(console.configuration(config)) as held:
        found = find(held, study)
        uid = found.study_instance_uid
        stored = held.outbox.reading(uid)
        reading = Reading.from_json(stored.reading_json) if stored is not None else None
        instances, events = held.index.instances(uid), held.index.events(uid)
        results, deliveries = held.outbox.results(uid), held.outbox.deliveries(uid)
        waits_for = overview.why(held, found, instances)
    if json:
        console.print_json(
            {
                "study": _without_patient(found),
                "waits_for": waits_for,
                "instances": [_without_patient(each) for each in instances],
                "events": events,
                "reading": told(reading) if reading is not None else None,
                "results": results,
                "deliveries": deliveries,
            }
        )
        return
    _head(found, instances, waits_for)
    if reading is not None:
        _show_reading(reading, found)
    _show_results(results, deliveries)
    _show_events(events)


def find(held: Holdings, part: str) -> Study:
    """The study with that UID, or the only one whose UID contains `part`. Raises NotFound."""
    exact = held.index.study(part)
    if exact is not None:
        return exact
    near = held.index.studies_with(part, 2)
    if len(near) == 1:
        return near[0]
    told = "several studies have" if near else "no study has"
    raise NotFound(f"{told} '{part}' in the Study Instance UID; see mammo-node exams")


def _without_patient(record: Study | Instance) -> dict[str, Any]:
    hidden = ("patient_id", "issuer_of_patient_id", "accession_number")
    return {key: value for key, value in console.plain(record).items() if key not in hidden}


def _head(study: Study, instances: list[Instance], waits_for: str) -> None:
    waited = console.duration(console.seconds_since(study.changed_at))
    console.say(f"study {study.study_instance_uid}", style="bold")
    console.say(f"{study.state}, revision {study.revision}: {study.state.sentence}; for {waited}")
    if waits_for:
        console.say(waits_for)
    made = console.table("received", "view", "from", "size", "rule", "instance", right=("size",))
    lines = [
        (
            console.moment(each.received_at),
            each.standard_view or "–",
            each.calling_ae_title,
            console.size(each.size_bytes),
            each.rule if each.to_read else f"{each.rule} (not to read)",
            each.sop_instance_uid,
        )
        for each in instances
    ]
    console.out().print(console.rows(made, lines))


def _show_reading(reading: Reading, study: Study) -> None:
    old = "" if reading.revision == study.revision else " (the current revision is not read yet)"
    console.say(f"\nreading, revision {reading.revision}{old}", style="bold")
    for line in reading_lines(reading):
        console.say(line, style="bold yellow" if reading.category is Category.NOT_READ else "")


def _show_results(results: list[ResultObject], deliveries: list[Delivery]) -> None:
    if not results:
        return
    console.say("\nresults", style="bold")
    columns = ("rev", "result", "destination", "state", "attempts", "delivered", "commitment", "last error")
    made = console.table(*columns, right=("rev",))
    lines: list[tuple[object, ...]] = []
    for result in results:
        if result.error:
            lines.append((result.revision, result.kind, "–", "NOT MADE", "", "", "", result.error))
        lines += [
            (
                result.revision,
                result.kind,
                each.destination,
                each.state,
                each.attempts,
                console.moment(each.delivered_at) if each.delivered_at else "",
                _commitment(each),
                each.last_error,
            )
            for each in deliveries
            if each.sop_instance_uid == result.sop_instance_uid
        ]
    console.out().print(console.rows(made, lines))


def _commitment(delivery: Delivery) -> str:
    if delivery.committed_at:
        return console.moment(delivery.committed_at)
    if delivery.state is not DeliveryState.UNCOMMITTED:
        return ""
    return f"asked since {console.moment(delivery.asked_at)}, {delivery.asks} ×" if delivery.asked_at else "to be asked"


def _show_events(events: list[Event]) -> None:
    console.say("\nsteps", style="bold")
    for event in events:
        revision = f" r{event.revision}" if event.revision else ""
        console.say(f"{console.moment(event.at)}  {event.stage + revision:<12}{event.text}")
