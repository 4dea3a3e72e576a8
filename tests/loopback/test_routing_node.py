"""Rules at work: a node as a process, dcmtk as the sender that gets its results back and what is forwarded."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from node import holdings
from node.config import load_config
from node.simulator.pacs import free_port
from tests.support import Process, require_tool, running, wait_until
from tests.support_audit import trail_of
from tests.support_exams import as_file, exam, view

ROOT = "1.2.826.0.1.3680043.10.999.77"
EXAM, REFUSED, STRANGE, ENDED = (f"{ROOT}.{number}" for number in (1, 2, 3, 4))
SPECIMEN = {"name": "specimens", "when": {"study_description": "/specimen/"}, "action": "refuse"}
RULES: list[dict[str, Any]] = [
    {**SPECIMEN, "status": 0xA900, "http_status": 451},
    {"name": "dead-end", "when": {"study_description": "dead end"}, "action": "store", "forward": "gone"},
    {"name": "bus", "when": {"modality": "MG"}, "destinations": "@sender", "reading": "strict", "forward": "copies"},
]


class Site:
    """A folder with a node's configuration, the running node, and a storescp that is the sender's other half."""

    node: Process

    def __init__(self, folder: Path) -> None:
        self.folder, self.received = folder, folder / "received"
        self.port, self.web, self.peer, self.gone = (free_port() for _ in range(4))
        self.received.mkdir()
        self.write(RULES)

    def write(self, rules: list[dict[str, Any]], **sections: Any) -> None:
        config = {
            "node": {"port": self.port},
            "web": {"port": self.web},
            "peers": {
                "GONE": {"ae_title": "GONE", "host": "127.0.0.1", "port": self.gone, "connection_timeout_s": 1},
                "BUS": {"ae_title": "BUS1", "host": "127.0.0.1", "port": self.peer},
            },
            "destinations": {
                "back": {"peer": "BUS", "results": ["measurement_sr"], "first_retry_s": 0.5},
                "copies": {"peer": "BUS", "results": []},
                "gone": {"peer": "GONE", "results": [], "max_attempts": 1},
            },
            "readings": {
                "strict": {"operating_points": {"rule_out_percentile": 5, "flag_percentile": 6}},
                "broken": {"bundles": ["no/such"]},
            },
            "routing": rules,
            "storage": {"database_url": "sqlite:///node.sqlite", "object_folder": "objects", "minimum_free_bytes": 0},
            "completeness": {"quiet_s": 2, "standard_views_grace_s": 0.1},
            "reading": {"threads": 1},
            "logging": {"format": "json"},
            **sections,
        }
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))
        if not hasattr(self, "config"):
            self.config = load_config(self.folder / "config.yaml")

    def send(self, *datasets: Dataset, calling: str = "BUS1") -> list[int]:
        ae = AE(calling)
        ae.acse_timeout = ae.dimse_timeout = 30
        ae.add_requested_context(datasets[0].SOPClassUID, ExplicitVRLittleEndian)
        association = ae.associate("127.0.0.1", self.port, ae_title="MAMMO_NODE")
        assert association.is_established
        statuses = [association.send_c_store(dataset).Status for dataset in datasets]
        association.release()
        return statuses

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "node.cli", *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False)

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "--json").stdout)

    def state(self, study: str) -> str:
        with holdings.opened(self.config) as held:
            found = held.index.study(study)
        return str(found.state) if found is not None else ""

    def forwarding(self, study: str) -> list[str]:
        """What the study's history says of it."""
        with holdings.opened(self.config) as held:
            return [event.text for event in held.index.events(study) if event.stage == "forward"]

    def arrived(self) -> list[Dataset]:
        return [dcmread(path) for path in self.received.iterdir() if path.suffix == ".dcm"]

    def reload(self, until: str) -> dict[str, Any]:
        """SIGHUP, and the line of the log that answers it."""
        seen = len(self.node.lines)
        os.kill(self.node.pid, signal.SIGHUP)
        wait_until(lambda: any(until in line for line in self.node.lines[seen:]), 60, f"'{until}' in the log")
        line: dict[str, Any] = json.loads(next(line for line in self.node.lines[seen:] if until in line))
        return line


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("site"))
    with ExitStack() as stack:
        peer = [require_tool("storescp"), "-v", "-fe", ".dcm", "-od", str(site.received), str(site.peer)]
        stack.enter_context(running(*peer))
        serve = [sys.executable, "-m", "node.cli", "serve", "--config", str(site.folder / "config.yaml")]
        site.node = stack.enter_context(running(*serve, until="ready: ", timeout_s=120))
        yield site


def test_an_exam_is_read_as_its_rule_says_goes_back_to_its_sender_and_is_forwarded(site: Site) -> None:
    datasets = exam(EXAM)
    assert site.send(*datasets) == [0] * 4
    wait_until(lambda: len(site.arrived()) >= 5, 120, "four images forwarded and a report sent back")
    arrived = {each.SOPInstanceUID: each for each in site.arrived()}
    for dataset in datasets:
        assert arrived[dataset.SOPInstanceUID] == dataset, "forwarded as it came"
    (report,) = [each for each in arrived.values() if each.Modality == "SR"]
    assert report.StudyInstanceUID == EXAM
    shown = site.json("show", EXAM)
    assert shown["reading"]["category"] == "SUSPICIOUS", "the operating points of the rule's reading"
    wait_until(lambda: site.state(EXAM) == "ANSWERED", 30, "the exam to be answered")
    status = site.json("status")
    counts = {line["destination"]: line["counts"] for line in status["destinations"]}
    assert counts == {"back": {"DELIVERED": 1}, "copies": {"DELIVERED": 4}, "gone": {}}
    assert site.forwarding(EXAM)


