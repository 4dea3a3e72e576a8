"""The reader's child process: `python -m node.reader_process FD`, started by `node.reader_child` alone.

It is asked and answers over the socket FD (pickled; both ends are this software), several exams at a time, each with a
number, and ends when the node closes it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path

from ai.bundle import SHIPPED
from ai.findings import ReadOutcome
from ai.inference import Engine
from ai.read_ahead import Pace, ReadAhead
from ai.request import OutOfMemory
from node.in_force import in_force
from node.reader_child import Place, Serving, Trouble


def make_engine(place: Place) -> Engine:
    """The engine these settings describe, with what counts now, self-checked on its device.

    Raises what is wrong with the bundles.
    """
    settings, counts = place.settings, in_force(place.settings)
    engine = Engine(
        [_folder(name) for name in counts.settings.bundles],
        operating_points=counts.points,
        strategy=settings.strategy,
        calibration=counts.calibration,
        strategy_options=settings.strategy_options,
        negative_without_reference_population=settings.negative_without_reference_population,
        device=place.device,
        threads=place.threads,
    )
    engine.self_check()
    return engine


def _folder(bundle: str) -> Path:
    """A shipped bundle's folder by its name; anything with a slash or an ending is a path already."""
    shipped = SHIPPED / bundle
    return shipped if shipped.is_dir() else Path(bundle)


def serve(pipe: Connection) -> None:
    """Load, check, tell the algorithm; then read whatever exams are asked for until the pipe ends."""
    place: Place = pipe.recv()
    os.nice(place.niceness)
    try:
        engine = make_engine(place)
    except Exception as error:  # noqa: BLE001  told to the node, which refuses to start
        pipe.send(f"{type(error).__name__}: {error}")
        return
    pipe.send(Serving(engine.algorithm, engine.priors))
    pace = Pace(batch=place.batch, wait_s=place.settings.batch_wait_ms / 1000, ahead=place.prefetch)

    def answered(number: int, outcome: ReadOutcome | Exception) -> None:
        with contextlib.suppress(OSError):  # the node is gone, and so is this process in a moment
            pipe.send((number, _told(outcome)))

    with ReadAhead(engine, pace, place.threads, answered) as reading:
        while True:
            try:
                number, request = pipe.recv()
            except (EOFError, OSError):
                os._exit(0)  # nobody waits for what is being read
            reading.read(number, request)


def _told(outcome: ReadOutcome | Exception) -> ReadOutcome | Trouble:
    if isinstance(outcome, ReadOutcome):
        return outcome
    return Trouble(f"{type(outcome).__name__}: {outcome}", isinstance(outcome, OutOfMemory))


def _end(failed: threading.ExceptHookArgs) -> None:
    """A thread that has ended would leave the node without answers: let it start another process."""
    sys.__excepthook__(failed.exc_type, failed.exc_value or failed.exc_type(), failed.exc_traceback)
    os._exit(1)


def main() -> None:
    """Serve on the descriptor named on the command line."""
    threading.excepthook = _end
    # The node decides when to end, also at Ctrl-C or a TERM sent to the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError), Connection(int(sys.argv[1])) as pipe:
        serve(pipe)


if __name__ == "__main__":
    main()
