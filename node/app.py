"""The composition root: the only place that knows everyone."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from node import logs
from node.books import NODE_ENDED, Books
from node.config import Config
from node.dimse import commitment
from node.dimse.commitment_scp import CommitmentProvider
from node.dimse.query_scp import QueryProvider
from node.dimse.scp import Receiver
from node.dimse.scu import Handler
from node.errors import ConfigError
from node.health import Health
from node.housekeeping import Housekeeper
from node.intake import Intake
from node.metrics import Metrics
from node.pipeline.committing import Committing
from node.pipeline.durable import DurableJobs
from node.pipeline.jobs import Stage
from node.pipeline.orders import Orders
from node.pipeline.rooms import Rooms
from node.pipeline.shadowing import Shadowing
from node.pipeline.stages import Stages
from node.reader_child import room_of
from node.readers import Readers
from node.reconciliation import Bookkeeper
from node.routing import Router
from node.web.app import make_app
from node.web.decoders import Decoders
from node.web.rooms import Holdings
from node.web.rooms import Rooms as WebRooms
from node.web.server import WebServer
from storage.catalogue import Catalogue
from storage.database import Database
from storage.index import Index
from storage.ledger import Ledger
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.schema import make_engine

log = logs.get(__name__)

#: What a stop gives to jobs that are running; the rest of the 10 s a SIGTERM allows is for the listener and the reader.
_PATIENCE_S = 3.0


class Node:
    """Receiver, reader and sender in one process (and the reader's child). `passed(point)`: see `Rooms`."""

    def __init__(self, config: Config, *, passed: Callable[[str], None] = lambda _point: None) -> None:
        self.config = config
        engine = make_engine(config.storage.database_url)
        self.database = Database(engine)
        self.index, self.outbox = Index(self.database), Outbox(self.database)
        self.store = ObjectStore(config.storage.object_folder)
        self.router = Router(config)
        self.readers = Readers(self.router)
        self._jobs = DurableJobs(
            engine, _queues(config, room_of(config.reading)), executor="embedded", lock_file=config.storage.lock_file
        )
        rooms = Rooms(
            config=config,
            database=self.database,
            store=self.store,
            router=self.router,
            readers=self.readers,
            jobs=self._jobs,
            passed=passed,
        )
        self.orders = Orders(rooms)
        self.intake = Intake(config, self.index, self.outbox, self.store, router=self.router, passed=passed)
        self._shadowing = Shadowing(rooms)
        self._stages = Stages(rooms, self.intake, self._shadowing)
        self.health = Health(config, self.database, self.readers)
        self.metrics = Metrics(config, self.database, self.health)
        self.ledger = Ledger(self.database)
        self.books = Books(self.ledger, self.metrics.count_instance)
        self._commitment = CommitmentProvider(config, self.database, self.store)
        self.receiver = Receiver(config, self.intake, self._roles(Committing(rooms)), self.books)
        self.decoders = Decoders(config.web.decoders, config.web.decoding_timeout_s)
        self.web = WebServer(config.web, make_app(self._web_rooms()))
        bookkeeper = Bookkeeper(config, self.database)
        self._housekeeper = Housekeeper(
            self.index, self.store, self.orders, config.storage.retention_days, bookkeeper.keep
        )

    def _roles(self, committing: Committing) -> list[Handler]:
        query = QueryProvider(self.config, self.database, self.store)
        return [*self._commitment.handlers(), *commitment.listening(committing.answered), *query.handlers()]

    def _web_rooms(self) -> WebRooms:
        holdings = Holdings(Catalogue(self.database), self.store)
        return WebRooms(
            settings=self.config.web,
            holdings=holdings,
            decoders=self.decoders,
            intake=self.intake,
            database=self.database,
            maximum_object_bytes=self.config.network.max_object_bytes,
            health=self.health,
            metrics=self.metrics,
            books=self.books,
        )

    def start(self) -> None:
        """Start everything; returns when the node listens.

        Raises ConfigError (models, a second node on the same data), OSError (address in use).
        """
        self.database.create_schema()
        self.readers.start()
        self._jobs.start(self._stages.run)
        self.store.clear_incoming()
        self.ledger.close_open(datetime.now(UTC), NODE_ENDED)
        self.orders.reconcile()
        self._housekeeper.start()
        self.receiver.start()
        self._commitment.start()
        self.web.start()

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
            self.readers.start(config.routing)
        except ConfigError as error:
            also = f"\nneeds a restart, as it changed too: {', '.join(elsewhere)}" if elsewhere else ""
            raise ConfigError(f"{error}{also}") from error
        self.router.exchange(config.routing)
        return elsewhere

    def connect(self) -> None:
        """Only look at what is kept, and ask for work, beside a node that may be running; `stop` ends it."""
        self.database.create_schema()
        self._jobs.connect()

    def stop(self) -> None:
        """Stop cleanly; what is under way is finished or run again at the next start."""
        self.decoders.stop()
        self.web.stop()
        self._commitment.stop()
        self.receiver.stop()
        self._housekeeper.stop()
        self.readers.stop()
        self._shadowing.stop()
        self._jobs.stop(_PATIENCE_S)
        self.database.engine.dispose()
        log.info("stopped")


def _queues(config: Config, exams_at_a_time: int) -> dict[str, int]:
    delivery = {f"{Stage.DELIVER}-{name}": target.concurrency for name, target in config.destinations.items()}
    commit = {f"{Stage.COMMIT}-{name}": 1 for name, target in config.destinations.items() if target.peer}
    fetch = {f"{Stage.FETCH}-{name}": peer.priors.concurrency for name, peer in config.peers.items() if peer.priors}
    own = {str(Stage.READ): exams_at_a_time, str(Stage.REPORT): 1, str(Stage.SHADOW): 1}
    return {**fetch, **own, **delivery, **commit}
