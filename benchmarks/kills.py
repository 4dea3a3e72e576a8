"""Kills the node again and again and counts what is lost, doubled or stuck: `python benchmarks/kills.py [--kills N]`.

Real processes, a real PACS (Orthanc), a network that cuts one in five connections to it. Every named point of every
stage in turn, the node alone and with its children, and moments at random. `--lanes` nodes are killed side by side.
`--json` prints the counts for scripts. Ends with 1 unless all three are 0.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from node.simulator.pacs import free_port
from tests.support_kills import Counts, Rig, known, lives
from tests.support_peers import orthanc
from tests.support_proxy import failing_proxy


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--lanes", type=int, default=2, help="nodes killed side by side")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    begun = time.monotonic()
    ports = {f"{n}": free_port() for n in range(1, asked.lanes + 1)}
    with (
        tempfile.TemporaryDirectory() as folder,
        orthanc(Path(folder), DicomModalities=known(ports)) as pacs,
        failing_proxy(pacs.port) as proxy,
    ):
        lanes = [Rig(Path(folder) / f"lane{n}", pacs, proxy.port, n, port) for n, port in ports.items()]
        found = run(lanes, list(lives(asked.kills)))
        cuts = proxy.cuts
    total = {key: sum(asdict(each)[key] for each in found) for key in asdict(found[0])}
    total |= {"connections_cut": cuts, "seconds": round(time.monotonic() - begun)}
    if asked.json:
        print(json.dumps(total))
    else:
        print(", ".join(f"{key} {value}" for key, value in total.items()))
    sys.exit(any(total[key] for key in ("lost", "doubled", "stuck")))


def run(lanes: list[Rig], todo: list[tuple[str | None, float, bool]]) -> list[Counts]:
    """Share the lives out among the lanes; the counts of each."""
    lock, done = threading.Lock(), iter(todo)

    def live(lane: Rig) -> Counts:
        while True:
            with lock:
                each = next(done, None)
            if each is None:
                return lane.settle(timeout_s=120 + 3 * len(lane.studies))
            point, after_s, group = each
            lane.life(point, after_s=after_s, group=group)
            if sum(other.kills for other in lanes) % 50 == 0:
                print(f"{sum(other.kills for other in lanes)} kills", file=sys.stderr)

    with ThreadPoolExecutor(len(lanes)) as pool:
        return list(pool.map(live, lanes))


if __name__ == "__main__":
    main()
