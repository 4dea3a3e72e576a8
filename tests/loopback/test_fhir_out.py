"""Results as FHIR transactions: judged by fhir.resources, kept by a small server that creates on condition."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from fhir.resources.R4B.bundle import Bundle
from pydicom.dataset import Dataset

from ai.findings import Category
from node.config import config_from
from node.destinations import Outgoing, Sent, Target, load
from node.errors import ConfigError, DeliveryError, PermanentDelivery, RetriableDelivery
from node.fhir_bundle import bundle
from node.results._told import told
from node.settings_destinations import Destination
from tests.support import serving
from tests.support_hl7 import as_bytes, measurement_report
from tests.support_results import CASES

VIEWER = "https://viewer.example/v?study={study_instance_uid}"
SYSTEM = "urn:oid:2.16.578.1.12.4.1.4.1"


@dataclass
class FhirServer:
    """What it answers is the next of its script, and what the standard says when there is none."""

    url: str = ""
    script: list[tuple[int, Any]] = field(default_factory=list)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    headers: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, content: bytes) -> tuple[int, Any]:
        Bundle.model_validate_json(content)
        if self.script:
            return self.script.pop(0)
        with self.lock:
            entries = [self._created(entry) for entry in json.loads(content)["entry"]]
        return 200, {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}

    def _created(self, entry: dict[str, Any]) -> dict[str, Any]:
        """R4 3.1.0.8.1: made where nothing has the identifier; else what is there is named."""
        key = f"{entry['request']['url']}?{unquote(entry['request']['ifNoneExist'])}"
        system, value = key.partition("identifier=")[2].split("|")
        assert {"system": system, "value": value} in entry["resource"]["identifier"], "the condition is its own"
        there = key in self.kept
        self.kept.setdefault(key, entry["resource"])
        return {"response": {"status": "200 OK" if there else "201 Created"}}


@contextmanager
def fhir_server() -> Iterator[FhirServer]:
    made = FhirServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            made.headers.append({name.lower(): value for name, value in self.headers.items()})
            status, answer = made.take(self.rfile.read(int(self.headers["content-length"])))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{server.server_address[1]}"
    with serving(server):
        yield made


@pytest.fixture(scope="module")
def result() -> Dataset:
    return measurement_report(CASES["with_prior_and_composition"]())


def send(report: Dataset, folder: Path, server: FhirServer, **more: object) -> Sent:
    path = folder / "result.dcm"
    path.write_bytes(as_bytes(report))
    settings = {"server": {"url": server.url, **more}, "viewer_url": VIEWER, "patient_id_system": SYSTEM}
    destination = Destination(type="fhir", results=("measurement_sr",), **settings)  # type: ignore[arg-type]
    target = Target(name="record", destination=destination, peer=None, calling_ae_title="MAMMO_NODE")
    uids = {"sop_instance_uid": str(report.SOPInstanceUID), "sop_class_uid": str(report.SOPClassUID)}
    (sent,) = load("fhir").send([Outgoing(**uids, path=path)], target)
    return sent


@pytest.mark.parametrize(
    "case", ["positive", "with_prior_and_composition", "one_breast_left_out", "empty_type_2", "not_read_many_reasons"]
)
def test_what_is_sent_is_in_order_and_says_what_the_reading_does(case: str) -> None:
    given = CASES[case]()
    report = measurement_report(given)
    made = bundle(report, told(report), SYSTEM, VIEWER)
    Bundle.model_validate(made)
    by_kind: dict[str, list[dict[str, Any]]] = {}
    for entry in made["entry"]:
        by_kind.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    (diagnostic,), (study,) = by_kind["DiagnosticReport"], by_kind["ImagingStudy"]
    found = {each["code"]["coding"][0]["code"]: each for each in by_kind["Observation"]}
    reading = given.reading
    assert {each["status"] for each in [diagnostic, *found.values()]} == {"preliminary"}
    assert found["TRIAGE"]["valueCodeableConcept"]["coding"][0]["code"] == reading.category
    assert ("interpretation" in found["TRIAGE"]) is (reading.category is Category.SUSPICIOUS)
    assert study["identifier"][0] == {"system": "urn:dicom:uid", "value": f"urn:oid:{reading.study_instance_uid}"}
    assert len(diagnostic["result"]) == len(found)
    numbers = {key: each["valueQuantity"]["value"] for key, each in found.items() if "valueQuantity" in each}
    if reading.category is Category.NOT_READ:
        assert numbers == {}
        assert "This is not a negative result" in diagnostic["conclusion"]
    else:
        assert numbers["SCORE"] == pytest.approx(100 * reading.score, abs=0.051)
        assert numbers["BAND"] == reading.band
    assert ("DENSITY" in found) is (reading.composition is not None)
    identified = diagnostic["subject"].get("identifier", {})
    assert identified.get("value", "") == str(report.PatientID)
    assert "Čáppa" not in json.dumps(made, ensure_ascii=False), "who takes it knows her by her ID"


def test_a_result_is_kept_once_however_often_it_is_sent(result: Dataset, tmp_path: Path) -> None:
    (tmp_path / "headers").write_text("Authorization: Bearer secret-1\n")
    with fhir_server() as server:
        for _ in range(2):
            assert send(result, tmp_path, server, headers_file=tmp_path / "headers").error is None
    kinds = [key.partition("?")[0] for key in server.kept]
    assert (kinds.count("DiagnosticReport"), kinds.count("ImagingStudy"), kinds.count("Observation")) == (1, 1, 7)
    assert [each["authorization"] for each in server.headers] == ["Bearer secret-1"] * 2
    assert {each["content-type"] for each in server.headers} == {"application/fhir+json"}


OUTCOME = {
    "resourceType": "OperationOutcome",
    "issue": [{"severity": "error", "code": "not-found", "diagnostics": "no Patient Čáppa 19700101-12345"}],
}


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        ((422, OUTCOME), PermanentDelivery, "the server answered 422: not-found: no Patient … …"),
        ((401, {}), RetriableDelivery, "the server answered 401"),
        ((503, OUTCOME), RetriableDelivery, "the server answered 503: not-found"),
        ((412, {}), PermanentDelivery, "the server answered 412"),
        ((200, {}), RetriableDelivery, "not what became of each entry"),
        ((200, {"type": "transaction-response", "entry": [{}]}), RetriableDelivery, "not what became of each entry"),
        ((200, [1]), RetriableDelivery, "not what became of each entry"),
        (
            (200, {"type": "transaction-response", "entry": [{"response": {"status": "201"}}] * 8 + [{}]}),
            PermanentDelivery,
            "the server answered nothing for an entry",
        ),
    ],
)
def test_other_answers(
    answer: tuple[int, Any], error: type[DeliveryError], text: str, result: Dataset, tmp_path: Path
) -> None:
    with fhir_server() as server:
        server.script.append(answer)
        sent = send(result, tmp_path, server)
    assert type(sent.error) is error
    assert text in str(sent.error)
    assert not any(part in str(sent.error) for part in ("Čáppa", "19700101", "12345"))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"server": None}, "server"),
        ({"server": {"url": "http://fhir.example/r4"}}, "server.url"),
        ({"results": ["summary_sc"]}, "results"),
        ({"patient_id_system": "NIN"}, "patient_id_system"),
    ],
)
def test_settings_that_do_not_fit_are_told(change: dict[str, object], key: str) -> None:
    fhir = {"type": "fhir", "server": {"url": "https://fhir.example/r4"}, "results": ["measurement_sr"]}
    config_from({"destinations": {"record": fhir}}, Path())
    with pytest.raises(ConfigError, match=rf"destinations\.record\.{key}: "):
        config_from({"destinations": {"record": {**fhir, **change}}}, Path())
