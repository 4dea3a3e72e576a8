"""The web side in a process of its own, to measure: `python web_under_test.py FOLDER`. Prints "serving PORT"."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from node import logs
from node.app import Node
from tests.support_exams import settings


def main() -> None:
    config = settings(Path(sys.argv[1]), web={"port": 0})
    logs.configure(config.logging)
    node = Node(config)
    node.database.create_schema()
    node.web.start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print(f"serving {node.web.port}", flush=True)
    ended.wait()
    node.stop()


if __name__ == "__main__":
    main()
