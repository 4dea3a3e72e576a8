"""What a running node says of itself: health, metrics, logs; and that none of it tells of a patient."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from lxml import etree
from prometheus_client.parser import text_string_to_metric_families
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from ai.phantom import demo_exams
from node.audit.trail import Trail
from node.audit.verify import verify
from node.simulator.pacs import free_port
from tests.support import Process, running, wait_until
from tests.support_audit import trail_of
from tests.support_exams import as_file, exam, view
from tests.support_web import web

ROOT = "1.2.826.0.1.3680043.10.999.88"
READ, UNREAD = f"{ROOT}.1", f"{ROOT}.2"
PATIENTS = demo_exams(7)


def identity(number: int) -> dict[str, str]:
    """The elements of a demonstration's patient."""
    spec = PATIENTS[number]
    return {
        "SpecificCharacterSet": "ISO_IR 192",
        "PatientName": spec.identity.patient_name,
        "PatientID": spec.identity.patient_id,
        "PatientBirthDate": spec.identity.patient_birth_date,
        "AccessionNumber": spec.accession_number,
        "StudyDescription": f"Screening {spec.identity.patient_name}",
    }


def telling() -> list[str]:
    """Every part of a name, every ID, birth date and accession number of the demonstration's patients."""
    found: set[str] = set()
    for spec in PATIENTS:
        found.update(part for part in re.split(r"[\^= ]", spec.identity.patient_name) if len(part) > 2)
        found.update((spec.identity.patient_id, spec.identity.patient_birth_date, spec.accession_number))
    assert len(found) > 40
    return sorted(found - {""})


def told_of(text: str) -> list[str]:
    """What of it stands in a text, in whatever case or escaping."""
    unescaped = urllib.parse.unquote(re.sub(r"\\u([0-9a-f]{4})", lambda found: chr(int(found[1], 16)), text))
    return [each for each in telling() if re.search(rf"(?<!\w){re.escape(each)}(?!\w)", unescaped, re.IGNORECASE)]


class Watched:
    """A node as a process, that logs everything."""

    process: Process

    def __init__(self, folder: Path) -> None:
        self.folder, self.port, self.web = folder, free_port(), free_port()
        settings: dict[str, Any] = {
            "node": {"port": self.port},
            "web": {"port": self.web},
            "destinations": {"files": {"type": "folder", "folder": "out", "results": ["measurement_sr"]}},
            "storage": {"database_url": "sqlite:///node.sqlite", "object_folder": "objects", "minimum_free_bytes": 0},
            "completeness": {"quiet_s": 2, "standard_views_grace_s": 0.1},
            "reading": {"threads": 1},
            "logging": {"level": "debug", "format": "json", "file": "node.log"},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(settings))

    def send(self, *datasets: Dataset) -> list[int]:
        ae = AE("ROOM1")
        ae.acse_timeout = ae.dimse_timeout = 60
        ae.add_requested_context(datasets[0].SOPClassUID, ExplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", self.port, ae_title="MAMMO_NODE")
        assert association.is_established
        try:
            return [int(association.send_c_store(dataset).Status) for dataset in datasets]
        finally:
            association.release()

    def get(self, path: str, body: bytes | None = None, content_type: str = "") -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.web}{path}", body, {"Content-Type": content_type})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def metrics(self) -> dict[tuple[str, ...], float]:
        """(name, its labels' values …) → value, as Prometheus' own parser reads them."""
        status, text = self.get("/metrics")
        assert status == 200
        families = text_string_to_metric_families(text)
        return {(each.name, *each.labels.values()): each.value for family in families for each in family.samples}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "node.cli", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "node.log").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    watched = Watched(tmp_path_factory.mktemp("watched"))
    command = [sys.executable, "-m", "node.cli", "serve", "--config", str(watched.folder / "config.yaml")]
    with running(*command, until="ready: ", timeout_s=120) as watched.process:
        yield watched


def test_a_node_that_serves_is_live_and_ready_and_says_what_that_takes(watched: Watched) -> None:
    assert watched.get("/health/live") == (200, '{"status":"live"}')
    status, text = watched.get("/health/ready")
    told = json.loads(text)
    assert (status, told["status"]) == (200, "ready")
    assert set(told["conditions"]) == {"database", "queues", "disk", "models of reading"}
    assert all(each["ok"] for each in told["conditions"].values())


