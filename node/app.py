"""The composition root: the only place that knows everyone."""

from __future__ import annotations

import socket
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from node import holdings, logs
from node.access.accounts import Accounts
from node.audit import codes, configured, events
from node.audit.auditor import Auditor, this_user
from node.audit.doors import Doors, SignIns
from node.audit.forwarding import Forwarder
from node.audit.transfers import Arrivals
from node.books import NODE_ENDED, Books
from node.config import Config
from node.dimse import by_class, commitment, ups, ups_scu
from node.dimse.commitment_scp import CommitmentProvider
from node.dimse.mpps import PerformedSteps
from node.dimse.query_scp import QueryProvider
from node.dimse.scp import Receiver
from node.dimse.scu import Handler
from node.earlier_exams import EarlierExams, Retrieval
from node.errors import ConfigError
from node.examinations.performed import Performed
from node.examinations.prefetching import Prefetching
from node.examinations.worklist import WorklistKeeper
from node.health import Health
from node.hl7.listener import Hl7Listener
from node.hl7.receiving import Receiving
from node.housekeeping import Housekeeper
from node.identity import SOFTWARE_VERSION
from node.intake import Intake
from node.metrics import Metrics
from node.pipeline.committing import Committing
from node.pipeline.durable import DurableJobs
from node.pipeline.heartbeat import Heartbeat
from node.pipeline.identifying import Identifying
from node.pipeline.jobs import Stage
from node.pipeline.orders import Orders
from node.pipeline.rooms import Rooms
from node.pipeline.shadowing import Shadowing
from node.pipeline.stages import Stages
from node.reader_child import room_of
from node.readers import Readers
from node.reconciliation import Bookkeeper
from node.roles import ALL_ROLES, Role, name_of
from node.routing import Router
from node.ups.elsewhere import Elsewhere
from node.ups.performing import Performer, Workshop
from node.ups.subscribing import Subscribing
from node.ups.telling import Teller
from node.ups.worklist import UnifiedWorklist
from node.web.app import make_app
from node.web.decoders import Decoders
from node.web.gate import Door
from node.web.rooms import Holdings
from node.web.rooms import Rooms as WebRooms
from node.web.server import WebServer
from storage.catalogue import Catalogue
from storage.database import Database
from storage.duties import Duties
from storage.index import Index
from storage.ledger import Ledger
from storage.outbox import Outbox
from storage.schema import make_engine
from storage.workers import DatabaseSlot, FileSlot, Slot, SlotTaken, Workers
from storage.worklist import Worklist

log = logs.get(__name__)

#: What a stop gives to jobs that are running; the rest of the 10 s a SIGTERM allows is for the listener and the reader.
_PATIENCE_S = 3.0


