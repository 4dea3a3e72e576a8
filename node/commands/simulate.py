"""Play a hospital around a node: all of it, or an archive, a worklist, a modality, a manager of work items, a RIS."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import yaml

from node import console, dicom_files, logs, rehearsal
from node.config import Config
from node.console import ExitCode, JsonOption
from node.dimse.archive import Archive
from node.dimse.worklist_scp import WorklistServer
from node.peers import named_peer
from node.rehearsal import Followed, Outcome, Ports, Rehearsal
from node.settings import LoggingSettings, Peer
from node.simulator import manager, ris, scenarios
from node.simulator.exams import MadeExam, MadeImage
from node.simulator.modality import Modality, NotTaken
from node.simulator.results_receiver import ResultsReceiver
from storage.ups import State

_Exams = Annotated[list[Path], typer.Argument(help="Exams as DICOM files, or folders; see simulate-exam.")]
_To = Annotated[str, typer.Option("--to", help="The node, as AE_TITLE@HOST:PORT.")]


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    group = typer.Typer(
        callback=_only_warnings,
        help="Play a hospital around a node, on loopback: to try a configuration before go-live.",
        no_args_is_help=True,
    )
    for each in (hospital, pacs, worklist, modality, manager_, hl7):
        group.command(each.__name__.rstrip("_"))(each)
    app.add_typer(group, name="simulate")


def _only_warnings() -> None:
    """What a peer's own code logs goes to standard error, and only what matters: standard output is for the answer."""
    logs.configure(LoggingSettings(level="warning"))


