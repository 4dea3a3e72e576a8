"""A node's receiving side alone: `python benchmarks/_receiver.py FOLDER PORT [stock]`."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from node import logs
from node.config import config_from
from node.dimse.scp import Receiver
from node.intake import Intake
from storage.database import Database
from storage.index import Index
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.schema import make_engine


def main() -> None:
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    sections = {
        "node": {"port": port},
        "storage": {"minimum_free_bytes": 0},
        "network": {"upper_layer": "stock" if "stock" in sys.argv else "fast"},
        "logging": {"file": "node.log"},
    }
    config = config_from(sections, folder)
    logs.configure(config.logging)
    database = Database(make_engine(config.storage.database_url))
    database.create_schema()
    intake = Intake(config, Index(database), Outbox(database), ObjectStore(config.storage.object_folder))
    receiver = Receiver(config, intake)
    receiver.start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    ended.wait()
    receiver.stop()


if __name__ == "__main__":
    main()
