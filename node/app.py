"""The composition root: the only place that knows everyone."""

from __future__ import annotations

from collections.abc import Callable

from node import logs
from node.config import Config
from node.dimse.mpps import PerformedSteps
from node.dimse.scp import Receiver
from node.housekeeping import Housekeeper
from node.intake import Intake
from node.performed import Performed
from node.pipeline.durable import DurableJobs
from node.pipeline.jobs import Stage
from node.pipeline.orders import Orders
from node.pipeline.rooms import Rooms
from node.pipeline.stages import Stages
from node.reader import Reader
from node.web.app import make_app
from node.web.decoders import Decoders
from node.web.rooms import Holdings
from node.web.rooms import Rooms as WebRooms
from node.web.server import WebServer
from node.worklist import WorklistKeeper
from storage.catalogue import Catalogue
from storage.database import Database
from storage.index import Index
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.schema import make_engine
from storage.worklist import Worklist

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
        self.reader = Reader(config.reading)
        self._jobs = DurableJobs(engine, _queues(config), executor="embedded", lock_file=config.storage.lock_file)
        rooms = Rooms(
            config=config, database=self.database, store=self.store, reader=self.reader, jobs=self._jobs, passed=passed
        )
        self.orders = Orders(rooms)
        self._stages = Stages(rooms)
        self.intake = Intake(config, self.index, self.outbox, self.store, passed=passed)
        worklist = Worklist(self.database)
        performed = Performed(self.index, worklist)
        self.worklist = WorklistKeeper(config, self.index, worklist)
        self.receiver = Receiver(config, self.intake, handlers=PerformedSteps(performed).handlers())
        self.decoders = Decoders(config.web.decoders, config.web.decoding_timeout_s)
        self.web = WebServer(config.web, make_app(self._web_rooms()))
        self._housekeeper = Housekeeper(self.index, self.store, self.orders, performed, config.storage.retention_days)

    def _web_rooms(self) -> WebRooms:
        holdings = Holdings(Catalogue(self.database), self.store)
        return WebRooms(
            settings=self.config.web,
            holdings=holdings,
            decoders=self.decoders,
            intake=self.intake,
            maximum_object_bytes=self.config.network.max_object_bytes,
        )

    def start(self) -> None:
        """Start everything; returns when the node listens.

        Raises ConfigError (models, a second node on the same data), OSError (address in use).
        """
        self.database.create_schema()
        self.reader.start()
        self._jobs.start(self._stages.run)
        self.store.clear_incoming()
        self.orders.reconcile()
        self._housekeeper.start()
        self.worklist.start()
        self.receiver.start()
        self.web.start()

    def connect(self) -> None:
        """Only look at what is kept, and ask for work, beside a node that may be running; `stop` ends it."""
        self.database.create_schema()
        self._jobs.connect()

    def stop(self) -> None:
        """Stop cleanly; what is under way is finished or run again at the next start."""
        self.decoders.stop()
        self.web.stop()
        self.receiver.stop()
        self.worklist.stop()
        self._housekeeper.stop()
        self.reader.stop()
        self._jobs.stop(_PATIENCE_S)
        self.database.engine.dispose()
        log.info("stopped")


def _queues(config: Config) -> dict[str, int]:
    delivery = {f"{Stage.DELIVER}-{name}": target.concurrency for name, target in config.destinations.items()}
    return {str(Stage.READ): 1, str(Stage.REPORT): 1, **delivery}
