"""dcmtk and Orthanc ask the node for what it holds."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from node.simulator.pacs import free_port
from tests.support import require_tool, running, wait_until
from tests.support_commitment import peer_settings
from tests.support_exams import exam
from tests.support_peers import Orthanc, orthanc
from tests.support_query import Answering

STUDY = "1.2.91"
NAME = "Ødegård^Åse"


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Orthanc, Answering, int]]:
    folder, port, storescp = tmp_path_factory.mktemp("hospital"), free_port(), free_port()
    node_at = {"AET": "MAMMO_NODE", "Host": "127.0.0.1", "Port": port}
    with orthanc(folder, DicomModalities={"node": node_at}) as started:
        peers = {"PACS": peer_settings(started.port, "ORTHANC"), "SCP": peer_settings(storescp, "STORESCP")}
        node = Answering(folder, node={"port": port}, peers=peers)
        node.put(*exam(STUDY, PatientName=NAME, PatientID="Q1", Rows=32, Columns=32))
        try:
            yield started, node, storescp
        finally:
            node.stop()


def dcmtk(tool: str, node: Answering, *arguments: str) -> str:
    command = [require_tool(tool), "-v", "-S", "-aec", "MAMMO_NODE", *arguments, "127.0.0.1", str(node.port)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def level(name: str, *keys: str) -> list[str]:
    return [part for key in (f"QueryRetrieveLevel={name}", *keys) for part in ("-k", key)]


def test_findscu_finds_a_study_and_its_images(pacs: tuple[Orthanc, Answering, int]) -> None:
    _, node, _ = pacs
    told = dcmtk("findscu", node, *level("STUDY", "PatientName=odeg*", "StudyInstanceUID", "StudyDate=20261101-"))
    assert f"[{STUDY}" in told
    series = level("SERIES", f"StudyInstanceUID={STUDY}", "SeriesInstanceUID")
    assert f"[{STUDY}.0" in dcmtk("findscu", node, *series)
    images = level("IMAGE", f"StudyInstanceUID={STUDY}", f"SeriesInstanceUID={STUDY}.0", "SOPInstanceUID")
    told = dcmtk("findscu", node, *images)
    assert all(f"[{STUDY}.{number}" in told for number in range(1, 5))


def test_movescu_moves_to_storescp(pacs: tuple[Orthanc, Answering, int], tmp_path: Path) -> None:
    _, node, port = pacs
    with running(require_tool("storescp"), "-v", "-aet", "STORESCP", "-od", tmp_path, str(port)) as storescp:
        wait_until(lambda: _listens(node, port), 20, f"storescp to listen\n{storescp.output}")
        dcmtk("movescu", node, "-aem", "STORESCP", *level("STUDY", f"StudyInstanceUID={STUDY}"))
    assert {str(dcmread(path).PatientName) for path in tmp_path.iterdir()} == {NAME}
    assert len(list(tmp_path.iterdir())) == 4


def _listens(node: Answering, port: int) -> bool:
    command = [require_tool("echoscu"), "-aec", "STORESCP", "127.0.0.1", str(port)]
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode == 0


def test_getscu_gets_a_study(pacs: tuple[Orthanc, Answering, int], tmp_path: Path) -> None:
    _, node, _ = pacs
    dcmtk("getscu", node, "-od", str(tmp_path), *level("STUDY", f"StudyInstanceUID={STUDY}"))
    files = [dcmread(path) for path in tmp_path.iterdir()]
    assert {each.SOPInstanceUID for each in files} == {f"{STUDY}.{number}" for number in range(1, 5)}
    assert len(files[0].PixelData) == 32 * 32 * 2


def test_orthanc_finds_and_retrieves(pacs: tuple[Orthanc, Answering, int]) -> None:
    started, _, _ = pacs
    query = post(started, "/modalities/node/query", {"Level": "Study", "Query": {"PatientName": "ØDEGÅRD*"}})
    (answer,) = started.get(f"{query['Path']}/answers")
    content = started.get(f"{query['Path']}/answers/{answer}/content?simplify")
    assert (content["StudyInstanceUID"], content["PatientName"]) == (STUDY, NAME)
    post(started, f"{query['Path']}/answers/{answer}/retrieve", {"TargetAet": "ORTHANC", "Synchronous": True})
    wait_until(lambda: len(started.instances()) == 4, 30, "four images at Orthanc")


def post(pacs: Orthanc, path: str, body: Any) -> Any:
    request = urllib.request.Request(f"{pacs.http}{path}", data=json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read())
