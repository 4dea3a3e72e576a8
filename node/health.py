"""Is the node fit to be sent to? Its database, its disk, its models, and how long exams wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from node import holdings
from node.config import Config
from node.readers import Readers
from storage.database import Database, DatabaseUnavailable
from storage.figures import Figures
from storage.records import StudyState
from storage.tallies import Tallies

#: Exams in these states wait for this node and for nobody else.
_OWN_WORK = (StudyState.READING, StudyState.REPORTING)


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing a node needs, and how it is."""

    what: str
    ok: bool
    told: str


class Health:
    """Looks at a running node from within."""

    def __init__(self, config: Config, database: Database, readers: Readers | None) -> None:
        """readers: None in a process that does not read."""
        self._config = config
        self._figures = Figures(database)
        self._tallies = Tallies(database)
        self._readers = readers

    def conditions(self) -> tuple[Condition, ...]:
        """Everything the node needs; it is ready when all of it is ok. Never raises for what is wrong."""
        return (*self._database(), self._disk(), *self._models())

    def _database(self) -> Iterator[Condition]:
        try:
            self._figures.alive()
            counts = self._tallies.studies()
        except DatabaseUnavailable as error:
            yield Condition("database", False, str(error))
            return
        yield Condition("database", True, "answers")
        waiting = {state: counts[state][1] for state in _OWN_WORK if state in counts}
        oldest_s = max(((datetime.now(UTC) - since).total_seconds() for since in waiting.values()), default=0.0)
        limit_s = self._config.web.ready_within_s
        yield Condition("queues", limit_s is None or oldest_s <= limit_s, f"the oldest exam waits for {oldest_s:.0f} s")

    def _disk(self) -> Condition:
        storage = self._config.storage
        free = holdings.free_bytes(storage.object_folder)
        return Condition("disk", free >= storage.minimum_free_bytes, f"{free} bytes are free")

    def _models(self) -> Iterator[Condition]:
        for name, serves in self._readers.ready().items() if self._readers is not None else ():
            yield Condition(f"models of {name}", serves, "self-check passed" if serves else "they do not serve")
