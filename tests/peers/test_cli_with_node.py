"""The command line beside a running node, as a hospital's engineer uses it."""

from __future__ import annotations

import json
import socket
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from node.simulator.pacs import free_port
from tests.support import Process, running, wait_until
from tests.support_exams import STUDY, as_file, exam
from tests.support_hl7 import Ris, answered, framed, judged, listening_ris, segments
from tests.support_peers import Orthanc, orthanc


class Desk:
    """A folder with a config.yaml, and `mammo-node` run in it beside the node that serves there."""

    node: Process

    def __init__(self, folder: Path, pacs: Orthanc, ris: Ris) -> None:
        self.folder, self.port, self.ris = folder, free_port(), ris
        self.dead, self.web = free_port(), free_port()
        peers = {
            "NODE": {"ae_title": "MAMMO_NODE", "port": self.port},
            "PACS": {"ae_title": "ORTHANC", "port": pacs.port},
            "DEAD": {"ae_title": "DEAD", "port": self.dead, "connection_timeout_s": 1},
        }
        config = {
            "node": {"port": self.port},
            "web": {"port": self.web},
            "hl7": {"port": 0},
            "peers": {name: {"host": "127.0.0.1", **peer} for name, peer in peers.items()},
            "destinations": {
                "pacs": {"peer": "PACS", "results": ["mammography_cad_sr", "summary_sc"]},
                "dead": {"peer": "DEAD", "results": ["measurement_sr"], "max_attempts": 1},
                "ris": {
                    "type": "hl7_mllp",
                    "hl7": {"host": "127.0.0.1", "port": ris.port},
                    "results": ["measurement_sr"],
                },
            },
            "storage": {
                "database_url": "sqlite:///node.sqlite",
                "object_folder": "objects",
                "minimum_free_bytes": 0,
            },
            "completeness": {"quiet_s": 2, "standard_views_grace_s": 0.1},
            "reading": {"threads": 1},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config))

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "node.cli", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def serve(self) -> AbstractContextManager[Process]:
        config = self.folder / "config.yaml"
        return running(sys.executable, "-m", "node.cli", "serve", "--config", config, until="ready: ")

    def images(self, study: str) -> Path:
        folder = self.folder / study
        folder.mkdir()
        for dataset in exam(study):
            (folder / f"{dataset.SOPInstanceUID}.dcm").write_bytes(as_file(dataset))
        return folder

    def state(self, study: str) -> str:
        return next((e["state"] for e in self.json("exams") if e["study_instance_uid"] == study), "")

    def attempts(self, study: str) -> list[int]:
        deliveries = self.json("show", study)["deliveries"]
        return [item["attempts"] for item in deliveries if item["destination"] == "dead"]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    with orthanc(folder) as pacs, listening_ris() as ris:
        desk = Desk(folder, pacs, ris)
        with desk.serve() as desk.node:
            yield desk


def test_an_exam_from_send_to_show_and_a_failed_delivery_to_requeue(desk: Desk) -> None:
    assert desk.run("echo", "NODE").returncode == 0
    assert desk.run("echo", "DEAD").returncode == 1
    sent = desk.run("send", str(desk.images(STUDY)), "--to", "NODE")
    assert (sent.returncode, "4 of 4" in sent.stdout) == (0, True), sent.stdout + sent.stderr
    wait_until(lambda: desk.state(STUDY) == "UNDELIVERED", 40, "the exam to be delivered to one and not the other")

    status = desk.json("status")
    assert status["running"] is True
    places = {place["destination"]: place for place in status["destinations"]}
    assert places["pacs"]["counts"] == {"DELIVERED": 2}
    assert places["dead"]["counts"] == {"FAILED": 1}
    assert places["ris"]["counts"] == {"DELIVERED": 1}
    (told,) = desk.ris.received
    found = {each.obx_3.obx_3_1.value: each.obx_5.value for each in segments(judged(told), "OBX")}
    assert (found["113014"], "SCORE" in found, "FLAG" in found) == (f"^{STUDY}^ISO", True, True)
    assert "cannot be reached" in places["dead"]["last_error"]
    assert desk.run("status").returncode == 1, "something needs a person"

    shown = desk.json("show", STUDY)
    stages = [event["stage"] for event in shown["events"]]
    assert stages[:4] == ["receive"] * 4
    assert {"complete", "read", "report", "deliver", "answer"} <= set(stages)
    said = desk.run("show", STUDY).stdout
    assert "Åse" not in said + json.dumps(shown), "a patient's name on the console"

    assert desk.run("requeue", "--all-undelivered").returncode == 0
    wait_until(lambda: desk.attempts(STUDY) == [2], 40, "the second attempt")
    assert desk.state(STUDY) == "UNDELIVERED", "given up again, visibly"


