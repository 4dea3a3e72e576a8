"""A node's receiver with queries and retrievals, over what is put into it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset
from pynetdicom import AE, build_role
from pynetdicom.association import Association

from node.dimse.query_scp import FIND, GET, MOVE, QueryProvider
from node.dimse.scp import Receiver
from node.intake import Intake
from storage.database import Database
from storage.index import Index
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.schema import make_engine
from tests.support_exams import settings
from tests.support_web import Web


class Answering:
    """Started when it is made."""

    def __init__(self, folder: Path, **sections: Any) -> None:
        self.config = settings(folder, **sections)
        self.database = Database(make_engine(self.config.storage.database_url))
        self.database.create_schema()
        self.index, self.outbox = Index(self.database), Outbox(self.database)
        self.store = ObjectStore(self.config.storage.object_folder)
        self.intake = Intake(self.config, self.index, self.outbox, self.store)
        provider = QueryProvider(self.config, self.database, self.store)
        self.receiver = Receiver(self.config, self.intake, provider.handlers())
        self.receiver.start()

    @property
    def port(self) -> int:
        return self.receiver.port

    def put(self, *datasets: Dataset) -> None:
        """Through the intake."""
        Web(self, Path()).put(*datasets)  # type: ignore[arg-type]

    def stop(self) -> None:
        self.receiver.stop()
        self.database.engine.dispose()


def associate(port: int, *, storage: Iterable[tuple[str, str]] = (), handlers: Any = ()) -> Association:
    """An association for queries; storage: SOP classes and syntaxes that it takes from a C-GET."""
    ae, classes = AE("VIEWER"), list(storage)
    for uid in (FIND, MOVE, GET):
        ae.add_requested_context(uid)
    for uid, syntax in classes:
        ae.add_requested_context(uid, syntax)
    roles = [build_role(uid, scp_role=True) for uid in dict.fromkeys(uid for uid, _ in classes)]
    association = ae.associate("127.0.0.1", port, ae_title="MAMMO_NODE", ext_neg=roles, evt_handlers=list(handlers))
    assert association.is_established
    return association


def keys(level: str = "STUDY", **elements: object) -> Dataset:
    """An identifier."""
    dataset = Dataset()
    dataset.QueryRetrieveLevel = level
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def found(port: int, identifier: Dataset) -> tuple[list[Dataset], list[int], Dataset]:
    """Matches, their statuses, and the last status, of a C-FIND."""
    association = associate(port)
    answers = list(association.send_c_find(identifier, FIND))
    association.release()
    matches = [match for _, match in answers if match is not None]
    return matches, [int(each.Status) for each, match in answers if match is not None], answers[-1][0]
