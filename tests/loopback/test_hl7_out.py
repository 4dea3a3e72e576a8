"""Results to a RIS as any delivery: once, tried again while it is silent, told when it refuses."""

from __future__ import annotations

import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from node import checks
from node.destinations import Outgoing, Sent, Target, load
from node.errors import PermanentDelivery, RetriableDelivery
from node.settings_destinations import Destination
from node.simulator.pacs import free_port
from storage.records import DeliveryState, ResultObject, StudyState
from tests.support import running, wait_until
from tests.support_commitment import SendingNode
from tests.support_exams import settings
from tests.support_hl7 import Ris, as_bytes, judged, listening_ris, measurement_report, segments
from tests.support_results import CASES

NAME, ID = "Sæther^Ánná Đuŋŋá", "19660101-12345"


@pytest.fixture(scope="module")
def result() -> Dataset:
    return measurement_report(CASES["positive"](), PatientName=NAME, PatientID=ID, PatientBirthDate="19660101")


class ReportingNode(SendingNode):
    """A node whose results are measurement reports."""

    report: Dataset

    def _result(self, study: str, uid: str, now: object) -> ResultObject:
        row = super()._result(study, uid, now)  # type: ignore[arg-type]
        self.report.StudyInstanceUID, self.report.SOPInstanceUID = study, uid
        content = as_bytes(self.report)
        written = self.store.put([content], study_instance_uid=study, name=uid, suffix=".result.dcm")
        file = {"path": written.path, "sha256": written.sha256, "size_bytes": written.size_bytes}
        return replace(row, kind="measurement_sr", sop_class_uid=self.report.SOPClassUID, **file)


@dataclass
class Hospital:
    ris: Ris
    node: ReportingNode

    def deliver(self, study: str, destination: str = "RIS", *script: str) -> None:
        self.ris.script[:] = script
        self.ris.received.clear()
        self.node.deliver(study, destination, 1)

    def becomes(self, study: str, delivery: DeliveryState) -> str:
        wait_until(lambda: self.node.states(study) == [delivery], 30, f"{study} to be {delivery}")
        return self.node.outbox.deliveries(study)[0].last_error


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory, result: Dataset) -> Iterator[Hospital]:
    folder = tmp_path_factory.mktemp("hl7")
    with listening_ris() as ris:
        to = {"type": "hl7_mllp", "results": ["measurement_sr"], "first_retry_s": 0.1, "max_retry_s": 0.2}
        receiver = {"host": "127.0.0.1", "port": ris.port, "answer_timeout_s": 20}
        hasty = {**receiver, "answer_timeout_s": 0.5}
        gone = {"host": "127.0.0.1", "port": free_port()}
        destinations = {
            "RIS": {**to, "hl7": receiver},
            "HASTY": {**to, "hl7": hasty},
            "GONE": {**to, "hl7": gone, "max_attempts": 2},
        }
        node = ReportingNode(settings(folder, destinations=destinations))
        node.report = result
        node.start()
        try:
            yield Hospital(ris, node)
        finally:
            node.stop()


def test_a_result_arrives_once_and_whole(hospital: Hospital) -> None:
    hospital.deliver("1.4.1")
    hospital.becomes("1.4.1", DeliveryState.DELIVERED)
    wait_until(lambda: hospital.node.index.study("1.4.1").state is StudyState.ANSWERED, 30, "the exam to be answered")
    (text,) = hospital.ris.received
    (pid,), (obr,) = (segments(judged(text), name) for name in ("PID", "OBR"))
    assert (pid.pid_5.value, pid.pid_3.pid_3_1.value, obr.obr_3.value) == (NAME, ID, "1.4.1")


@pytest.mark.parametrize(
    ("study", "trouble"), [("1.4.2.1", "silent"), ("1.4.2.2", "other"), ("1.4.2.3", "noise"), ("1.4.2.4", "locked")]
)
def test_without_an_answer_the_same_message_goes_again(hospital: Hospital, study: str, trouble: str) -> None:
    hospital.deliver(study, "RIS", trouble)
    hospital.becomes(study, DeliveryState.DELIVERED)
    first, second = hospital.ris.received
    assert first == second, "byte for byte, MSH-10 too: a receiver that knows it takes it once"
    assert hospital.node.outbox.deliveries(study)[0].attempts == 2


def test_who_takes_too_long_is_asked_again(hospital: Hospital) -> None:
    hospital.deliver("1.4.6", "HASTY", "silent")
    history = hospital.node.index.events
    wait_until(lambda: any("did not ack" in each.text for each in history("1.4.6")), 30, "a time-out")
    hospital.becomes("1.4.6", DeliveryState.DELIVERED)
    assert len(hospital.ris.received) >= 2
    assert len(set(hospital.ris.received)) == 1


