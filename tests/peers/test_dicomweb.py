"""The whole way over HTTP: an exam stored by dicomweb-client is read, and the results are found, had and seen there."""

from __future__ import annotations

import io
from collections.abc import Iterator

import numpy as np
import pytest
from dicomweb_client import DICOMwebClient
from PIL import Image
from pydicom import dcmread

from node.app import Node
from storage.records import StudyState
from tests.support import wait_until
from tests.support_exams import STUDY, as_file, exam, settings

KINDS = ["mammography_cad_sr", "measurement_sr", "summary_sc"]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    folder = tmp_path_factory.mktemp("dicomweb")
    destination = {"type": "folder", "folder": str(folder / "results"), "results": KINDS}
    config = settings(folder, web={"port": 0}, destinations={"results": destination}, reading={"threads": 1})
    node = Node(config)
    node.start()
    try:
        yield node
    finally:
        node.stop()


@pytest.fixture(scope="module")
def client(node: Node) -> DICOMwebClient:
    client = DICOMwebClient(f"http://127.0.0.1:{node.web.port}/dicom-web")
    client.store_instances([dcmread(io.BytesIO(as_file(dataset))) for dataset in exam()])

    def answered() -> bool:
        study = node.index.study(STUDY)
        return study is not None and study.state is StudyState.ANSWERED

    wait_until(answered, 60, "the exam to be answered")
    return client


def test_the_results_are_found_beside_the_images(client: DICOMwebClient) -> None:
    (study,) = client.search_for_studies(search_filters={"ModalitiesInStudy": "SR"})
    assert sorted(study["00080061"]["Value"]) == ["MG", "OT", "SR"]
    assert study["00201208"]["Value"] == [4 + len(KINDS)]
    assert study["00100010"]["Value"] == [{"Alphabetic": "Test^Åse"}]
    reports = client.search_for_series(STUDY, search_filters={"Modality": "SR"})
    assert len(reports) == 2


def test_the_results_are_had_as_they_were_delivered(node: Node, client: DICOMwebClient) -> None:
    made = {
        result.sop_instance_uid: node.store.read(result.path, result.sha256) for result in node.outbox.results(STUDY)
    }
    assert len(made) == len(KINDS)
    for uid, content in made.items():
        (found,) = client.search_for_instances(search_filters={"SOPInstanceUID": uid})
        got = client.retrieve_instance(STUDY, found["0020000E"]["Value"][0], uid)
        assert got == dcmread(io.BytesIO(content))
        metadata = client.retrieve_instance_metadata(STUDY, found["0020000E"]["Value"][0], uid)
        assert metadata["00100010"]["Value"] == [{"Alphabetic": "Test^Åse"}]


def test_the_card_is_seen_with_its_thumbnail(client: DICOMwebClient) -> None:
    (card,) = client.search_for_instances(STUDY, search_filters={"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"})
    uids = (STUDY, card["0020000E"]["Value"][0], card["00080018"]["Value"][0])
    stored = client.retrieve_instance(*uids)
    picture = Image.open(io.BytesIO(client.retrieve_instance_rendered(*uids, media_types=("image/png",))))
    np.testing.assert_array_equal(np.asarray(picture), stored.pixel_array)
    (frame,) = client.retrieve_instance_frames(*uids, [1])
    assert frame == stored.PixelData
    assert client.retrieve_bulkdata(client.retrieve_instance_metadata(*uids)["7FE00010"]["BulkDataURI"]) == [frame]