def test_render_makes_what_the_node_sent_and_changes_nothing(desk: Desk) -> None:
    """After the exam above: by a part of its UID, beside the running node, byte for byte."""
    before = desk.json("show", STUDY)
    rendered = desk.json("render", STUDY.partition(".")[2], "--out", "rendered")
    sent = {result["sop_instance_uid"]: desk.folder / "objects" / result["path"] for result in before["results"]}
    assert {each["sop_instance_uid"] for each in rendered} == set(sent)
    for each in rendered:
        assert (desk.folder / each["file"]).read_bytes() == sent[each["sop_instance_uid"]].read_bytes(), each["kind"]
    assert desk.json("show", STUDY) == before


def test_reading_again_makes_a_new_revision(desk: Desk) -> None:
    study = f"{STUDY}.2"
    desk.run("send", str(desk.images(study)), "--to", "NODE")
    wait_until(lambda: desk.state(study) == "UNDELIVERED", 40, "the first revision")
    assert desk.run("requeue", study, "--read").returncode == 0

    def second() -> bool:
        row = next(e for e in desk.json("exams") if e["study_instance_uid"] == study)
        return (row["state"], row["revision"]) == ("UNDELIVERED", 2)

    wait_until(second, 40, "the second revision")


def test_serve_tells_where_the_web_is_and_it_is_there(desk: Desk) -> None:
    url = f"http://127.0.0.1:{desk.web}/dicom-web"
    desk.node.wait_for_line(f"DICOMweb at {url}")
    with urllib.request.urlopen(f"{url}/studies?limit=1", timeout=10) as answer:
        assert len(json.load(answer)) == 1


def test_an_order_from_the_ris_puts_its_exam_before_others(desk: Desk) -> None:
    where = desk.node.wait_for_line("HL7 (MLLP) at ").split()[-1]
    host, _, port = where.rpartition(":")
    study = f"{STUDY}.3"
    order = f"MSH|^~\\&|RIS|H|||20261201||OMI^O23^OMI_O23|1|P|2.5.1\rORC|NW\rTQ1|1||||||||S\rOBR|1\rIPC|A|R|{study}\r"
    with socket.create_connection((host, int(port)), 20) as connection:
        connection.sendall(framed(order))
        assert "MSA|AA|1" in answered(connection)
    desk.run("send", str(desk.images(study)), "--to", "NODE")
    with closing(sqlite3.connect(desk.folder / "node.sqlite", timeout=20)) as kept:
        query = "SELECT priority FROM study WHERE study_instance_uid = ?"
        wait_until(lambda: kept.execute(query, [study]).fetchone() == (0,), 40, "the exam to be urgent")


def test_check_tells_what_is_well_and_what_is_not(desk: Desk) -> None:
    checked = desk.run("check")
    assert checked.returncode == 1
    wrong = [line for line in checked.stdout.splitlines() if line.startswith("WRONG")]
    assert len(wrong) == 1, checked.stdout
    assert "peer DEAD" in wrong[0]


def test_a_second_node_on_the_same_data_is_refused(desk: Desk) -> None:
    config = yaml.safe_load((desk.folder / "config.yaml").read_text())
    config["node"]["port"], config["web"]["port"] = free_port(), free_port()
    other = desk.folder / "other.yaml"
    other.write_text(yaml.safe_dump(config))
    refused = desk.run("serve", "--config", str(other))
    assert refused.returncode == 2
    assert "another mammo-node" in refused.stderr


def test_no_log_line_of_the_node_tells_of_the_patient(desk: Desk) -> None:
    said = desk.node.output
    assert "accepted" in said, "the node logs what it accepts"
    assert not any(word in said for word in ("Åse", "Test^", "P1", "19660101"))
