"""A decoding child process: `python -m node.web.decoder_process FD`, started by `node.web.decoders` alone.

It is asked and answers over the socket FD (pickled; both ends are this software), and ends when the node closes it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings
from multiprocessing import reduction
from multiprocessing.connection import Connection

from node.web import pictures
from node.web.wanted import Failed, FrameWanted, Made, PictureWanted


def serve(pipe: Connection) -> None:
    """Say that it is ready, then one image after the other."""
    pipe.send(True)
    while True:
        wanted: FrameWanted | PictureWanted = pipe.recv()
        try:
            content = pictures.made(wanted)
        except Exception as error:  # noqa: BLE001  told to the node, which answers with it
            pipe.send(Failed(pictures.told(error)))
        else:
            give(pipe, content)


def give(pipe: Connection, content: bytes) -> None:
    """Hand over memory that both processes have, so that the node need not hold a copy of it."""
    descriptor = os.memfd_create("frame")
    try:
        with os.fdopen(descriptor, "wb", closefd=False) as file:
            file.write(content)
        pipe.send(Made(len(content)))
        reduction.send_handle(pipe, descriptor, os.getppid())
    finally:
        os.close(descriptor)


def main() -> None:
    """Serve on the descriptor named on the command line."""
    # The node decides when to end, also at Ctrl-C or a TERM sent to the whole group.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    warnings.simplefilter("ignore")  # pydicom's quote values
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError), Connection(int(sys.argv[1])) as pipe:
        serve(pipe)


if __name__ == "__main__":
    main()
