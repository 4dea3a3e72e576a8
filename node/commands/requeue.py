"""Send failed results again, or read an exam again."""

from __future__ import annotations

from typing import Annotated

import typer

from node import console, holdings
from node.app import Node
from node.commands.show import find
from node.config import Config
from node.console import ConfigOption, ExitCode
from node.errors import ConfigError
from node.holdings import Holdings
from storage.records import Study, StudyState


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("requeue")(requeue)


def requeue(
    study: Annotated[str | None, typer.Argument(help="Study Instance UID, or a part that only one study has.")] = None,
    config: ConfigOption = None,
    all_undelivered: Annotated[
        bool, typer.Option("--all-undelivered", help="Every exam whose results were not all delivered.")
    ] = False,
    read: Annotated[
        bool, typer.Option("--read", help="Read the exam again: a new revision that names its predecessor.")
    ] = False,
) -> None:
    """Send failed results again, or (--read) read an exam again. A running node takes it up; else the next one does.

    Ends with 1 when there was nothing to do.
    """
    if bool(study) == all_undelivered:
        raise ConfigError("name a study, or give --all-undelivered (see mammo-node exams)")
    settings = console.configuration(config)
    with holdings.opened(settings) as held:
        studies = _undelivered(held) if all_undelivered else [find(held, study or "")]
    count = _requeue(settings, studies, read)
    if not count:
        console.end(ExitCode.WRONG)
    if not holdings.node_runs(settings):
        console.say("no node runs: it is taken up when one is started (mammo-node serve)")


def _undelivered(held: Holdings) -> list[Study]:
    """Exams with results that were given up, and studies with instances that were not forwarded."""
    studies = {study.study_instance_uid: study for study in held.index.studies([StudyState.UNDELIVERED])}
    forwarded = (held.index.study(uid) for uid in held.forwards.failed_studies())
    return [*(studies | {study.study_instance_uid: study for study in forwarded if study is not None}).values()]


def _requeue(settings: Config, studies: list[Study], read: bool) -> int:
    if not studies:
        console.complain("nothing was given up: no exam has undelivered results")
    node, total = Node(settings), 0
    node.connect()
    try:
        for each in studies:
            count = node.orders.requeue(each.study_instance_uid, read=read)
            total += count
            what = "will be read again" if read else f"{count} objects will be sent again"
            if count:
                console.say(f"{each.study_instance_uid}: {what}")
            else:
                why = f"no delivery of it has failed; it is {each.state}: {each.state.sentence}"
                console.complain(f"{each.study_instance_uid}: {why}. To read it again: --read")
    finally:
        node.stop()
    return total
