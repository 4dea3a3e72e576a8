"""Where everything stands, as data: what the node holds, what waits and for how long, what needs a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ai.findings import Reading
from node import holdings, waiting
from node.audit import forwarding
from node.audit.forwarding import Waiting
from node.audit.trail import Trail
from node.config import Config
from node.errors import NodeError
from node.examinations import scheduled
from node.holdings import Holdings, NothingKept
from node.upkeep import Upkeep, attention, upkeep
from storage.commitments import RequestState
from storage.figures import Figures
from storage.pages import Facts, Pages
from storage.records import DeliveryState, Instance, Study, StudyState
from storage.worklist import ExpectedLine

#: Exams in these states wait for the node to do something.
_WAITING = (StudyState.RECEIVING, StudyState.READING, StudyState.REPORTING, StudyState.DELIVERING)
_UNSETTLED = (*_WAITING, StudyState.HELD, StudyState.UNDELIVERED)
#: Whatever waits for longer does not wait for a server that is only being restarted.
_SYSLOG_TAKES_S = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StateLine:
    """How many exams are in a state, and for how long the oldest has been."""

    state: StudyState
    sentence: str
    count: int
    oldest_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationLine:
    """Objects for one destination: results, and received instances that are forwarded to it.

    last_error: of the latest delivery that has one and is not delivered.
    """

    destination: str
    counts: dict[str, int]
    oldest_waiting_s: float | None
    last_error: str
    oldest_uncommitted_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """Everything at a glance. attention: what needs a person, one sentence each, most pressing first.

    commitments: requests of others that we keep instances, by where they stand. missing: scheduled exams of today that
    never came. audit: records of the audit trail that its syslog server has not taken.
    """

    running: bool
    states: tuple[StateLine, ...]
    destinations: tuple[DestinationLine, ...]
    asides: int
    not_forwarded: int
    commitments: dict[str, int]
    missing: int
    free_bytes: int
    minimum_free_bytes: int
    upkeep: Upkeep
    audit: Waiting
    attention: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExamLine:
    """One exam, without the woman's name or ID. waits_s: None when it waits for nothing. waits_for: what, in words."""

    study_instance_uid: str
    received_at: datetime
    state: StudyState
    revision: int
    category: str
    band: int | None
    score: float | None
    views: tuple[str, ...]
    reasons: tuple[str, ...]
    waits_s: float | None
    waits_for: str


def status(config: Config) -> Status:
    """The status. Raises ConfigError or NodeError when the records cannot be read."""
    now = datetime.now(UTC)
    states: tuple[StateLine, ...] = ()
    destinations = tuple(_no_delivery(name) for name in config.destinations)
    asides = not_forwarded = missing = 0
    commitments: dict[str, int] = {}
    kept = Upkeep()
    try:
        with holdings.opened(config) as held:
            states = _state_lines(held, now)
            destinations = _destination_lines(config, held, now)
            asides = Figures(held.database).asides()
            not_forwarded = len(held.forwards.failed_studies())
            commitments = {str(state): count for state, count in held.commitments.request_counts().items()}
            missing = len(missing_today(config, held, now))
            kept = upkeep(config, held)
    except NothingKept:
        pass
    running = holdings.node_runs(config)
    free = holdings.free_bytes(config.storage.object_folder)
    found = Status(
        running=running,
        states=states,
        destinations=destinations,
        asides=asides,
        not_forwarded=not_forwarded,
        commitments=commitments,
        missing=missing,
        free_bytes=free,
        minimum_free_bytes=config.storage.minimum_free_bytes,
        upkeep=kept,
        audit=waiting_for_syslog(config),
        attention=(),
    )
    return replace(found, attention=tuple(_attention(found)))


def waiting_for_syslog(config: Config) -> Waiting:
    """What of the audit trail waits for its syslog server."""
    try:
        return forwarding.waiting(config.audit, Trail(config.audit.folder, config.audit.file_bytes))
    except OSError as error:
        raise NodeError(f"audit.folder: the trail cannot be read: {error.strerror}") from error


def missing_today(config: Config, held: Holdings, now: datetime) -> list[ExpectedLine]:
    """Exams of today's worklist of which nothing came, though their time is well past."""
    if config.worklist.peer is None:
        return []
    lines = held.worklist.lines(*scheduled.bounds(now.astimezone().date()))
    return scheduled.missing(lines, now, config.worklist.missing_after_s)


def _state_lines(held: Holdings, now: datetime) -> tuple[StateLine, ...]:
    counts = held.tallies.studies()
    return tuple(
        StateLine(
            state=state,
            sentence=state.sentence,
            count=counts[state][0],
            oldest_s=(now - counts[state][1]).total_seconds(),
        )
        for state in StudyState
        if state in counts
    )