def test_a_late_answer_to_another_message_is_passed_over(hospital: Hospital) -> None:
    hospital.deliver("1.4.3", "RIS", "late")
    hospital.becomes("1.4.3", DeliveryState.DELIVERED)
    assert len(hospital.ris.received) == 1


@pytest.mark.parametrize("code", ["AE", "AR"])
def test_a_refusal_is_told_in_the_receivers_words_but_for_the_patient(hospital: Hospital, code: str) -> None:
    study = f"1.4.4.{ord(code[1])}"
    hospital.ris.text = f"No order for SÆTHER, Ánná ({ID}, born 1966-01-01, 01.01.1966)"
    hospital.deliver(study, "RIS", code)
    why = hospital.becomes(study, DeliveryState.FAILED)
    assert f"answered {code}" in why
    assert "error 204: No order for " in why
    assert "Unknown key identifier" in why
    told = [*(each.text for each in hospital.node.index.events(study)), why]
    assert not any(part.casefold() in each.casefold() for part in ("Sæther", "Ánná", "1966", "12345") for each in told)
    assert hospital.node.orders.requeue(study) == 1, "a person sends it again when the cause is mended"
    hospital.becomes(study, DeliveryState.DELIVERED)


def test_a_receiver_that_is_away_is_tried_until_it_is_given_up_visibly(hospital: Hospital) -> None:
    hospital.deliver("1.4.5", "GONE")
    assert "cannot be reached: Connection refused (given up after 2)" in hospital.becomes("1.4.5", DeliveryState.FAILED)


def test_a_check_tells_who_takes_connections(hospital: Hospital) -> None:
    found = {each.what: each for each in islice(checks.every(hospital.node.config), 9)}
    assert found["destination RIS"].ok
    assert found["destination RIS"].told.endswith("which takes connections")
    assert not found["destination GONE"].ok
    assert "cannot be reached" in found["destination GONE"].told
    assert found["hl7 address"].told == "off: hl7.port is null"


def test_over_tls_only_whom_it_trusts(tmp_path: Path, result: Dataset) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ris", "-days", "2"]
    made += ["-keyout", key, "-out", certificate, "-addext", "subjectAltName=DNS:localhost"]  # type: ignore[list-item]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    (tmp_path / "result.dcm").write_bytes(as_bytes(result))
    with listening_ris(context=context) as ris:
        sent = [
            send(tmp_path / "result.dcm", result, {"host": host, "port": ris.port, "tls": tls})
            for host, tls in (("localhost", {"ca_file": certificate}), ("127.0.0.1", {"ca_file": certificate}))
        ]
        untrusting = send(tmp_path / "result.dcm", result, {"host": "localhost", "port": ris.port, "tls": {}})
    assert sent[0].error is None
    assert len(ris.received) == 1
    for refused, why in ((sent[1], "IP address mismatch"), (untrusting, "self-signed certificate")):
        assert type(refused.error) is RetriableDelivery
        assert why in str(refused.error)


def test_a_rehearsal_takes_results_and_tells_of_them_without_a_name(result: Dataset, tmp_path: Path) -> None:
    (tmp_path / "result.dcm").write_bytes(as_bytes(result))
    command = [sys.executable, "-m", "node.cli", "simulate", "hl7", "--port", "0"]
    with running(*command, until="ready: ", timeout_s=60) as ris:
        port = int(ris.output.rpartition(":")[2])
        for _ in range(2):
            assert send(tmp_path / "result.dcm", result, {"host": "127.0.0.1", "port": port}).error is None
        ris.wait_for_line(f" again: study {result.StudyInstanceUID} SUSPICIOUS flag Y score ", 20)
        ris.popen.terminate()
        ris.wait_for_line("1 results came, 2 messages", 20)
    assert not any(part in ris.output for part in ("Sæther", "Ánná", "19660101"))


def test_an_image_is_no_result(tmp_path: Path) -> None:
    (tmp_path / "image.dcm").write_bytes(b"no DICOM")
    sent = send(tmp_path / "image.dcm", Dataset(), {"host": "127.0.0.1", "port": 1})
    assert type(sent.error) is PermanentDelivery


def send(path: Path, report: Dataset, receiver: dict[str, object]) -> Sent:
    destination = Destination(type="hl7_mllp", results=("measurement_sr",), hl7=receiver)  # type: ignore[arg-type]
    target = Target(name="RIS", destination=destination, peer=None, calling_ae_title="MAMMO_NODE")
    uids = {"sop_instance_uid": str(report.get("SOPInstanceUID", "1.2")), "sop_class_uid": "1.2.840"}
    (sent,) = load("hl7_mllp").send([Outgoing(**uids, path=path)], target)
    return sent
