"""Received = answered? Every instance that was kept belongs to an exam that was answered, or by a rule to none."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from node import logs
from node.books import NODE_ENDED
from node.config import Config
from storage.database import Database
from storage.ledger import Counted, Ledger, Standing
from storage.records import StudyState

log = logs.get(__name__)

#: An exam whose state changed less long ago may wait: what is under way is no exception yet.
GRACE_S = 3600.0
_A_PERSON = (StudyState.HELD, StudyState.UNDELIVERED)


class Answer(StrEnum):
    """How a study that received something stands."""

    ANSWERED = "answered"
    STORED = "stored only"
    WAITING = "waiting"
    UNANSWERED = "unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A study of the day. instances: that came on it. why: for people, where it is not answered."""

    study_instance_uid: str
    instances: int
    answer: Answer
    category: str
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What kept instances from being simply kept, and how many; status: what they were answered with."""

    outcome: str
    status: int
    why: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day's books. came: outcome → instances, as senders were told. answers: answer → instances, as they stand.

    missing: SOP Instance UIDs that were answered as stored and are not held.
    """

    day: date
    came: dict[str, int]
    answers: dict[str, int]
    waiting: tuple[Line, ...]
    unanswered: tuple[Line, ...]
    missing: tuple[str, ...]
    reasons: tuple[Reason, ...]
    transfers: tuple[Counted, ...]

    @property
    def balanced(self) -> bool:
        """Whether nothing is unanswered, and nothing missing."""
        return not self.unanswered and not self.missing


def judge(standing: Standing, now: datetime, grace_s: float = GRACE_S) -> Line:
    """How a study stands, by its reading and its deliveries; its state alone is not believed."""
    answer, why = _judged(standing, now, grace_s)
    if answer is not Answer.UNANSWERED and standing.not_forwarded:
        answer, why = Answer.UNANSWERED, f"{standing.not_forwarded} instances were not forwarded"
    return Line(
        study_instance_uid=standing.study_instance_uid,
        instances=standing.instances,
        answer=answer,
        category=standing.category,
        why=why,
    )


def _judged(standing: Standing, now: datetime, grace_s: float) -> tuple[Answer, str]:
    state, came = standing.state, standing.last_to_read_at
    if state is None or standing.changed_at is None:
        return Answer.UNANSWERED, "its exam is not in the index"
    if not standing.to_read or came is None:
        return Answer.STORED, ""
    if state in _A_PERSON:
        return Answer.UNANSWERED, state.sentence
    if state is not StudyState.ANSWERED:
        late = (now - standing.changed_at).total_seconds() > grace_s
        return (Answer.UNANSWERED if late else Answer.WAITING), f"{state}: {state.sentence}"
    why = _doubt(standing, came)
    return (Answer.UNANSWERED if why else Answer.ANSWERED), why


def _doubt(standing: Standing, came: datetime) -> str:
    """Why an exam that counts as answered is not; "" where it is."""
    if standing.read_at is None:
        return "it counts as answered and has no reading"
    if standing.read_at < came:
        return "an image came after its reading and was not read"
    if standing.undelivered or not standing.delivered:
        return "it counts as answered and its results are not all delivered"
    return ""


def reconcile(config: Config, database: Database, day: date, now: datetime | None = None) -> Day:
    """The books of a day of this machine's time zone."""
    now, (since, until) = now or datetime.now(UTC), span(day)
    ledger = Ledger(database)
    lines = [judge(each, now) for each in ledger.standings(since, until)]
    transfers = ledger.transfers(since, until)
    came: Counter[str] = Counter()
    for each in transfers:
        came.update(each.counts)
    answers: Counter[str] = Counter()
    for line in lines:
        answers[str(line.answer)] += line.instances
    return Day(
        day=day,
        came=dict(came),
        answers=dict(answers),
        waiting=tuple(line for line in lines if line.answer is Answer.WAITING),
        unanswered=tuple(line for line in lines if line.answer is Answer.UNANSWERED),
        missing=tuple(_missing(config, ledger, (since, until), now)),
        reasons=tuple(
            Reason(outcome=outcome, status=status, why=why, count=count)
            for (outcome, status, why), count in ledger.reasons(since, until).items()
        ),
        transfers=tuple(transfers),
    )


def unanswered(config: Config, database: Database, days: int = 7) -> int:
    """How many studies of the last days are unanswered, and instances missing; for the metric."""
    now = datetime.now(UTC)
    since, ledger = now - timedelta(days=days), Ledger(database)
    lines = (judge(each, now) for each in ledger.standings(since, now))
    missing = _missing(config, ledger, (since, now), now)
    return sum(line.answer is Answer.UNANSWERED for line in lines) + len(missing)


class Bookkeeper:
    """Closes each day once it is over and its exams had their time: tells what is unanswered, forgets what is old."""

    def __init__(self, config: Config, database: Database) -> None:
        self._config = config
        self._database = database
        self._closed: date | None = None

    def keep(self, now: datetime) -> int:
        """To be called every now and then; returns how many are unanswered or missing of a day it closed.

        A node that was started anew closes yesterday again.
        """
        yesterday = (now - timedelta(seconds=GRACE_S)).astimezone().date() - timedelta(days=1)
        if yesterday == self._closed:
            return 0
        found = reconcile(self._config, self._database, yesterday, now)
        tell = log.info if found.balanced else log.error
        tell(
            "day closed" if found.balanced else "day closed, and received is not answered",
            day=str(yesterday),
            came=found.came,
            answers=found.answers,
            unanswered=[line.study_instance_uid for line in found.unanswered],
            missing=list(found.missing),
        )
        ledger = Ledger(self._database)
        if not self._config.storage.is_embedded:  # no start of one worker can tell what the others have open
            ledger.close_open(now, NODE_ENDED, began_before=span(yesterday)[0])
        if self._config.storage.ledger_days is not None:
            ledger.forget(now - timedelta(days=self._config.storage.ledger_days))
        self._closed = yesterday
        return len(found.unanswered) + len(found.missing)


def span(day: date) -> tuple[datetime, datetime]:
    """When a day begins and ends here."""
    begins = datetime.combine(day, time()).astimezone()
    return begins, datetime.combine(day + timedelta(days=1), time()).astimezone()


def _missing(config: Config, ledger: Ledger, within: tuple[datetime, datetime], now: datetime) -> list[str]:
    """What retention may have deleted is not missed."""
    since, until = within
    kept_days = config.storage.retention_days
    kept_since = now - timedelta(days=kept_days) if kept_days is not None else since
    return ledger.missing(max(since, kept_since), until)