class Node:
    """Receiver, reader and sender in one process (and the reader's child), or some of them beside other processes.

    `passed(point)`: see `Rooms`.
    """

    def __init__(
        self,
        config: Config,
        roles: Collection[Role] = ALL_ROLES,
        *,
        passed: Callable[[str], None] = lambda _point: None,
    ) -> None:
        self.config, self.roles = config, frozenset(roles)
        engine = make_engine(config.storage.database_url)
        self.database = Database(engine)
        self.index, self.outbox = Index(self.database), Outbox(self.database)
        self.audit = Auditor(config, self.index)
        self._syslog = Forwarder(config.audit, self.audit.trail)
        self.store = holdings.object_store(config)
        self.router = Router(config)
        self.readers = Readers(self.router)
        self._jobs = DurableJobs(engine, queues(config, self.roles))
        rooms = Rooms(
            config=config,
            database=self.database,
            store=self.store,
            router=self.router,
            readers=self.readers,
            jobs=self._jobs,
            audit=self.audit,
            passed=passed,
        )
        self.orders = Orders(rooms)
        self.intake = Intake(config, self.index, self.outbox, self.store, router=self.router, passed=passed)
        self._shadowing = Shadowing(rooms)
        self._stages = Stages(rooms, self.intake, self._shadowing)
        self.health = Health(config, self.database, self.readers if Role.READ in self.roles else None)
        self.metrics = Metrics(config, self.database, self.health, self.audit)
        self.ledger = Ledger(self.database)
        self.books = Books(self.ledger, self.metrics.count_instance, Arrivals(self.audit).arrived)
        worklist = Worklist(self.database)
        self.worklist = WorklistKeeper(config, worklist)
        self.prefetching = Prefetching(config, worklist, EarlierExams(config, self.index, self.intake))
        self._performed = Performed(self.index, worklist)
        self._commitment = CommitmentProvider(config, self.database, self.store)
        self.work = UnifiedWorklist(self.database, config.ups, config.node.ae_title, commitment.new_transaction_uid)
        self.subscribing = Subscribing(self.database, config.is_peer)
        self.performer = Performer(self._workshop())
        self.teller = Teller(config, self.database, ups.tell)
        self.elsewhere = Elsewhere(config, self.database, ups_scu.manager, commitment.new_transaction_uid)
        doors = Doors(self.audit, every=config.audit.associations == "all")
        self.receiver = Receiver(config, self.intake, self._handlers(Committing(rooms)), self.books, doors)
        self.hl7 = Hl7Listener(config.hl7, Receiving(config.hl7, self.database, Identifying(rooms).changed).answer)
        self.decoders = Decoders(config.web.decoders, config.web.decoding_timeout_s)
        self.web = WebServer(config.web, make_app(self._web_rooms()), config.access)
        self._heartbeat: Heartbeat | None = None
        self._housekeeper: Housekeeper | None = None
        self._started = False

    def _handlers(self, committing: Committing) -> list[Handler]:
        query = QueryProvider(self.config, self.database, self.store, self.audit)
        handlers = [
            *self._commitment.handlers(),
            *commitment.listening(committing.answered),
            *query.handlers(),
            *PerformedSteps(self._performed, self.config).handlers(),
        ]
        work_items = ups.UpsProvider(self.config, self.work, self.subscribing, self.audit)
        return by_class.shared(ups.CLASSES, work_items.handlers(), handlers)

    def _workshop(self) -> Workshop:
        return Workshop(
            config=self.config,
            database=self.database,
            worklist=self.work,
            fetch=Retrieval(self.config, self.intake).fetch,
            read=lambda study: self.orders.complete(study, anyway=True),
            new_uid=commitment.new_transaction_uid,
        )

    def _web_rooms(self) -> WebRooms:
        held = Holdings(Catalogue(self.database), self.store)
        return WebRooms(
            settings=self.config.web,
            holdings=held,
            decoders=self.decoders,
            intake=self.intake,
            database=self.database,
            maximum_object_bytes=self.config.network.max_object_bytes,
            health=self.health,
            metrics=self.metrics,
            books=self.books,
            work=self.work,
            subscribing=self.subscribing,
            door=Door(self.config.web, self.config.access, Accounts(self.database), SignIns(self.audit)),
            audit=self.audit,
        )

    def start(self) -> None:
        """Start everything; returns when the node listens.

        Raises ConfigError (models, a second node on the same data), OSError (address in use).
        """
        if self.config.storage.is_embedded:
            self.database.create_schema()
        self.database.check_schema()
        slot = self._slot()
        self._started = True
        doing = f"{name_of(self.roles)}, version {SOFTWARE_VERSION}"
        self.audit.tell(events.activity(self.audit.here, codes.APPLICATION_START, this_user(), doing))
        configured.tell(self.audit, self.config)
        self._syslog.start()
        self._heartbeat = self._heart(slot)
        if Role.READ in self.roles:
            self.readers.start()
        self._jobs.start(self._stages.run, slot.name)
        self._heartbeat.start(name_of(self.roles))
        if self.config.storage.is_embedded:
            self.store.clear_incoming()
            self.ledger.close_open(datetime.now(UTC), NODE_ENDED)
        self.orders.reconcile()
        self._housekeeper = Housekeeper(
            self.database,
            self.store,
            self.orders,
            self.config,
            self._heartbeat,
            keep_books=Bookkeeper(self.config, self.database).keep,
            hasten=self._performed.signal,
            auditor=self.audit,
        )
        self._housekeeper.start()
        self.worklist.start(self._heartbeat)
        self.prefetching.start(self._heartbeat)
        if Role.RECEIVE in self.roles:
            self.receiver.start()
            self._commitment.start()
            self.hl7.start()
        if Role.READ in self.roles:
            self.performer.start()
            self.elsewhere.start(self._heartbeat)
        if Role.SEND in self.roles:
            self.teller.start()
        if Role.WEB in self.roles:
            self.web.start()

    def _heart(self, slot: Slot) -> Heartbeat:
        workers, duties = Workers(self.database), Duties(self.database)
        return Heartbeat(slot, workers, self._jobs, self.config.pipeline, holder=self.store.writer, duties=duties)

    def _slot(self) -> Slot:
        name = f"{socket.gethostname()}.{name_of(self.roles)}"
        if not self.config.storage.is_embedded:
            return DatabaseSlot(self.database.engine, name)
        if self.roles != ALL_ROLES:
            raise ConfigError("--role: processes that share the work need PostgreSQL (storage.database_url)")
        try:
            return FileSlot("embedded", self.config.storage.lock_file)
        except SlotTaken as error:
            folder = self.config.storage.lock_file.parent
            raise ConfigError(
                f"another mammo-node works on {folder}: stop it, or give this one its own storage.object_folder"
            ) from error

    def reload(self, config: Config) -> tuple[str, ...]:
        """Take up the routing rules of `config` from now on; returns its other sections that a restart would change.

        Raises ConfigError when the rules do not go with what this node was started with; then the old ones go on.
        """
        elsewhere = tuple(
            name for name in type(config).model_fields if getattr(config, name) != getattr(self.config, name)
        )
        elsewhere = tuple(name for name in elsewhere if name != "routing")
        try:
            self.config.with_rules(config.routing)
            if Role.READ in self.roles:
                self.readers.start(config.routing)
        except ConfigError as error:
            also = f"\nneeds a restart, as it changed too: {', '.join(elsewhere)}" if elsewhere else ""
            raise ConfigError(f"{error}{also}") from error
        self.router.exchange(config.routing)
        return elsewhere

    def connect(self) -> None:
        """Only look at what is kept, and ask for work, beside a node that may be running; `stop` ends it."""
        self.database.check_schema()
        self._jobs.connect()

    def stop(self) -> None:
        """Stop cleanly; what is under way is finished or run again at the next start."""
        self.decoders.stop()
        self.web.stop()
        self._commitment.stop()
        self.hl7.stop()
        self.receiver.stop()
        self.performer.stop()
        self.elsewhere.stop()
        self.teller.stop()
        self.worklist.stop()
        self.prefetching.stop()
        if self._housekeeper is not None:
            self._housekeeper.stop()
        self.readers.stop()
        self._shadowing.stop()
        self._jobs.stop(_PATIENCE_S)
        if self._heartbeat is not None:
            self._heartbeat.stop()
        self.database.engine.dispose()
        self.stopped()
        self._syslog.stop()
        log.info("stopped")

    def stopped(self, how: str = "") -> None:
        """Tell the audit trail that it ended, once, where it had started. how: if not as it should."""
        if self._started:
            self._started = False
            self.audit.tell(events.activity(self.audit.here, codes.APPLICATION_STOP, description=how))


def queues(config: Config, roles: Collection[Role]) -> dict[str, int]:
    """Queue → how many of its jobs run at a time."""
    found: dict[str, int] = {}
    if Role.READ in roles:
        fetch = {f"{Stage.FETCH}-{name}": peer.priors.concurrency for name, peer in config.peers.items() if peer.priors}
        exams_at_a_time = room_of(config.reading)
        found |= {**fetch, str(Stage.READ): exams_at_a_time, str(Stage.REPORT): 1, str(Stage.SHADOW): 1}
    if Role.SEND in roles:
        found |= {f"{Stage.DELIVER}-{name}": target.concurrency for name, target in config.destinations.items()}
        found |= {f"{Stage.COMMIT}-{name}": 1 for name, target in config.destinations.items() if target.peer}
    return found