def test_a_study_that_is_held_is_explained_as_it_was_and_would_be_routed(site: Site) -> None:
    found = site.json("route", "explain", "--study", EXAM)
    (exam_,) = found["exams"]
    assert (exam_["reading"], exam_["destinations"]) == ("strict", ["back"])
    first = found["instances"][0]
    assert (first["rule"], first["taken_by"], first["calling_ae_title"]) == ("bus", "bus", "BUS1")
    passed = {each["rule"]: [mismatch["condition"] for mismatch in each["because"]] for each in first["passed_over"]}
    assert passed == {"specimens": ["study_description"], "dead-end": ["study_description"]}
    said = site.run("route", "explain", "--study", EXAM).stdout
    assert "rule 1, specimens, does not: study_description is absent or empty, and not /specimen/" in said
    assert "results to back" in said


def test_files_are_explained_for_a_sender(site: Site) -> None:
    path = site.folder / "specimen.dcm"
    path.write_bytes(as_file(view(study=REFUSED, StudyDescription="Biopsy specimen")))
    said = site.run("route", "explain", str(path), "--from", "BUS1").stdout
    assert "rule 1, specimens, takes it (study_description): refused with 0xA900" in said
    assert site.run("route", "explain").returncode == 2


def test_what_a_rule_refuses_is_answered_with_the_rules_status(site: Site) -> None:
    specimen = view(study=REFUSED, StudyDescription="Biopsy specimen")
    assert site.send(specimen) == [0xA900]
    assert site.send(view(study=REFUSED, Modality="US")) == [0x0122], "no rule takes it"
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + as_file(specimen) + b"\r\n--b--\r\n"
    headers = {"Content-Type": 'multipart/related; type="application/dicom"; boundary=b'}
    request = urllib.request.Request(f"http://127.0.0.1:{site.web}/dicom-web/studies", body, headers)
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=30)
    with caught.value as answer:
        assert answer.code == 451
        assert json.loads(answer.read())["00081198"]["Value"][0]["00081197"]["Value"] == [0xA900]


def test_without_a_way_back_the_exam_is_held_and_says_so(site: Site) -> None:
    assert site.send(*exam(STRANGE), calling="STRANGER") == [0] * 4
    wait_until(lambda: site.state(STRANGE) == "HELD", 120, "the exam to be held")
    with holdings.opened(site.config) as held:
        texts = [event.text for event in held.index.events(STRANGE)]
    assert any("no destination leads back to its sender, STRANGER" in text for text in texts)


def test_what_is_not_forwarded_is_given_up_visibly_and_goes_again_when_asked(site: Site) -> None:
    assert site.send(view(study=ENDED, StudyDescription="dead end")) == [0]
    wait_until(lambda: len(site.forwarding(ENDED)) == 1, 60, "the forwarding to be given up")
    assert "given up" in site.forwarding(ENDED)[0]
    status = site.json("status")
    assert any("not forwarded" in each for each in status["attention"])
    assert {line["destination"]: line["counts"] for line in status["destinations"]}["gone"] == {"FAILED": 1}
    books = site.run("ledger")
    assert (books.returncode, f"UNANSWERED: {ENDED}: 1 instances were not forwarded" in books.stdout) == (1, True)
    assert site.run("requeue", "--all-undelivered").returncode == 0
    wait_until(lambda: len(site.forwarding(ENDED)) == 2, 60, "the second attempt")


def test_rules_change_at_sighup_and_wrong_ones_are_refused_whole(site: Site) -> None:
    """Last: it changes the node's rules."""
    specimen = view(study=REFUSED, StudyDescription="Biopsy specimen")
    site.write([{**SPECIMEN, "when": {"study_description": "/(/"}}, *RULES[1:]])
    refused = site.reload("routing rules refused")
    assert refused["level"] == "error"
    assert refused["faults"][0].startswith("routing.0.when.study_description: value '/(/' is not allowed")
    assert site.send(specimen) == [0xA900], "the old rules go on"

    far = {"far": {"type": "folder", "folder": "far", "results": ["measurement_sr"]}}
    site.write([{"name": "far", "destinations": "far"}], destinations=far)
    faults = site.reload("routing rules refused")["faults"]
    assert faults[0].startswith("routing.0.destinations: value 'far' is not allowed; allowed: back, copies, gone, ")
    assert faults[-1] == "needs a restart, as it changed too: destinations"

    site.write([{**RULES[-1], "reading": "broken"}])
    assert site.reload("routing rules refused")["faults"][0].startswith("readings.broken: reading.bundles: the models")
    assert site.send(specimen) == [0xA900], "still the old rules"

    site.write([{"name": "kept", "action": "store", "forward": "copies"}], reading={"threads": 2})
    assert site.reload("routing rules taken up")["rules"] == ["kept"]
    assert "restart" in site.node.wait_for_line("these sections changed too")
    assert site.send(specimen) == [0]

    trail = trail_of(site.config.audit.folder)
    reloads = [each.text for each in trail if each.event.endswith("Configuration")]
    assert "first start with this trail" in reloads[0]
    assert reloads[1:] == [
        *["reload refused: the rules are wrong; the old ones go on"] * 3,
        "routing rules taken up: kept; changed, and counts after a restart: reading",
    ]
    sent = [each for each in trail if each.who[1:2] == ["BUS1"] and each.event == "DICOM Instances Transferred"]
    assert sum(each.instances for each in sent if (each.about[0], each.outcome) == (EXAM, 0)) == 5
    (lost, again) = [each for each in trail if each.about[:1] == [ENDED] and each.outcome]
    assert lost.who[1] == again.who[1] == "GONE"
