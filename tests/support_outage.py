"""A night without the PACS: exams wait, another destination gets its results, and in the morning all arrive once."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pynetdicom import AE, AllStoragePresentationContexts, evt

from node.app import Node
from node.simulator.pacs import free_port
from storage.records import DeliveryState, StudyState
from tests.support import wait_until
from tests.support_exams import exam, settings
from tests.support_peers import sent

ROOT = "1.2.826.0.1.3680043.10.999.6"


@dataclass(frozen=True)
class Outage:
    """exams: how many waited. elsewhere: how many the other destination had before the PACS was back.

    lost, doubled: result objects at the PACS. seconds: from its return until everything was there.
    """

    exams: int
    elsewhere: int
    lost: int
    doubled: int
    seconds: float


@contextmanager
def pacs(port: int) -> Iterator[Counter[str]]:
    """A PACS that counts each object it is sent by its SOP Instance UID."""
    received: Counter[str] = Counter()
    ae = AE("PACS")
    ae.supported_contexts = AllStoragePresentationContexts

    def store(event: evt.Event) -> int:
        received[str(event.request.AffectedSOPInstanceUID)] += 1
        return 0x0000

    server = ae.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


def night(folder: Path, exams: int, max_retry_s: float = 1.0) -> Outage:
    """Live through one. Exams cannot be read (implants), which makes no difference to delivering their results."""
    port = free_port()
    results = ["mammography_cad_sr", "measurement_sr"]
    config = settings(
        folder,
        peers={"PACS": {"ae_title": "PACS", "host": "127.0.0.1", "port": port}},
        destinations={
            "pacs": {"peer": "PACS", "results": results, "first_retry_s": 0.2, "max_retry_s": max_retry_s},
            "folder": {"type": "folder", "folder": f"{folder}/results", "results": results},
        },
        reading={"threads": 1},
    )
    node = Node(config)
    node.start()
    try:
        for number in range(exams):
            images = exam(f"{ROOT}.{number}", BreastImplantPresent="YES", Rows=32, Columns=32)
            sent(images, folder, node.receiver.port)
        delivered = [DeliveryState.DELIVERED]
        wait_until(
            lambda: len(node.outbox.deliveries(destination="folder", states=delivered)) == 2 * exams,
            60 + exams,
            "the other destination to have everything",
        )
        elsewhere = len(list((folder / "results").glob("*.dcm"))) // 2
        assert node.outbox.deliveries(destination="pacs", states=delivered) == []
        with pacs(port) as received:
            begun = time.monotonic()
            answered = [StudyState.ANSWERED]
            wait_until(lambda: len(node.index.studies(answered)) == exams, 60 + exams, "the PACS to have everything")
            seconds = time.monotonic() - begun
            made = {each.sop_instance_uid for each in node.outbox.deliveries(destination="pacs")}
            lost, doubled = len(made - set(received)), sum(received.values()) - len(received)
        return Outage(exams, elsewhere, lost + 2 * exams - len(made), doubled, seconds)
    finally:
        node.stop()
