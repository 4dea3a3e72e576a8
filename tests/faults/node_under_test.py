"""A node for the fault tests: `python node_under_test.py CONFIG [POINT]`.

With POINT it kills itself with SIGKILL when it first passes that point between two durable steps; with "group POINT"
its children too. It prints "serving PORT".
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from node import logs
from node.app import Node
from node.config import load_config


def main() -> None:
    config = load_config(Path(sys.argv[1]))
    deadly = sys.argv[2] if len(sys.argv) > 2 else None

    def passed(point: str) -> None:
        if deadly == f"group {point}":
            os.killpg(0, signal.SIGKILL)
        if point == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    logs.configure(config.logging)
    node = Node(config, passed=passed)
    node.start()
    ended = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ended.set())
    print(f"serving {node.receiver.port}", flush=True)
    ended.wait()
    node.stop()


if __name__ == "__main__":
    main()
