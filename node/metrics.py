"""Metrics for Prometheus: what passes is counted as it passes, what is kept when somebody asks. Nothing of a patient.

A label is an AE title of the configuration, a state, a status, a route: never what a sender made up.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from node import holdings, logs, reconciliation
from node.audit import forwarding
from node.audit.auditor import Auditor
from node.config import Config
from node.examinations import scheduled
from node.health import Health
from node.identity import SOFTWARE_VERSION
from storage.database import Database, DatabaseUnavailable
from storage.figures import Figures
from storage.forwards import Forwards
from storage.tallies import Tallies
from storage.ups import Workitems
from storage.worklist import Worklist

log = logs.get(__name__)

#: The media type of `Metrics.text` (Prometheus text exposition format 0.0.4).
MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_PREFIX = "mammo_node_"
_SECONDS = (0.01, 0.05, 0.1, 0.5, 1, 5, 10, 60)


class Metrics:
    """Counters of one node, and its figures at the moment of asking."""

    def __init__(self, config: Config, database: Database, health: Health, auditor: Auditor) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Kept(config, database, health))
        self._registry.register(_Audited(config, auditor))
        self.requests = Counter(
            f"{_PREFIX}requests", "HTTP requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self.request_seconds = Histogram(
            f"{_PREFIX}request_seconds",
            "Time to answer an HTTP request.",
            ("route",),
            buckets=_SECONDS,
            registry=self._registry,
        )

        self._instances = Counter(
            f"{_PREFIX}instances",
            "Instances that came, by what became of them.",
            ("service", "outcome"),
            registry=self._registry,
        )

    def count_instance(self, service: str, outcome: str) -> None:
        """One instance came by `service`, C-STORE or STOW-RS."""
        self._instances.labels(service, outcome).inc()

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        return generate_latest(self._registry)


class _Audited(Collector):
    """How the audit trail fares."""

    def __init__(self, config: Config, auditor: Auditor) -> None:
        self._config, self._auditor = config, auditor

    def collect(self) -> Iterator[Metric]:
        """What waits for syslog, and what could not be written."""
        yield _gauge("audit_lost", "Audit records that this process could not write.", value=self._auditor.lost_in_all)
        try:
            found = forwarding.waiting(self._config.audit, self._auditor.trail)
        except OSError as error:
            log.warning("metrics without the audit trail", problem=str(error))
            return
        yield _gauge("audit_waiting", "Audit records that syslog has not taken.", value=found.records)
        yield _gauge("audit_waiting_seconds", "For how long the oldest of them has waited.", value=found.oldest_s)


class _Kept(Collector):
    """What the tables, the disk and the readers say now."""

    def __init__(self, config: Config, database: Database, health: Health) -> None:
        self._config, self._database = config, database
        self._tallies, self._figures, self._forwards = Tallies(database), Figures(database), Forwards(database)
        self._health = health

    def describe(self) -> Iterator[Metric]:
        """Nothing is asked of the database for being registered."""
        yield from ()

    def collect(self) -> Iterator[Metric]:
        """Where the database does not answer, what is kept there is left out, and the condition says so."""
        yield InfoMetricFamily(f"{_PREFIX}software", "The node.", {"version": SOFTWARE_VERSION})
        conditions = _gauge("ready", "1 where what the node needs is as it should be.", "condition")
        for each in self._health.conditions():
            conditions.add_metric([each.what], each.ok)
        yield conditions
        free = holdings.free_bytes(self._config.storage.object_folder)
        yield _gauge("free_bytes", "Free disk where objects are kept.", value=free)
        least = self._config.storage.minimum_free_bytes
        yield _gauge("minimum_free_bytes", "With less free disk instances are refused.", value=least)
        try:
            yield from [
                *self._exams(),
                *self._objects(),
                *self._deliveries(),
                self._unanswered(),
                self._workitems(),
                *self._scheduled(),
            ]
        except DatabaseUnavailable as error:
            log.warning("metrics without the database", problem=str(error))

    def _exams(self) -> Iterator[Metric]:
        exams = _gauge("exams", "Studies by where they stand.", "state")
        oldest = _gauge("oldest_exam_seconds", "For how long the oldest study of a state has been in it.", "state")
        for state, (count, since) in self._tallies.studies().items():
            exams.add_metric([str(state)], count)
            oldest.add_metric([str(state)], _age_s(since))
        readings = _gauge("readings", "Saved readings by category, every revision counted.", "category")
        for category, count in self._tallies.readings().items():
            readings.add_metric([category], count)
        yield from (exams, oldest, readings)

    def _objects(self) -> Iterator[Metric]:
        count, size = self._tallies.instances()
        yield _gauge("instances_held", "Received instances that are kept.", value=count)
        yield _gauge("instances_held_bytes", "Bytes of them.", value=size)
        yield _gauge("asides", "Objects kept aside for a person.", value=self._figures.asides())

    def _workitems(self) -> Metric:
        found = _gauge("workitems", "Work items (UPS) by state.", "state")
        for state, count in Workitems(self._database).counts().items():
            found.add_metric([str(state)], count)
        return found

    def _scheduled(self) -> Iterator[Metric]:
        settings = self._config.worklist
        if settings.peer is None:
            return
        now = datetime.now().astimezone()
        lines = Worklist(self._database).lines(*scheduled.bounds(now.date()))
        late = len(scheduled.missing(lines, now, settings.missing_after_s))
        came = sum(bool(line.state) for line in lines)
        found = _gauge("scheduled_exams", "Exams of today's worklist: come, still to come, or missing.", "which")
        for which, count in (("come", came), ("to_come", len(lines) - came - late), ("missing", late)):
            found.add_metric([which], count)
        yield found

    def _unanswered(self) -> Metric:
        text = "Studies of the last seven days that are unanswered, and instances that are missing."
        return _gauge("unanswered", text, value=reconciliation.unanswered(self._config, self._database))

    def _deliveries(self) -> Iterator[Metric]:
        results = _gauge("deliveries", "Result objects by destination and state.", "destination", "state")
        for (destination, state), count in self._tallies.deliveries().items():
            results.add_metric([destination, state], count)
        forwards = _gauge("forwards", "Forwarded instances by destination and state.", "destination", "state")
        for (destination, state), count in self._tallies.forwards().items():
            forwards.add_metric([destination, state], count)
        text = "For how long the oldest object for a destination has waited."
        oldest = _gauge("oldest_delivery_seconds", text, "destination", "what")
        for what, waiting in (("result", self._figures.oldest_deliveries()), ("instance", self._forwards.oldest())):
            for destination, since in waiting.items():
                oldest.add_metric([destination, what], _age_s(since))
        yield from (results, forwards, oldest)


def _gauge(name: str, text: str, *labels: str, value: float | None = None) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_PREFIX}{name}", text, value=value, labels=labels or None)


def _age_s(since: datetime) -> float:
    return (datetime.now(UTC) - since).total_seconds()
