"""The reader's child process: `python -m node.reader_process FD NICENESS`, started by `node.reader` alone.

It is asked and answers over the socket FD (pickled; both ends are this software), and ends when the node closes it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from multiprocessing.connection import Connection
from pathlib import Path

from ai.bundle import SHIPPED
from ai.findings import ReadOutcome
from ai.inference import Engine
from node.in_force import in_force
from node.reader import ReadRequest, Serving
from node.settings import ReadingSettings


def make_engine(settings: ReadingSettings) -> Engine:
    """The engine these settings describe, with what counts now, self-checked. Raises what is wrong with the bundles."""
    counts = in_force(settings)
    engine = Engine(
        [_folder(name) for name in counts.settings.bundles],
        operating_points=counts.points,
        strategy=settings.strategy,
        calibration=counts.calibration,
        strategy_options=settings.strategy_options,
        negative_without_reference_population=settings.negative_without_reference_population,
        device=settings.device,
        threads=settings.threads or os.cpu_count() or 1,
    )
    engine.self_check()
    return engine


def _folder(bundle: str) -> Path:
    """A shipped bundle's folder by its name; anything with a slash or an ending is a path already."""
    shipped = SHIPPED / bundle
    return shipped if shipped.is_dir() else Path(bundle)


def serve(pipe: Connection) -> None:
    """Load, check, tell the algorithm, then one exam after the other."""
    settings: ReadingSettings = pipe.recv()
    try:
        engine = make_engine(settings)
    except Exception as error:  # noqa: BLE001  told to the node, which refuses to start
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send(Serving(engine.algorithm, engine.priors))
    while True:
        request: ReadRequest = pipe.recv()
        try:
            answer: ReadOutcome | str = engine.read(request.exam, request.files, revision=request.revision)
        except Exception as error:  # noqa: BLE001  the node counts it as a failed attempt at this exam
            answer = f"{type(error).__name__}: {error}"
        pipe.send(answer)


def main() -> None:
    """Serve on the descriptor and with the niceness named on the command line."""
    # The node decides when to end, also at Ctrl-C or a TERM sent to the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.nice(int(sys.argv[2]))
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError), Connection(int(sys.argv[1])) as pipe:
        serve(pipe)


if __name__ == "__main__":
    main()
