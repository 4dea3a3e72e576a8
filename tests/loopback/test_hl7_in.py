"""Orders and patients' corrections from a RIS: messages by hl7apy over a plain socket, answers judged by hl7apy."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from node import overview
from node.dimse.tls import client_context
from node.hl7.listener import Hl7Listener, admitted
from node.hl7.receiving import Receiving
from node.pipeline.identifying import Identifying, contradicted
from node.pipeline.rooms import Rooms
from node.settings import PeerTls
from node.settings_hl7 import Hl7Settings
from storage.database import DatabaseUnavailable
from storage.hl7 import Hl7Record, Order, PatientChange
from storage.records import DeliveryState, Priority, StudyState
from tests.support import wait_until
from tests.support_commitment import SendingNode
from tests.support_exams import settings, view
from tests.support_hl7 import answered, framed, judged
from tests.support_index import received

ID = "1"  # of Test^Anna, whose results `SendingNode` delivers


@dataclass
class Site:
    node: SendingNode
    listener: Hl7Listener
    receiving: Receiving
    out: Path

    def ask(self, text: str | bytes) -> str:
        """The acknowledgement as it came."""
        with self.connected() as connection:
            connection.sendall(framed(text))
            return answered(connection)

    @contextmanager
    def connected(self, source: str = "127.0.0.1") -> Iterator[socket.socket]:
        where = ("127.0.0.1", self.listener.port)
        with socket.create_connection(where, 20, source_address=(source, 0)) as connection:
            yield connection

    def told(self, text: str | bytes) -> tuple[str, str]:
        """MSA-1, and the number of the error; the whole judged by hl7apy where it is of its version."""
        answer = self.ask(text)
        fields = {line[:3]: line.split("|") for line in answer.split("\r")}
        if fields["MSH"][11] == "2.5.1":
            judged(answer)
        number = fields.get("ERR", ["", "", "", ""])[3].partition("^")[0]
        return fields["MSA"][1], number

    def priority(self, study: str) -> Priority:
        found = self.node.index.study(study)
        assert found is not None
        return found.priority

    def record(self) -> Hl7Record:
        return Hl7Record(self.node.database)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("hl7")
    out = folder / "out"
    to = {"type": "folder", "folder": str(out), "results": ["summary_sc"], "first_retry_s": 0.1}
    node = SendingNode(settings(folder, destinations={"out": to}))
    rooms = Rooms(
        config=node.config,
        database=node.database,
        store=node.store,
        router=None,  # type: ignore[arg-type]
        readers=None,  # type: ignore[arg-type]
        jobs=node.jobs,
        audit=None,  # type: ignore[arg-type]
    )
    receiving = Receiving(Hl7Settings(), node.database, Identifying(rooms).changed)
    listener = Hl7Listener(Hl7Settings(port=0, maximum_message_bytes=20_000), receiving.answer)
    node.start()
    listener.start()
    try:
        yield Site(node, listener, receiving, out)
    finally:
        listener.stop()
        node.stop()


def header(kind: str, number: object, version: str = "2.5.1", **fields: str) -> str:
    processing, named = fields.get("processing", "P"), fields.get("character_set", "UNICODE UTF-8")
    return f"MSH|^~\\&|RIS|HOSP|MAMMO_NODE|UNN|20261201120000||{kind}|{number}|{processing}|{version}||||||{named}\r"


def adt(event: str, number: object, pid: str, *more: str, **fields: str) -> str:
    lines = [f"EVN||20261201120000\r{pid}", *more]
    structure = {"A08": "ADT_A01", "A40": "ADT_A39"}.get(event, "ADT_A01")
    return header(f"ADT^{event}^{structure}", number, **fields) + "\r".join(lines) + "\r"


def orm(number: object, accession: str, priority: str = "S", control: str = "NW", version: str = "2.3") -> str:
    lines = [f"ORC|{control}|P1|||||^^^20261201^^{priority}", f"OBR|1|P1||MAM^Mammography^L||||||||||||||{accession}"]
    return header("ORM^O01", number, version) + "PID|1||1^^^HOSP||Test^Anna\r" + "\r".join(lines) + "\r"


def omi(number: object, study: str, accession: str, priority: str = "S") -> str:
    lines = ["PID|1||1^^^HOSP||Test^Anna", "ORC|NW|P1", f"TQ1|1||||||20261201||{priority}"]
    lines += ["OBR|1|P1||MAM^Mammography^L", f"IPC|{accession}|RP1|{study}|SPS1"]
    return header("OMI^O23^OMI_O23", number) + "\r".join(lines) + "\r"


def arrive(site: Site, study: str, **elements: Any) -> None:
    now = datetime.now(UTC)
    site.node.index.add_instance(received(study, now, 99, **elements), lambda _views: now + timedelta(hours=1))


# ---------------------------------------------------------------- orders


def test_an_order_by_study_uid_makes_an_exam_urgent_that_is_here(site: Site) -> None:
    arrive(site, "1.5.1")
    assert site.priority("1.5.1") is Priority.ROUTINE
    assert site.told(omi("o1", "1.5.1", "A1", "R")) == ("AA", "")
    assert site.priority("1.5.1") is Priority.ROUTINE
    assert site.told(omi("o2", "1.5.1", "A1", "S^Stat^HL70485")) == ("AA", "")
    assert site.priority("1.5.1") is Priority.URGENT


def test_an_order_by_accession_number_waits_for_its_exam(site: Site) -> None:
    assert site.told(orm("o3", "A2")) == ("AA", "")
    arrive(site, "1.5.2", accession_number="A2")
    assert site.node.orders.complete("1.5.2", anyway=True) == 1
    assert site.priority("1.5.2") is Priority.URGENT
    arrive(site, "1.5.3", accession_number="A3")
    assert site.node.orders.complete("1.5.3", anyway=True) == 1
    assert site.priority("1.5.3") is Priority.ROUTINE


def test_a_cancelled_order_makes_nothing_urgent(site: Site) -> None:
    assert site.told(orm("o4", "A4")) == ("AA", "")
    assert site.told(orm("o5", "A4", control="CA")) == ("AA", "")
    assert not site.record().is_urgent("1.5.4", "A4")


def test_the_study_uid_of_ihe_in_zds(site: Site) -> None:
    text = orm("o6", "A6") + "ZDS|1.5.6^^Application^DICOM\r"
    assert site.told(text) == ("AA", "")
    assert site.record().is_urgent("1.5.6", "")


# ---------------------------------------------------------------- patients


def deliver(site: Site, study: str) -> None:
    """A study of the patient of the results that `SendingNode` makes."""
    arrive(site, study, patient_id=ID, issuer_of_patient_id="")
    site.node.deliver(study, "out", 1)


def becomes(site: Site, study: str, delivery: DeliveryState, state: StudyState) -> str:
    def reached() -> bool:
        return site.node.states(study) == [delivery] and site.node.index.study(study).state is state

    wait_until(reached, 30, f"{study} to be {delivery}; it is {site.node.states(study)}")
    return site.node.outbox.deliveries(study)[0].last_error


def test_after_a_correction_nothing_goes_out_under_the_old_name(site: Site) -> None:
    deliver(site, "1.6.2")
    becomes(site, "1.6.2", DeliveryState.DELIVERED, StudyState.ANSWERED)
    assert site.told(adt("A08", "p1", "PID|1||1^^^HOSP~77||TEST^ANNA||")) == ("AA", "")
    assert not any("the RIS says" in each.text for each in site.node.index.events("1.6.2")), "nothing has changed"
    assert site.told(adt("A08", "p2", "PID|1||1^^^HOSP||Berg^Kari||19660101")) == ("AA", "")
    told = [each.text for each in site.node.index.events("1.6.2")]
    assert "the RIS says: the patient has been corrected to another PatientName; 1 results had been sent before" in told
    deliver(site, "1.6.3")
    why = becomes(site, "1.6.3", DeliveryState.HELD, StudyState.UNDELIVERED)
    assert why == "the RIS says: the patient has been corrected to another PatientName"
    assert not (site.out / "1.6.3.1.dcm").exists()
    assert any("held: the archive or the RIS" in each for each in overview.status(site.node.config).attention)
    assert site.node.orders.release("1.6.3") == 1
    becomes(site, "1.6.3", DeliveryState.DELIVERED, StudyState.ANSWERED)


def test_after_a_merge_results_wait_for_a_person_until_the_ris_says_otherwise(site: Site) -> None:
    merge = adt("A40", "p3", "PID|1||2^^^HOSP||Test^Anna", "MRG|1^^^HOSP||||||Test^Anna")
    assert site.told(merge) == ("AA", "")
    deliver(site, "1.6.4")
    why = becomes(site, "1.6.4", DeliveryState.HELD, StudyState.UNDELIVERED)
    assert why == "the RIS says: the patient has been merged into another"
    assert site.told(adt("A08", "p4", "PID|1||1^^^HOSP||Test^Anna")) == ("AA", ""), "the merge is taken back"
    assert site.node.orders.requeue("1.6.4") == 1
    becomes(site, "1.6.4", DeliveryState.DELIVERED, StudyState.ANSWERED)


def test_whoever_was_never_here_is_not_kept(site: Site) -> None:
    assert site.told(adt("A08", "p5", "PID|1||4711^^^HOSP||Nordmann^Ola")) == ("AA", "")
    assert site.record().changes("4711", "HOSP") == []


def test_another_issuers_patient_is_another(site: Site) -> None:
    arrive(site, "1.6.6", patient_id="X6", issuer_of_patient_id="NORTH")
    assert site.told(adt("A40", "p6", "PID|1||X7^^^SOUTH", "MRG|X6^^^SOUTH")) == ("AA", "")
    assert site.record().changes("X6", "NORTH") == []
    assert site.record().changes("X6", "SOUTH")[0].merged
    assert site.record().changes("X6", "")[0].merged, "not told by one side: taken for the same"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"patient_name": "TEST^ÅSE"}, ""),
        ({"patient_name": "Test^Åse^Marie"}, "PatientName"),
        ({"patient_name": "Hansen^Åse", "patient_birth_date": "19660102"}, "PatientName, PatientBirthDate"),
        ({"patient_birth_date": "19660101"}, ""),
        ({}, ""),
    ],
)
def test_what_counts_as_corrected(change: dict[str, str], found: str) -> None:
    said = contradicted(view(), PatientChange(patient_id="P1", issuer_of_patient_id="", **change))  # type: ignore[arg-type]
    assert said == (f"the patient has been corrected to another {found}" if found else "")


def test_a_name_divided_otherwise_is_the_same() -> None:
    change = PatientChange(patient_id="P1", issuer_of_patient_id="", patient_name="Sæther^Ánná^Đuŋŋá^^Dr")
    assert contradicted(view(PatientName="Saether^Anna Đuŋŋá"), change) == ""


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (header("ORU^R01^ORU_R01", "b1") + "PID|1\r", ("AR", "200")),
        (adt("A01", "b2", "PID|1||1"), ("AR", "201")),
        (adt("A08", "b3", "PID|1||1", processing="T"), ("AR", "202")),
        (adt("A08", "b4", "PID|1||||Test^Anna"), ("AE", "101")),
        (adt("A40", "b5", "PID|1||1"), ("AE", "100")),
        (adt("A40", "b6", "PID|1||1^^^HOSP", "MRG|1^^^HOSP"), ("AE", "101")),
        (adt("A08", "", "PID|1||1"), ("AR", "101")),
        (omi("b7", "", ""), ("AE", "101")),
        (omi("b8", "no.uid", "A"), ("AE", "102")),
        (omi("b9", "", "A" * 65), ("AE", "102")),
        (header("OMI^O23^OMI_O23", "b10"), ("AE", "100")),
        (adt("A08", "b11", "PID|1||1", character_set="KLINGON"), ("AR", "100")),
        ("nonsense", ("AR", "100")),
    ],
)
def test_what_cannot_be_taken_is_answered_with_its_error(site: Site, text: str, answer: tuple[str, str]) -> None:
    assert site.told(text) == answer


def test_errors_of_old_versions_are_told_their_way(site: Site) -> None:
    lines = site.ask(orm("v1", "")).split("\r")
    assert lines[2] == "ERR|OBR^1^18^101&Required field missing&HL70357"
    assert lines[0].split("|")[2:6] == ["MAMMO_NODE", "UNN", "RIS", "HOSP"]
    assert lines[1] == "MSA|AE|v1|neither an accession number nor a Study Instance UID is told"


def test_the_same_message_again_is_answered_the_same_and_counts_once(site: Site) -> None:
    text = orm("d1", "D1")
    first = site.ask(text)
    site.record().cancel(Order(study_instance_uid="", accession_number="D1", urgent=True))
    assert site.ask(text) == first
    assert not site.record().is_urgent("1.5.10", "D1"), "it was not done again"
    assert site.told(orm("d1", "D2")) == ("AA", ""), "a sender that counts anew is not mistaken for itself"
    assert site.record().is_urgent("1.5.10", "D2")


def test_what_cannot_be_kept_is_not_acknowledged_and_is_kept_when_it_comes_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise DatabaseUnavailable("disk full")

    with monkeypatch.context() as broken:
        broken.setattr(Hl7Record, "answered", full)
        assert site.told(omi("k1", "1.5.9", "K1")) == ("AE", "207")
        assert not site.record().is_urgent("1.5.9", ""), "all of it, or nothing"
    assert site.told(omi("k1", "1.5.9", "K1")) == ("AA", "")
    assert site.record().is_urgent("1.5.9", "")


def test_nothing_of_a_patient_is_in_answers_or_logs(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    pid = "PID|1||1^^^HOSP||Hemmelig^Ærlig||19660101"
    answer = site.ask(adt("A08", "l1", pid)) + site.ask(adt("A40", "l2", pid, "MRG|1^^^HOSP"))
    captured = capsys.readouterr()
    assert "HL7 message" in captured.out + captured.err
    assert not any(part in answer + captured.out + captured.err for part in ("Hemmelig", "Ærlig", "19660101"))


# ---------------------------------------------------------------- connections


def test_many_messages_on_a_connection_each_answered_in_turn(site: Site) -> None:
    with site.connected() as connection:
        for number in range(3):
            content = framed(orm(f"c{number}", f"C{number}"))
            connection.sendall(content[:7])
            connection.sendall(content[7:])
            assert f"MSA|AA|c{number}" in answered(connection)


@pytest.mark.parametrize("content", [b"GET / HTTP/1.1\r\n\r\n\x1c\r", b"\x0b" + b"A" * 100_000], ids=["http", "huge"])
def test_what_is_no_mllp_ends_its_own_connection_only(site: Site, content: bytes) -> None:
    with site.connected() as silent, site.connected() as connection:
        connection.sendall(content)
        assert answered(connection) == ""
        silent.sendall(framed(orm("s1", "S1")))
        assert "MSA|AA|s1" in answered(silent)


def test_senders_by_address() -> None:
    assert admitted("127.0.0.1", ())
    assert not admitted("10.1.2.3", ())
    assert admitted("10.1.2.3", ("10.1.0.0/16",))
    assert admitted("::ffff:10.1.2.3", ("10.1.0.0/16",))
    assert not admitted("127.0.0.1", ("10.1.0.0/16",))


@contextmanager
def listening(site: Site, **changes: Any) -> Iterator[Site]:
    listener = Hl7Listener(Hl7Settings(port=0, **changes), site.receiving.answer)
    listener.start()
    try:
        yield Site(site.node, listener, site.receiving, site.out)
    finally:
        listener.stop()


def test_who_is_not_among_the_senders_is_not_heard(site: Site) -> None:
    with listening(site, senders=["127.0.0.2"]) as other:
        with other.connected() as connection:
            assert answered(connection) == ""
        with other.connected("127.0.0.2") as connection:
            connection.sendall(framed(orm("w1", "W1")))
            assert "MSA|AA|w1" in answered(connection)


def test_a_silent_connection_is_closed(site: Site) -> None:
    with listening(site, idle_timeout_s=0.2) as other, other.connected() as connection:
        assert answered(connection) == ""


def test_over_tls_with_a_peer_that_never_speaks_beside_it(site: Site, tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=node", "-days", "2"]
    made += ["-keyout", str(key), "-out", str(certificate), "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run(made, check=True, capture_output=True, timeout=60)
    context = client_context(PeerTls(ca_file=certificate))
    tls = {"certificate_file": certificate, "key_file": key}
    with (
        listening(site, tls=tls) as other,
        other.connected(),
        other.connected() as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        connection.sendall(framed(orm("t1", "T1")))
        assert "MSA|AA|t1" in answered(connection)
