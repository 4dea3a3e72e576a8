"""A node's receiving side in the test's own process, and pynetdicom as a sender to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from node.config import Config
from node.dimse.scp import Receiver
from node.intake import Intake
from storage.database import Database
from storage.index import Index
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.schema import make_engine
from tests.support_exams import settings

MG = DigitalMammographyXRayImageStorageForPresentation


@dataclass
class Receiving:
    config: Config
    index: Index
    store: ObjectStore
    receiver: Receiver

    @property
    def port(self) -> int:
        return self.receiver.port

    def half_received(self) -> list[Path]:
        """Files of what has not come whole, or was not accepted."""
        return list(self.store.incoming.iterdir())


@contextmanager
def receivers(folder: Path, upper_layer: str) -> Iterator[Callable[..., Receiving]]:
    """Makes receivers, by the sections of the configuration; they end with the block."""
    started: list[tuple[Receiver, Database]] = []

    def build(**sections: Any) -> Receiving:
        network = {"upper_layer": upper_layer, **sections.pop("network", {})}
        config = settings(folder, network=network, **sections)
        database = Database(make_engine(config.storage.database_url))
        database.create_schema()
        index, store = Index(database), ObjectStore(config.storage.object_folder)
        receiver = Receiver(config, Intake(config, index, Outbox(database), store))
        receiver.start()
        started.append((receiver, database))
        return Receiving(config, index, store, receiver)

    try:
        yield build
    finally:
        for receiver, database in started:
            receiver.stop()
            database.engine.dispose()


def associate(
    node: Receiving,
    *,
    calling: str = "PACS",
    called: str = "MAMMO_NODE",
    contexts: Any = None,
    address: str = "127.0.0.1",
    tls: Any = None,
) -> Association:
    ae = AE(calling)
    ae.acse_timeout = ae.dimse_timeout = 30
    for abstract, syntaxes in contexts or [(MG, [ExplicitVRLittleEndian])]:
        ae.add_requested_context(abstract, syntaxes)
    return tried(lambda: ae.associate("127.0.0.1", node.port, ae_title=called, bind_address=(address, 0), tls_args=tls))


def tried(request: Callable[[], Association]) -> Association:
    """An association as the node answered it.

    pynetdicom's requestor takes a rejection for a failed connection when it comes before it has looked whether it is
    connected; then it is asked again.
    """
    for _ in range(10):
        association = request()
        if not association.is_aborted:
            break
    return association


def send(node: Receiving, *datasets: Dataset, address: str = "127.0.0.1", tls: Any = None) -> list[Dataset]:
    contexts = [(cls, [ExplicitVRLittleEndian]) for cls in {d.SOPClassUID for d in datasets}]
    association = associate(node, contexts=contexts, address=address, tls=tls)
    assert association.is_established
    statuses = [association.send_c_store(dataset) for dataset in datasets]
    association.release()
    return statuses