def test_what_comes_is_told_by_numbers_and_ids_and_never_by_patient(watched: Watched) -> None:
    """Read, held, refused, kept aside, searched for, asked for wrongly: whatever happens to it."""
    assert watched.send(*exam(READ, **identity(0))) == [0] * 4
    with disable_value_validation():
        statuses = watched.send(
            view(1, study=UNREAD, **identity(1)),
            view(2, study=UNREAD, **identity(2)),  # another patient: the exam is held
            view(1, study=UNREAD, **identity(3)),  # other content under a known UID
            view(5, study=UNREAD, **{**identity(4), "Modality": "CT"}),
            view(6, study=UNREAD, **{**identity(5), "StudyInstanceUID": PATIENTS[5].identity.patient_name}),
            view(7, study=UNREAD, **{**identity(6), "SeriesInstanceUID": PATIENTS[6].identity.patient_id}),
        )
    assert statuses == [0, 0, 0xB000, 0x0122, 0xC000, 0xC000]
    _ask_in_every_way(watched)
    wait_until(lambda: watched.metrics().get(("mammo_node_exams", "ANSWERED")) == 1, 120, "the exam to be answered")
    wait_until(lambda: watched.metrics().get(("mammo_node_exams", "HELD")) == 1, 60, "the other to be held")

    _, metrics = watched.get("/metrics")
    _, ready = watched.get("/health/ready")
    log = (watched.folder / "node.log").read_text(encoding="utf-8")
    assert len(log.splitlines()) > 30, "at level debug there is something to look through"
    for where, text in {"log": log, "output": watched.process.output, "metrics": metrics, "health": ready}.items():
        assert told_of(text) == [], f"the {where} tells of a patient"


def _ask_in_every_way(watched: Watched) -> None:
    """Searches, paths that are none, and bodies that hold what they should not."""
    name, number = (urllib.parse.quote(each) for each in ("Lind^Astrid", PATIENTS[0].identity.patient_id))
    status, found = watched.get(f"/dicom-web/studies?PatientName={name}&PatientID={number}")
    assert (status, PATIENTS[0].identity.patient_id in found) == (200, True), "the search itself does find her"
    for path in (f"/dicom-web/studies/{name}/series", f"/{name}", f"/dicom-web/studies?PatientNam={name}"):
        assert watched.get(path)[0] in (400, 404)
    part = as_file(view(8, study=UNREAD, **{**identity(7), "Modality": "CT"}))
    for content in (part, part[:900], b"PatientName=" + name.encode()):
        body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--b--\r\n"
        kind = 'multipart/related; type="application/dicom"; boundary=b'
        assert watched.get(f"/dicom-web/studies/{UNREAD}", body, kind)[0] == 409


def test_the_search_of_the_test_itself_finds_patients() -> None:
    astrid = PATIENTS[0].identity
    assert told_of("why=… lind^ASTRID …") == ["Astrid", "Lind"]
    assert told_of(f"/studies?PatientID={astrid.patient_id}&x") == [astrid.patient_id]
    assert told_of("PatientName=L%C3%A4%C3%A4k") == []
    assert told_of("lindy astrids") == []


def test_every_line_about_an_instance_or_a_job_has_its_ids(watched: Watched) -> None:
    """After the exams above."""
    lines = watched.lines()
    accepted = [line for line in lines if line["event"] == "accepted"]
    assert len(accepted) == 7
    assert all({"association", "sop", "study"} <= set(line) for line in accepted)
    assert len({line["association"] for line in accepted}) == 2, "one for each association"
    refused = [line for line in lines if line["event"] == "not accepted"]
    assert all({"status", "why"} < set(line) and {"association", "request"} & set(line) for line in refused)
    jobs = [line for line in lines if line["event"] == "job done"]
    assert {line["stage"] for line in jobs if line["study"] == READ} == {"read", "report", "deliver"}
    assert all(line["study"] in line["job"] for line in jobs)


def test_numbers_of_what_passed_and_of_what_is_kept(watched: Watched) -> None:
    """After the exams above."""
    found = watched.metrics()
    assert found["mammo_node_deliveries", "files", "DELIVERED"] == 1
    assert found["mammo_node_readings", "NOT_READ"] == 1
    assert found["mammo_node_instances_held",] == 6
    assert found["mammo_node_asides",] == 3
    assert found["mammo_node_ready", "models of reading"] == 1
    assert found["mammo_node_free_bytes",] > 0
    assert found["mammo_node_requests_total", "POST", "/studies/{study}", "409"] == 3
    assert found["mammo_node_requests_total", "GET", "(no such path)", "404"] == 1
    assert found["mammo_node_oldest_exam_seconds", "HELD"] > 0


