"""What is told of what people decide: by whom they say, on whose login, and why."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from node.audit import codes, events
from node.audit.auditor import Auditor, this_user
from node.config import Config
from node.decisions import Entry


def decided(config: Config, about: str, text: str, by: str, what: codes.Code = codes.SOFTWARE_CONFIGURATION) -> None:
    """Something was decided at the command line. about: a URI of it. by: who they say they are."""
    auditor = Auditor(config)
    person = dataclasses.replace(this_user(), name=by)
    auditor.tell(events.alert(auditor.here, what, text, about=f"mammo-node:{about}", by=person))


def entered(config: Config, entries: Iterable[Entry]) -> None:
    """Lines were added to the history of decisions."""
    for each in entries:
        text = f"{each.action} {each.kind.replace('_', ' ')} {each.version} (history {each.number}): {each.reason}"
        decided(config, f"{each.kind}/{each.version}", text, each.by)
