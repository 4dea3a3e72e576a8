"""What keeps the node going, as data: who works, what is kept and how much of it may be, what the last sweep found."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from node import holdings
from node.config import Config
from node.duties import Duty
from node.holdings import Holdings
from node.roles import ALL_ROLES, Role, name_of
from storage.duties import Done
from storage.records import StudyState
from storage.sweeps import Sweep
from storage.workers import Worker

#: The role that exams in a state wait for.
_NEEDED = {
    StudyState.READING: Role.READ,
    StudyState.REPORTING: Role.READ,
    StudyState.DELIVERING: Role.SEND,
}


#: A duty is late after so many rounds and seconds; a node that has only just started has that long to begin.
_LATE_ROUNDS, _LATE_S = 2, 600.0


class Pulse(StrEnum):
    """Whether a worker lives."""

    WORKS = "works"
    SILENT = "silent"
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerLine:
    """One worker: what it does, whether it lives, and for how long nothing was heard of it.

    leads: it does what only one should do.
    """

    slot: str
    roles: str
    pulse: Pulse
    leads: bool
    silent_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DutyLine:
    """What is done by the clock. ago_s: since its last round ended; None where none has yet. found: of that round.

    finds: what is counted. last_found_ago_s: since a round came upon any; it came upon last_found. problem: the kind of
    error that the rounds since then have ended with, or "".
    """

    duty: Duty
    finds: str
    ago_s: float | None
    found: int
    last_found: int
    last_found_ago_s: float | None
    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upkeep:
    """kept_bytes: of all files that rows name. sweep: None where none was made yet."""

    workers: tuple[WorkerLine, ...] = ()
    duties: tuple[DutyLine, ...] = ()
    kept_bytes: int = 0
    maximum_bytes: int | None = None
    sweep: Sweep | None = None


def upkeep(config: Config, held: Holdings) -> Upkeep:
    """How things stand. A file that only one node uses has no heartbeat to tell of: its lock says it."""
    workers = () if config.storage.is_embedded else tuple(_line(each, config) for each in held.workers.all())
    now, done = datetime.now(UTC), held.duties.all()
    return Upkeep(
        workers=workers,
        duties=tuple(_duty_line(duty, done.get(duty, Done(name=duty)), now) for duty in _duties(config)),
        kept_bytes=held.tallies.kept_bytes(),
        maximum_bytes=config.storage.maximum_bytes,
        sweep=held.sweeps.last(),
    )


def _line(worker: Worker, config: Config) -> WorkerLine:
    alive = holdings.is_alive(worker, config)
    pulse = Pulse.WORKS if alive else Pulse.ENDED if worker.ended else Pulse.SILENT
    return WorkerLine(
        slot=worker.slot,
        roles=name_of(roles_of(worker)),
        pulse=pulse,
        leads=alive and worker.leads,
        silent_s=worker.silent_s,
    )


def _duties(config: Config) -> list[Duty]:
    """Those that this configuration gives the node."""
    none = {Duty.RETENTION} if config.storage.retention_days is None else set()
    if config.storage.is_embedded:
        none.add(Duty.HALF_WRITTEN)
    return [each for each in Duty if each not in none]


def _duty_line(duty: Duty, done: Done, now: datetime) -> DutyLine:
    return DutyLine(
        duty=duty,
        finds=duty.finds,
        ago_s=_ago_s(done.done_at, now),
        found=done.found,
        last_found=done.last_found,
        last_found_ago_s=_ago_s(done.last_found_at, now),
        problem=done.problem,
    )


def _ago_s(at: datetime | None, now: datetime) -> float | None:
    return None if at is None else max(0.0, (now - at).total_seconds())


def roles_of(worker: Worker) -> frozenset[Role]:
    """What a worker does."""
    return ALL_ROLES if "all" in worker.roles else frozenset(Role(each) for each in worker.roles)


def attention(found: Upkeep, waiting: Collection[StudyState], *, running: bool) -> Iterator[str]:
    """What needs a person, one sentence each. waiting: the states in which exams are. running: whether a node works."""
    for each in found.duties:
        if each.problem:
            yield f"the duty '{each.duty}' fails ({each.problem}): see the log"
        elif running and each.ago_s is not None and each.ago_s > _LATE_ROUNDS * each.duty.every_s + _LATE_S:
            yield f"the duty '{each.duty}' was last done {each.ago_s:.0f} s ago: see the log, and start the node anew"
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