def test_the_ledger_accounts_for_all_of_it_and_says_what_is_unanswered(watched: Watched) -> None:
    """After the exams above."""
    done = watched.run("ledger", "--json")
    found = json.loads(done.stdout)
    assert (done.returncode, found["balanced"]) == (1, False)
    assert found["came"] == {"stored": 6, "kept aside": 1, "refused": 6}
    assert found["answers"] == {"answered": 4, "unanswered": 2}
    (line,) = found["unanswered"]
    assert (line["study_instance_uid"], line["category"]) == (UNREAD, "NOT_READ")
    assert (found["waiting"], found["missing"]) == ([], [])
    services = [(each["transfer"]["service"], each["transfer"]["ending"]) for each in found["transfers"]]
    assert services == [("C-STORE", "released")] * 2 + [("STOW-RS", "answered")] * 3
    statuses = {each["status"] for each in found["reasons"]}
    assert statuses == {0xB000, 0x0122, 0xC000}
    metrics = watched.metrics()
    assert metrics["mammo_node_unanswered",] == 1
    assert metrics["mammo_node_instances_total", "refused", "C-STORE"] == 3
    assert metrics["mammo_node_instances_total", "refused", "STOW-RS"] == 3
    said = watched.run("ledger").stdout
    assert f"UNANSWERED: {UNREAD}: needs a person" in said
    assert told_of(said + done.stdout) == []
    before = watched.run("ledger", "--day", "2026-01-02")
    assert (before.returncode, "0 instances came" in before.stdout) == (0, True)


def test_the_audit_trail_has_all_of_it_and_names_nobody(watched: Watched) -> None:
    """After the exams above; it ends the node."""
    assert watched.process.stop() == 0
    folder = watched.folder / "mammo-node-data" / "audit"
    found = trail_of(folder)
    happened = Counter(each.event for each in found)
    assert happened["Application Activity: Application Start"] == 1
    assert happened["Security Alert: Node Authentication"] == 2, "two associations"
    assert found[-1].event == "Application Activity: Application Stop"
    came = [each for each in found if each.event == "DICOM Instances Transferred" and each.who[0] == "ROOM1"]
    counts = {(each.about[0], each.outcome): each.instances for each in came}
    assert counts == {(READ, 0): 4, (UNREAD, 0): 2, (UNREAD, 4): 1}
    assert all(each.about[1].startswith("hmac-sha256:") for each in came)
    (begun,) = [each for each in found if each.event == "Begin Transferring DICOM Instances"]
    (ended,) = [
        each for each in found if each.event == "DICOM Instances Transferred" and each.who[1].startswith("folder ")
    ]
    assert begun.about == ended.about == came[0].about
    (query,) = [each for each in found if each.event == "Query"]
    assert re.fullmatch(rb"PatientName=&PatientID=hmac-sha256%3A[0-9a-f]{20}", query.query)
    assert query.query.decode().endswith(came[0].about[1].removeprefix("hmac-sha256:")), "the same woman's"
    told = "".join(etree.tostring(each.root, encoding="unicode") + each.every_detail() for each in found)
    assert told_of(told) == []
    assert verify(Trail(folder, 10**9)).is_whole


def test_a_node_that_cannot_serve_is_live_and_not_ready(tmp_path: Path) -> None:
    """Without its models, with too little disk, and at last without its database."""
    with web(
        tmp_path, storage={"database_url": f"sqlite:///{tmp_path}/a/n.sqlite", "object_folder": f"{tmp_path}/o"}
    ) as served:
        root = served.base.removesuffix("/dicom-web")
        found = served.get(f"{root}/health/ready")
        wrong = {name for name, each in found.json["conditions"].items() if not each["ok"]}
        assert (found.status, wrong) == (503, {"models of reading"})
        served.node.database.engine.dispose()
        (tmp_path / "a" / "n.sqlite").unlink()
        (tmp_path / "a" / "n.sqlite").mkdir()
        found = served.get(f"{root}/health/ready")
        wrong = {name for name, each in found.json["conditions"].items() if not each["ok"]}
        assert (found.status, wrong) == (503, {"models of reading", "database"})
        assert served.get(f"{root}/health/live").status == 200
        assert b'mammo_node_ready{condition="database"} 0.0' in served.get(f"{root}/metrics").body
