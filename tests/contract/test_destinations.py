"""What every destination type keeps to, whoever wrote it. Visits all that are offered."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from ai.extensions import NoSuchExtension
from node import destinations
from node.destinations import Outgoing, Target
from node.errors import PermanentDelivery, RetriableDelivery
from node.settings import Peer
from node.settings_destinations import Destination, DicomwebServer
from node.settings_hl7 import Hl7Receiver
from node.simulator.pacs import free_port
from tests.support_hl7 import as_bytes, measurement_report
from tests.support_results import CASES


@pytest.fixture
def objects(tmp_path: Path) -> list[Outgoing]:
    made, report = [], measurement_report(CASES["negative"]())
    for number in (1, 2, 3):
        dataset = copy.copy(report)
        dataset.SOPInstanceUID = f"{report.SOPInstanceUID}.{number}"
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(as_bytes(dataset))
        made.append(Outgoing(sop_instance_uid=dataset.SOPInstanceUID, sop_class_uid=dataset.SOPClassUID, path=path))
    return made


def target(name: str, folder: Path, peer: Peer | None) -> Target:
    server = DicomwebServer(url=f"http://127.0.0.1:{peer.port if peer else 1}/dicom-web", connection_timeout_s=1)
    receiver = Hl7Receiver(host="127.0.0.1", port=peer.port if peer else 1, connection_timeout_s=1)
    settings = Destination(
        type=name, peer="PACS", server=server, folder=folder, hl7=receiver, results=("measurement_sr",)
    )
    return Target(name="place", destination=settings, peer=peer, calling_ae_title="MAMMO_NODE")


@pytest.fixture
def nowhere(tmp_path: Path) -> tuple[Path, Peer]:
    """A folder that cannot be made, and a peer that is not there."""
    (tmp_path / "file").write_text("in the way")
    nobody = Peer(ae_title="PACS", host="127.0.0.1", port=free_port(), connection_timeout_s=1)
    return tmp_path / "file" / "folder", nobody


@pytest.mark.parametrize("name", destinations.offered())
def test_what_cannot_be_reached_is_told_of_every_object_and_tried_again(
    name: str, objects: list[Outgoing], nowhere: tuple[Path, Peer]
) -> None:
    sent = list(destinations.load(name).send(objects, target(name, *nowhere)))
    assert [item.sop_instance_uid for item in sent] == [item.sop_instance_uid for item in objects]
    assert all(type(item.error) is RetriableDelivery for item in sent), [item.error for item in sent]


@pytest.mark.parametrize("name", destinations.offered())
def test_a_target_without_what_the_type_needs_is_permanent(name: str, objects: list[Outgoing]) -> None:
    settings = Destination(type=name, results=("measurement_sr",))
    bare = Target(name="place", destination=settings, peer=None, calling_ae_title="MAMMO_NODE")
    sent = list(destinations.load(name).send(objects, bare))
    assert all(type(item.error) is PermanentDelivery and "destinations.place" in str(item.error) for item in sent)
    assert len(sent) == 3


@pytest.mark.parametrize("name", destinations.offered())
def test_nothing_to_send_is_nothing_to_tell(name: str, nowhere: tuple[Path, Peer]) -> None:
    assert list(destinations.load(name).send([], target(name, *nowhere))) == []


def test_a_folder_receives_each_object_whole_and_once(objects: list[Outgoing], tmp_path: Path) -> None:
    folder = tmp_path / "results"
    for _ in range(2):
        sent = list(destinations.load("folder").send(objects, target("folder", folder, None)))
        assert [item.error for item in sent] == [None] * 3
    assert sorted(path.name for path in folder.iterdir()) == sorted(f"{o.sop_instance_uid}.dcm" for o in objects)
    assert all((folder / f"{o.sop_instance_uid}.dcm").read_bytes() == o.path.read_bytes() for o in objects)


def test_an_unknown_type_names_what_there_is() -> None:
    with pytest.raises(NoSuchExtension, match="dicom_store, dicomweb_store, fhir, folder, hl7_mllp"):
        destinations.load("carrier_pigeon")
