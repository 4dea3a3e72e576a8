"""Results by STOW-RS to a server nobody here wrote: Orthanc's DICOMweb plugin."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from node import destinations, results
from node.app import Node
from node.destinations import Outgoing, Target
from node.settings_destinations import Destination, DicomwebServer
from node.simulator.pacs import free_port
from storage.records import DeliveryState
from tests.support import wait_until
from tests.support_exams import STUDY, as_file, exam, settings
from tests.support_peers import Orthanc, orthanc
from tests.support_results import CASES


def written(dataset: Dataset, folder: Path) -> Outgoing:
    path = folder / f"{dataset.SOPInstanceUID}.dcm"
    path.write_bytes(as_file(dataset))
    return Outgoing(sop_instance_uid=str(dataset.SOPInstanceUID), sop_class_uid=str(dataset.SOPClassUID), path=path)


def made(folder: Path) -> list[Outgoing]:
    """Every result object that is offered, of one positive exam, as files."""
    report = CASES["positive"]()
    modules = [results.load(kind) for kind in results.offered()]
    return [
        written(dataset, folder) for module in modules for dataset in module.build(report, module.OPTIONS()).values()
    ]


def stow(objects: list[Outgoing], url: str) -> list[Exception | None]:
    """Send them; what was wrong with each."""
    place = Destination(type="dicomweb_store", server=DicomwebServer(url=url), results=("summary_sc",))
    target = Target(name="archive", destination=place, peer=None, calling_ae_title="MAMMO_NODE")
    return [each.error for each in destinations.load("dicomweb_store").send(objects, target)]


def held(pacs: Orthanc) -> Counter[str]:
    return Counter(str(dcmread(io.BytesIO(content)).SOPInstanceUID) for content in pacs.files())


def test_every_kind_of_result_arrives_once_however_often_it_is_sent(tmp_path: Path) -> None:
    objects = made(tmp_path)
    with orthanc(tmp_path, dicomweb=True) as pacs:
        for _ in range(2):
            assert stow(objects, pacs.dicomweb) == [None] * len(objects)
        assert held(pacs) == Counter(each.sop_instance_uid for each in objects)
        names = {str(dcmread(io.BytesIO(content)).PatientName) for content in pacs.files()}
    assert names == {"Demo^Ánná Čáppa Đuŋŋá"}


def test_what_an_absent_server_did_not_get_it_gets_when_it_is_back(tmp_path: Path) -> None:
    port = free_port()
    kinds = ["mammography_cad_sr", "measurement_sr", "summary_sc"]
    server = {"url": f"http://127.0.0.1:{port}/dicom-web"}
    archive = {"type": "dicomweb_store", "server": server, "results": kinds, "first_retry_s": 0.2, "max_retry_s": 0.5}
    node = Node(settings(tmp_path, destinations={"archive": archive}, reading={"threads": 1}, web={"port": 0}))
    node.start()
    try:
        # the images come in the way the results go out
        images = [written(dataset, tmp_path) for dataset in exam()]
        assert stow(images, f"http://127.0.0.1:{node.web.port}/dicom-web") == [None] * 4

        def states() -> set[tuple[DeliveryState, bool]]:
            return {(each.state, each.attempts > 0) for each in node.outbox.deliveries(STUDY)}

        wait_until(lambda: states() == {(DeliveryState.PENDING, True)}, 120, "every object to be tried in vain")
        assert all("cannot be reached" in each.last_error for each in node.outbox.deliveries(STUDY))
        with orthanc(tmp_path, http_port=port, dicomweb=True) as pacs:
            wait_until(lambda: states() == {(DeliveryState.DELIVERED, True)}, 60, "every object to be delivered")
            assert held(pacs) == Counter(each.sop_instance_uid for each in node.outbox.deliveries(STUDY))
            assert len(held(pacs)) == len(kinds)
    finally:
        node.stop()