def hospital(
    *,
    to: Annotated[
        str | None, typer.Option("--to", help="A node that runs, AE_TITLE@HOST:PORT; otherwise one is started.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder for everything; emptied if a rehearsal made it.")] = Path(
        "rehearsal-out"
    ),
    exams: Annotated[int, typer.Option("--exams", min=1, help="How many of the demonstration's exams.")] = 6,
    seed: Annotated[int, typer.Option("--seed", help="Of the exams.")] = 1,
    pitch_mm: Annotated[float | None, typer.Option("--pitch-mm", help="Coarser pixels, for a quick trial.")] = None,
    pacs_port: Annotated[int, typer.Option("--pacs-port", help="Where the archive listens.")] = 11113,
    worklist_port: Annotated[int, typer.Option("--worklist-port", help="Where the worklist listens.")] = 11114,
    hl7_port: Annotated[int, typer.Option("--hl7-port", help="Where the RIS takes results.")] = 2575,
    results: Annotated[int, typer.Option("--results", min=1, help="Result objects of an answer in the archive.")] = 3,
    patience_s: Annotated[float, typer.Option("--patience-s", help="Then nothing more is waited for.")] = 180.0,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Only print what a node's configuration needs for --to.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Rehearse a day: worklist, performed steps, archive with commitment, HL7 results, work items, all at once.

    Ends with 0 only if every exam was answered once and under its own name, every result committed and told
    to the RIS, every performed step taken, and every work item ended as its exam did.
    """
    ports = Ports(pacs=pacs_port, worklist=worklist_port, hl7=hl7_port)
    if print_config:
        console.say(yaml.safe_dump(rehearsal.site_config(ports), sort_keys=False).rstrip())
        return
    specs = [replace(each, pitch_mm=pitch_mm) for each in scenarios.chosen(seed)[:exams]]
    asked = Rehearsal(
        out=out,
        specs=specs,
        node=_node(to) if to else None,
        ports=ports if to else Ports(),
        results=results,
        patience_s=patience_s,
    )
    with console.progress(transient=False) as progress:
        outcome = rehearsal.run(asked, progress)
    if json:
        console.print_json({"ok": outcome.ok, **_told(outcome)})
    else:
        _show(outcome)
    if not outcome.ok:
        console.end(ExitCode.WRONG)


def pacs(
    folder: Annotated[Path, typer.Argument(help="What is stored is put here.")],
    port: Annotated[int, typer.Option("--port", help="0 takes any free one.")] = 11113,
    ae_title: Annotated[str, typer.Option("--ae-title")] = rehearsal.PACS,
) -> None:
    """An archive that takes and commits whatever comes, until it is stopped (Ctrl-C)."""
    server = Archive(folder, ae_title)
    server.start(port)
    _until_stopped(f"ready: {ae_title} listens on 127.0.0.1:{server.port}")
    server.stop()
    console.say(f"{len(server.received)} objects came, {len(server.committed)} are committed; they are in {folder}")


def worklist(
    paths: _Exams,
    port: Annotated[int, typer.Option("--port", help="0 takes any free one.")] = 11114,
    ae_title: Annotated[str, typer.Option("--ae-title")] = rehearsal.RIS,
    station: Annotated[
        list[str] | None, typer.Option("--station", help="Scheduled Station AE Title; may be repeated.")
    ] = None,
) -> None:
    """A modality worklist that schedules these exams from now on, five minutes apart, until it is stopped."""
    made = _exams(paths)
    server = WorklistServer(ris.scheduled(made, station or rehearsal.ROOMS, datetime.now().astimezone()), ae_title)
    server.start(port)
    _until_stopped(f"ready: {ae_title} listens on 127.0.0.1:{server.port}, {len(made)} exams are scheduled")
    server.stop()
    console.say(", ".join(f"{who} asked {count} times" for who, count in server.asked.items()) or "nobody asked")


def modality(
    paths: _Exams,
    to: _To,
    ae_title: Annotated[str, typer.Option("--ae-title")] = rehearsal.ROOMS[0],
    performed: Annotated[
        bool, typer.Option("--performed/--no-performed", help="Tell performed procedure steps (MPPS).")
    ] = True,
) -> None:
    """Send these exams as a room does, with a performed procedure step for each. Ends with 1 when any is not taken."""
    made = _exams(paths)
    with console.progress() as progress:
        task = progress.add_task("images sent", total=sum(len(each.images) for each in made))
        room = Modality(ae_title, _node(to), lambda: progress.advance(task), performs=performed)
        try:
            for each in made:
                room.send(each.images)
        except NotTaken as error:
            console.end(ExitCode.WRONG, str(error))
    console.say(f"{len(made)} exams sent, {room.steps} performed procedure steps told")


def manager_(
    paths: _Exams,
    to: _To,
    ae_title: Annotated[str, typer.Option("--ae-title")] = rehearsal.MANAGER,
    timeout_s: Annotated[float, typer.Option("--timeout-s", help="Then it is no longer waited for.")] = 600.0,
    json: JsonOption = False,
) -> None:
    """Push a work item for each of these exams, and wait for their ends. Ends with 1 unless all are COMPLETED."""
    node = _node(to)
    with console.progress() as progress:
        pushed = manager.push(node, ae_title, _exams(paths))
        task = progress.add_task("work items ended", total=len(pushed))
        manager.follow(
            node,
            ae_title,
            pushed,
            timeout_s,
            lambda: progress.update(task, completed=sum(each.has_ended for each in pushed)),
        )
    rows = [(each.exam.name, each.uid, each.state, str(each.outputs), each.why) for each in pushed]
    if json:
        console.print_json([dict(zip(("exam", "item", "state", "outputs", "why"), row, strict=True)) for row in rows])
    else:
        shown = console.table("exam", "work item", "state", "results", "why", right=("results",))
        for row in rows:
            shown.add_row(*row)
        console.out().print(shown)
    if any(each.state != State.COMPLETED for each in pushed):
        console.end(ExitCode.WRONG)


class _Answer(StrEnum):
    AA = "AA"
    AE = "AE"
    AR = "AR"


def hl7(
    port: Annotated[int, typer.Option("--port", help="0 takes any free one.")] = 2575,
    answer: Annotated[_Answer, typer.Option("--answer", help="To every result.")] = _Answer.AA,
) -> None:
    """A RIS that takes results as ORU^R01 (HL7 over MLLP) and tells a line of each, until it is stopped (Ctrl-C)."""
    receiver = ResultsReceiver(port, answer, console.say)
    receiver.start()
    _until_stopped(f"ready: results are taken on 127.0.0.1:{receiver.port}")
    receiver.stop()
    console.say(f"{len(receiver.came)} results came, {sum(receiver.came.values())} messages")


def _node(to: str) -> Peer:
    return named_peer(Config(), to)


def _exams(paths: Sequence[Path]) -> list[MadeExam]:
    """The studies that these files are of."""
    return [
        MadeExam(
            name=files[0].path.parent.name,
            study_instance_uid=uid,
            images=tuple(MadeImage(each.path, each.sop_instance_uid, each.sop_class_uid) for each in files),
            truth="",
        )
        for uid, files in dicom_files.find(paths).by_study().items()
    ]


def _until_stopped(ready: str) -> None:
    asked = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, asked)
    console.say(ready)
    signal.sigwait(asked)


def _told(outcome: Outcome) -> dict[str, object]:
    return {
        "exams": outcome.exams,
        "categories": rehearsal.counts(outcome),
        "worklist_asked": outcome.worklist_asked,
        "problems": outcome.problems,
        "seconds": round(outcome.seconds, 1),
    }


def _show(outcome: Outcome) -> None:
    shown = console.table(
        *("exam", "room", "steps", "results", "committed", "messages", "category", "work item"),
        right=("steps", "results", "committed", "messages"),
    )
    for each in outcome.exams:
        shown.add_row(*_row(each), style="red" if each.problems else "")
    console.out().print(shown)
    console.say(f"the worklist was asked {outcome.worklist_asked} times; {outcome.seconds:.0f} s")
    for problem in outcome.problems:
        console.complain(problem)
    for each in outcome.exams:
        for problem in each.problems:
            console.complain(f"{each.name}: {problem}")
    if outcome.ok:
        console.say("every exam was answered once, under its own name, in every role", style="green")


def _row(each: Followed) -> tuple[str, ...]:
    results = f"{each.results}/{each.expected}"
    return (
        each.name,
        each.room,
        str(each.steps),
        results,
        str(each.committed),
        str(each.messages),
        each.category,
        each.ended,
    )
