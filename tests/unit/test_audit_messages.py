"""Audit messages against the schema and the tables of PS3.15 A.5, and what the auditor makes of patients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.sr._concepts_dict import concepts
from pydicom.tag import Tag
from typer.testing import CliRunner

from node.audit import codes, configured, events
from node.audit.auditor import WITHHELD, Auditor, this_user
from node.audit.codes import Code
from node.audit.events import Here, Other, StudyOf
from node.audit.messages import Event, Source, encoded
from node.audit.queries import Queries
from node.audit.verify import verify
from node.cli import make_app
from node.config import config_from
from node.errors import ConfigError
from tests.support_audit import Message, told, trail_of
from tests.support_exams import settings

HERE = Here("MAMMO_NODE", "reader-1", 4711)
PACS = Other("", "10.1.2.3", "PACS")
STUDY = StudyOf(study_instance_uid="1.2.3", patient_id="hmac-sha256:ab", sop_classes={"1.2.840.10008.5.1.4.1.1.1.2": 4})
EVERY: dict[str, Event] = {
    "start": events.activity(HERE, codes.APPLICATION_START, Other("root@reader-1")),
    "stop": events.activity(HERE, codes.APPLICATION_STOP),
    "log used": events.log_used(Other("kari@reader-1"), "file:///audit"),
    "begin": events.begin(HERE, PACS, STUDY),
    "begin, asked for": events.begin(HERE, PACS, STUDY, Other("", "10.1.2.9", "WORKSTATION")),
    "sent": events.sent(HERE, PACS, STUDY),
    "not sent": events.sent(HERE, PACS, STUDY, failure="the peer answered 0xA700"),
    "received": events.received(HERE, PACS, STUDY),
    "accessed": events.accessed(HERE, Other("kari", "10.1.2.9"), STUDY),
    "deleted": events.deleted(HERE, STUDY, "storage.retention_days"),
    "queried": events.queried(HERE, PACS, "1.2.840.10008.5.1.4.1.2.2.1", b"\x08\x00", "1.2.840.10008.1.2"),
    "searched": events.queried_by_uri(HERE, Other("kari", "10.1.2.9"), "/dicom-web/studies", "StudyDate=20260101"),
    "sign-in": events.sign_in(HERE, Other("kari@MAMMO_NODE", "10.1.2.9")),
    "no sign-in": events.sign_in(HERE, Other("", "10.1.2.9"), "password or token not valid here"),
    "alert": events.alert(HERE, codes.NODE_AUTHENTICATION, "no certificate", at_node="10.6.6.6"),
    "decision": events.alert(HERE, codes.SOFTWARE_CONFIGURATION, "points 2", about="points:2", by=Other("kari")),
}
#: Of what is of the standard's own tables: EventID, action, and roles or kinds of objects it must have (A.5.3).
REQUIRED: dict[str, tuple[str, str, list[str], list[str]]] = {
    "start": ("110100", "E", ["110150"], []),
    "stop": ("110100", "E", ["110150"], []),
    "log used": ("110101", "R", [], ["2/13/12"]),
    "begin": ("110102", "E", ["110153", "110152"], ["2/3/110180", "1/1/2"]),
    "sent": ("110104", "R", ["110153", "110152"], ["2/3/110180", "1/1/2"]),
    "received": ("110104", "C", ["110153", "110152"], ["2/3/110180", "1/1/2"]),
    "accessed": ("110103", "R", [], ["2/3/110180", "1/1/2"]),
    "deleted": ("110105", "D", [], ["2/3/110180", "1/1/2"]),
    "queried": ("110112", "E", ["110153", "110152"], ["2/3/110181"]),
    "sign-in": ("110114", "E", [], []),
    "alert": ("110113", "E", [], ["2/13/110182"]),
    "decision": ("110113", "E", [], ["2/5/12"]),
}


def message(event: Event) -> Message:
    return Message.of(encoded(event, Source("MAMMO_NODE@reader-1", "Nordlandssykehuset Bodø")))


@pytest.mark.parametrize("name", EVERY)
def test_every_event_is_of_the_standards_schema(name: str) -> None:
    text = encoded(EVERY[name], Source("MAMMO_NODE"))
    assert "\n" not in text
    assert Message.of(text).requestor is not None


@pytest.mark.parametrize("name", REQUIRED)
def test_events_are_as_their_tables_say(name: str) -> None:
    event, action, roles, objects = REQUIRED[name]
    root = message(EVERY[name]).root
    about = root.find("EventIdentification")
    assert about.find("EventID").get("csd-code") == event
    assert about.get("EventActionCode") == action
    assert root.xpath("ActiveParticipant/RoleIDCode/@csd-code")[: len(roles)] == roles
    found = [
        f"{each.get('ParticipantObjectTypeCode')}/{each.get('ParticipantObjectTypeCodeRole')}/"
        f"{each.find('ParticipantObjectIDTypeCode').get('csd-code')}"
        for each in root.iterfind("ParticipantObjectIdentification")
    ]
    assert found == objects


def test_codes_are_the_standards() -> None:
    """Values and meanings against PS3.16 as pydicom has it."""
    known = {value: entry for entries in concepts["DCM"].values() for value, entry in entries.items()}
    ours = [each for each in vars(codes).values() if isinstance(each, Code) and each.scheme == "DCM"]
    assert len(ours) > 20
    for each in ours:
        meaning, groups = known[each.value]
        assert each.meaning == meaning
        assert set(groups) & {400, 401, 402, 403, 404}, f"{each} is no code of audit messages"


def test_a_message_bears_whatever_a_peer_calls_itself() -> None:
    nasty = 'A"<&>\x00\x1b\n' + "x" * 5000 + "\ud800"
    found = Message.of(encoded(events.received(HERE, Other("", nasty, nasty), STUDY), Source("S")))
    assert found.who[0].startswith('A"<&>')
    assert len(found.who[0]) == 2000


def test_no_message_is_longer_than_syslog_servers_must_take(tmp_path: Path) -> None:
    """PS3.15 A.6: 32,768 bytes; whatever is asked, and however long a reason is."""
    auditor = Auditor(settings(tmp_path))
    identifier = Dataset()
    identifier.StudyInstanceUID = [f"1.2.{number}" for number in range(10**8, 10**8 + 1100)]
    Queries(auditor).asked(PACS, "1.2.840.10008.5.1.4.1.2.2.1", identifier)
    identifier.StudyInstanceUID = [f"1.2.{number}" for number in range(10**8, 10**8 + 3000)]
    Queries(auditor).asked(PACS, "1.2.840.10008.5.1.4.1.2.2.1", identifier)
    Queries(auditor).searched(PACS, "/studies", [("StudyInstanceUID", "1" * 10**6)])
    auditor.tell(events.alert(HERE, codes.SOFTWARE_CONFIGURATION, "æ" * 10**6, about="mammo-node:x", by=PACS))
    whole, left_out, cut, alert = trail_of(auditor.trail.folder)
    assert (len(whole.query) > 15_000, left_out.query, len(cut.query)) == (True, b"", 16_384)
    assert all(len(etree.tostring(each.root, encoding="utf-8")) < 32_000 for each in (whole, left_out, cut, alert))


def test_what_a_peer_asks_wrongly_is_a_query_all_the_same(tmp_path: Path) -> None:
    auditor = Auditor(settings(tmp_path))
    identifier = Dataset()
    identifier.add(RawDataElement(Tag(0x0020000D), "UI", 4, b"\xff\xfe\x00\x01", 0, True, True))
    identifier.add(RawDataElement(Tag(0x00280010), "US", 3, b"abc", 0, True, True))
    Queries(auditor).asked(PACS, "1.2.840.10008.5.1.4.1.2.2.1", identifier)
    (found,) = trail_of(auditor.trail.folder)
    assert found.event == "Query"


def test_outcomes_and_who_asked() -> None:
    assert message(EVERY["not sent"]).outcome == 4
    assert message(EVERY["not sent"]).text == "the peer answered 0xA700"
    assert message(EVERY["begin, asked for"]).requestor == "WORKSTATION"
    assert message(EVERY["begin"]).requestor == "4711"
    assert message(EVERY["begin"]).instances == 4
    assert message(EVERY["no sign-in"]).who == ["unknown", "4711"]


@pytest.mark.parametrize(
    ("patients", "expected"), [("plain", "19121212"), ("none", WITHHELD), ("hashed", "hmac-sha256:")]
)
def test_patients_are_told_as_the_config_says(tmp_path: Path, patients: str, expected: str) -> None:
    auditor = Auditor(settings(tmp_path, audit={"patients": patients}))
    told_as = auditor.patient("19121212")
    assert told_as.startswith(expected)
    assert ("19121212" in told_as) is (patients == "plain")
    assert auditor.patient("19121212") == told_as
    assert (auditor.patient("19121213") == told_as) is (patients == "none")
    assert auditor.patient("") == ""


def test_where_nothing_can_be_written_the_node_goes_on_and_the_trail_tells_later(tmp_path: Path) -> None:
    auditor = Auditor(settings(tmp_path))
    auditor.tell(EVERY["start"])
    folder = tmp_path / "mammo-node-data" / "audit"
    away = folder.rename(tmp_path / "away")
    folder.write_text("a file where the folder was")
    for _ in range(3):
        auditor.tell(EVERY["received"])
    assert auditor.lost == 3
    folder.unlink()
    away.rename(folder)
    auditor.tell(EVERY["stop"])
    found = trail_of(folder)
    assert [each.event.partition(":")[0] for each in found] == [
        "Application Activity",
        "Security Alert",
        "Application Activity",
    ]
    assert "3 audit records since" in found[1].text
    assert found[1].outcome == 8
    assert verify(auditor.trail).is_whole


def test_refusals_of_one_address_are_not_told_without_end(tmp_path: Path) -> None:
    auditor = Auditor(settings(tmp_path))
    for _ in range(50):
        auditor.refused("10.6.6.6", codes.NODE_AUTHENTICATION, "no certificate")
    auditor.refused("10.7.7.7", codes.NODE_AUTHENTICATION, "no certificate")
    found = told(auditor.trail.folder, "Security Alert: Node Authentication")
    assert [each.about for each in found] == [["10.6.6.6"]] * 10 + [["10.7.7.7"]]


def test_changes_of_the_configuration_are_told_at_the_next_start(tmp_path: Path) -> None:
    def start(**more: Any) -> list[str]:
        auditor = Auditor(settings(tmp_path, **more))
        before = len(trail_of(auditor.trail.folder))
        configured.tell(auditor, settings(tmp_path, **more))
        return [f"{each.event}, {each.text}" for each in trail_of(auditor.trail.folder)[before:]]

    assert "first start with this trail" in start()[0]
    assert start() == []
    [found] = start(query={"maximum_results": 7})
    assert found.endswith("Software Configuration, configuration changed since the last start: query")
    [found] = start(callers=[{"ae_title": "PACS"}])
    assert found.endswith("Security Configuration, configuration changed since the last start: callers, query")


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_nothing_leaves_the_machine_unencrypted_unsaid(transport: str) -> None:
    syslog = {"host": "audit.example", "transport": transport}
    with pytest.raises(ConfigError, match="allow_unencrypted: true"):
        config_from({"audit": {"syslog": syslog}}, Path())
    config_from({"audit": {"syslog": {**syslog, "host": "127.0.0.1"}}}, Path())
    config_from({"audit": {"syslog": {**syslog, "allow_unencrypted": True}}}, Path())


# --- the commands


def run(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    file = tmp_path / "config.yaml"
    file.write_text("audit: {folder: audit, patients: hashed}\nstorage: {object_folder: objects}\n")
    found = CliRunner().invoke(make_app(["audit"]), ["audit", *arguments, "--config", str(file)])
    return found.exit_code, found.output


def test_verify_and_show(tmp_path: Path) -> None:
    auditor = Auditor(config_from({"audit": {"folder": "audit"}, "storage": {"object_folder": "objects"}}, tmp_path))
    for event in EVERY.values():
        auditor.tell(event)
    patient = StudyOf(study_instance_uid="1.2.9", patient_id=auditor.patient("19121212"))
    auditor.tell(events.received(auditor.here, PACS, patient))
    count = len(EVERY) + 1
    code, output = run(tmp_path, "verify")
    assert (code, f"{count} records, 1 to {count}" in output) == (0, True)
    last = auditor.trail.head()
    assert last is not None
    assert run(tmp_path, "verify", "--noted", f"{last.number}:{last.sha256}")[0] == 0
    assert run(tmp_path, "verify", "--noted", f"{last.number}:{'0' * 64}")[0] == 1
    code, output = run(tmp_path, "show", "--patient", "19121212", "--json")
    [shown] = json.loads(output)
    assert (code, Message.of(shown["message"]).about[0]) == (0, "1.2.9")
    code, output = run(tmp_path, "show", "--study", "1.2.3")
    assert "DICOM Instances Transferred" in output
    assert "minor failure" in output
    used = told(tmp_path / "audit", "Audit Log Used")[-1]
    assert used.requestor == this_user().user
    file = auditor.trail.files()[0]
    file.write_bytes(file.read_bytes().replace(b"0xA700", b"0x0000"))
    code, output = run(tmp_path, "verify", "--json")
    [fault] = json.loads(output)["faults"]
    assert (code, fault["record"], fault["line"], fault["why"][:7]) == (1, 7, 7, "altered")
    assert "BROKEN at record 7 (audit-0000000001.jsonl, line 7)" in run(tmp_path, "verify")[1]