def _destination_lines(config: Config, held: Holdings, now: datetime) -> tuple[DestinationLine, ...]:
    figures = Figures(held.database)
    counts: dict[str, Counter[str]] = {name: Counter() for name in config.destinations}
    for (name, state), count in [*held.tallies.deliveries().items(), *held.tallies.forwards().items()]:
        counts.setdefault(name, Counter())[state] += count
    made, came, sent = figures.oldest_deliveries(), held.forwards.oldest(), figures.oldest_uncommitted()
    errors = figures.last_errors()
    return tuple(
        DestinationLine(
            destination=name,
            counts=dict(states),
            oldest_waiting_s=_since(now, made.get(name), came.get(name)),
            last_error=errors.get(name, ""),
            oldest_uncommitted_s=_since(now, sent.get(name)),
        )
        for name, states in counts.items()
    )


def _since(now: datetime, *moments: datetime | None) -> float | None:
    """Seconds since the earliest of them."""
    known = [each for each in moments if each is not None]
    return (now - min(known)).total_seconds() if known else None


def _no_delivery(name: str) -> DestinationLine:
    return DestinationLine(destination=name, counts={}, oldest_waiting_s=None, last_error="")


def _attention(found: Status) -> Iterable[str]:
    if found.free_bytes < found.minimum_free_bytes:
        yield "the disk is below storage.minimum_free_bytes: every image is refused; make room"
    elif found.free_bytes < 2 * found.minimum_free_bytes:
        yield "the disk is nearly full: at storage.minimum_free_bytes images are refused; make room"
    count = {line.state: line.count for line in found.states}
    open_exams = sum(count.get(state, 0) for state in _WAITING)
    if open_exams and not found.running:
        yield f"no node runs, and {open_exams} exams wait: mammo-node serve"
    yield from attention(found.upkeep, list(count), running=found.running)
    if found.running and found.audit.oldest_s > _SYSLOG_TAKES_S:
        yield (
            f"{found.audit.records} audit records wait for audit.syslog: make the server take them, see the log; "
            "nothing is lost meanwhile"
        )
    if held := count.get(StudyState.HELD, 0):
        yield f"{held} exams are held and have no result: mammo-node exams --state HELD, then show and requeue --read"
    if failed := count.get(StudyState.UNDELIVERED, 0):
        yield f"results of {failed} exams were not delivered: see the error below; then requeue --all-undelivered"
    if found.not_forwarded:
        yield (
            f"instances of {found.not_forwarded} studies were not forwarded: see the error below; "
            "then requeue --all-undelivered"
        )
    if given_up := found.commitments.get(RequestState.FAILED, 0):
        yield (
            f"{given_up} answers to requests for storage commitment could not be sent: the peers that asked must be "
            "under peers and reachable, and ask again; see the log"
        )
    if held := sum(line.counts.get(str(DeliveryState.HELD), 0) for line in found.destinations):
        yield (
            f"{held} results are held: the archive or the RIS has another patient for their exams; look (mammo-node "
            "show), then requeue, which asks again, or release"
        )
    if found.missing:
        yield f"{found.missing} scheduled exams never came: mammo-node worklist --missing; ask the room or the PACS"
    if found.asides:
        yield f"{found.asides} objects were kept aside: other content under a known UID, or not understood; see the log"


def exam_lines(held: Holdings, states: Sequence[StudyState], limit: int | None = None) -> list[ExamLine]:
    """The exams in any of `states`, last received first; studies that are only stored are no exams."""
    now = datetime.now(UTC)
    studies = held.index.studies(states, limit)
    waiting_ones = {each.study_instance_uid for each in studies if each.state in _UNSETTLED}
    return [_exam_line(study, facts, now) for study, facts in Pages(held.database).facts(studies, waiting_ones)]


def _exam_line(study: Study, facts: Facts, now: datetime) -> ExamLine:
    reading = Reading.from_json(facts.reading.reading_json) if facts.reading is not None else None
    waits = study.state in _UNSETTLED
    return ExamLine(
        study_instance_uid=study.study_instance_uid,
        received_at=study.last_received_at,
        state=study.state,
        revision=study.revision,
        category=str(reading.category) if reading is not None else "",
        band=reading.band if reading is not None else None,
        score=reading.score if reading is not None else None,
        views=_views(facts.views),
        reasons=tuple(dict.fromkeys(str(reason.code) for reason in reading.reasons)) if reading is not None else (),
        waits_s=(now - study.changed_at).total_seconds() if waits else None,
        waits_for=waiting.reason(study, facts.views, facts.deliveries, facts.events) if waits else "",
    )


def why(held: Holdings, study: Study, instances: Iterable[Instance]) -> str:
    """What an exam waits for, in words."""
    uid = study.study_instance_uid
    views = [each.standard_view for each in instances]
    return waiting.reason(study, views, held.outbox.deliveries(uid, revision=study.revision), held.index.events(uid))


def _views(views: Iterable[str]) -> tuple[str, ...]:
    counts = Counter(views)
    return tuple(f"{name} ×{count}" if count > 1 else name for name, count in counts.items())
