"""What keeps the node going, as data: who works, what is kept and how much of it may be, what the last sweep found."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum

from node import holdings
from node.config import Config
from node.holdings import Holdings
from node.roles import ALL_ROLES, Role, name_of
from storage.records import StudyState
from storage.sweeps import Sweep
from storage.workers import Worker

#: The role that exams in a state wait for.
_NEEDED = {
    StudyState.READING: Role.READ,
    StudyState.REPORTING: Role.READ,
    StudyState.DELIVERING: Role.SEND,
}


class Pulse(StrEnum):
    """Whether a worker lives."""

    WORKS = "works"
    SILENT = "silent"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLine:
    """One worker: what it does, whether it lives, and for how long nothing was heard of it."""

    slot: str
    roles: str
    pulse: Pulse
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """kept_bytes: of all files that rows name. sweep: None where none was made yet."""

    workers: tuple[WorkerLine, ...] = ()
    kept_bytes: int = 0
    maximum_bytes: int | None = None
    sweep: Sweep | None = None


def upkeep(config: Config, held: Holdings) -> Upkeep:
    """How things stand. A file that only one node uses has no heartbeat to tell of: its lock says it."""
    workers = () if config.storage.is_embedded else tuple(_line(each, config) for each in held.workers.all())
    return Upkeep(
        workers=workers,
        kept_bytes=held.index.kept_bytes(),
        maximum_bytes=config.storage.maximum_bytes,
        sweep=held.sweeps.last(),
    )


def _line(worker: Worker, config: Config) -> WorkerLine:
    alive = holdings.is_alive(worker, config)
    pulse = Pulse.WORKS if alive else Pulse.ENDED if worker.ended else Pulse.SILENT
    return WorkerLine(slot=worker.slot, roles=name_of(roles_of(worker)), pulse=pulse, silent_s=worker.silent_s)


def roles_of(worker: Worker) -> frozenset[Role]:
    """What a worker does."""
    return ALL_ROLES if "all" in worker.roles else frozenset(Role(each) for each in worker.roles)


def attention(found: Upkeep, waiting: Collection[StudyState]) -> Iterator[str]:
    """What needs a person, one sentence each. waiting: the states in which exams are."""
    for line in found.workers:
        if line.pulse is Pulse.SILENT:
            yield f"worker {line.slot} is silent for {line.silent_s:.0f} s; others do its work: start it again"
    doing = {line.roles for line in found.workers if line.pulse is Pulse.WORKS}
    for role in dict.fromkeys(_NEEDED[state] for state in waiting if state in _NEEDED):
        if found.workers and not any(each == "all" or role in each.split("+") for each in doing):
            yield f"exams wait, and no worker has the role {role}: mammo-node serve --role {role}"
    if found.maximum_bytes is not None and found.kept_bytes >= found.maximum_bytes:
        yield "storage.maximum_bytes is reached: every image is refused; raise it, or set storage.retention_days"
    if found.sweep is not None and found.sweep.missing:
        first = ", ".join(found.sweep.missing_studies[:3])
        yield f"{found.sweep.missing} kept files are gone, first of {first}: restore them from the backup"
