"""Storage commitment with Orthanc, in both roles: it keeps our results, and asks us to keep its exams."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from node.dimse.commitment_scp import CommitmentProvider
from node.dimse.scp import Receiver
from node.simulator.pacs import free_port
from storage.records import DeliveryState, StudyState
from tests.support import wait_until
from tests.support_commitment import SendingNode, sending_config
from tests.support_exams import as_file, exam, settings
from tests.support_peers import Orthanc, orthanc


@dataclass
class Hospital:
    pacs: Orthanc
    node: SendingNode

    def post(self, path: str, body: Any) -> Any:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.pacs.http}{path}", data=data, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hospital]:
    folder, port = tmp_path_factory.mktemp("hospital"), free_port()
    node_at = {"AET": "MAMMO_NODE", "Host": "127.0.0.1", "Port": port}
    with orthanc(folder, DicomModalities={"node": node_at}) as pacs:
        sections = sending_config(folder, pacs.port)
        sections["peers"]["PACS"]["ae_title"] = "ORTHANC"
        config = settings(folder, node={"port": port}, **sections)
        node = SendingNode(config)
        provider = CommitmentProvider(config, node.database, node.store)
        node.receiver = Receiver(config, node.intake, [*node.roles, *provider.handlers()])
        node.start()
        provider.start()
        try:
            yield Hospital(pacs, node)
        finally:
            provider.stop()
            node.stop()


def test_orthanc_commits_to_our_results(hospital: Hospital) -> None:
    uids = hospital.node.deliver("1.2.40", "pacs")
    wait_until(
        lambda: hospital.node.states("1.2.40") == [DeliveryState.COMMITTED] * 2,
        40,
        f"Orthanc's word; the states are {hospital.node.states('1.2.40')}",
    )
    assert {each["SOPInstanceUID"] for each in hospital.pacs.instances()} >= set(uids)
    wait_until(lambda: hospital.node.index.study("1.2.40").state is StudyState.ANSWERED, 20, "the study to be answered")


def test_what_orthanc_lost_is_sent_again(hospital: Hospital) -> None:
    """It is deleted there once it has come, before the next request for commitment."""
    node, pacs = hospital.node, hospital.pacs
    node.deliver("1.2.41", "pacs", 1)
    wait_until(lambda: node.states("1.2.41") == [DeliveryState.COMMITTED], 40, "Orthanc's word")
    (study,) = hospital.post("/tools/lookup", "1.2.41")
    urllib.request.urlopen(urllib.request.Request(f"{pacs.http}{study['Path']}", method="DELETE"), timeout=30).close()
    (delivery,) = node.outbox.deliveries("1.2.41")
    node.ask_again(delivery)
    wait_until(lambda: node.states("1.2.41") == [DeliveryState.COMMITTED], 40, "Orthanc's word on what came again")
    assert node.outbox.deliveries("1.2.41")[0].attempts == 2
    assert any("0x0112" in each.text for each in node.index.events("1.2.41"))


def test_we_commit_to_what_orthanc_sent_us(hospital: Hospital) -> None:
    for dataset in exam():
        hospital.pacs.put(as_file(dataset))
    held, lost = exam()[0], exam()[1]
    (sent,) = hospital.post("/tools/lookup", held.SOPInstanceUID)
    hospital.post("/modalities/node/store", [sent["ID"]])
    pairs = [[each.SOPClassUID, each.SOPInstanceUID] for each in (held, lost)]
    asked = hospital.post("/modalities/node/storage-commitment", {"DicomInstances": pairs})

    def answered() -> bool:
        return hospital.pacs.get(asked["Path"])["Status"] != "Pending"

    wait_until(answered, 40, "our answer at Orthanc")
    report = hospital.pacs.get(asked["Path"])
    assert report["Status"] == "Failure", "one of the two never came"
    assert [each["SOPInstanceUID"] for each in report["Success"]] == [held.SOPInstanceUID]
    (failure,) = report["Failures"]
    assert (failure["SOPInstanceUID"], failure["FailureReason"]) == (lost.SOPInstanceUID, 0x0112)
