"""What a node at work writes to its audit trail, with dcmtk and browsers' requests at its doors."""

from __future__ import annotations

import base64
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.filebase import DicomBytesIO

from node.access.accounts import Accounts
from node.access.people import AccountRole
from node.app import Node
from node.audit import codes
from node.audit.verify import verify
from node.housekeeping import Housekeeper
from node.simulator.pacs import free_port
from tests.support import listens, require_tool, running, wait_until
from tests.support_audit import Message, trail_of
from tests.support_exams import exam, settings, view
from tests.support_network import answered, associate, connect
from tests.support_peers import sent
from tests.support_syslog import certificates
from tests.support_web import Web, path_of

STUDY = "1.2.826.0.1.3680043.10.999.91"
PASSWORD = "correct horse battery"
WHO = {"PatientID": "19121212", "PatientName": "Hansen^Kari"}


def signed(name: str, password: str = PASSWORD) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


class Alone:
    """Leads, as nobody else is there."""

    leads = True


@dataclass
class Site:
    """A node with open doors, the storescp that it may send to, and its trail since the last look."""

    node: Node
    folder: Path
    peer: int
    seen: int = 0

    @property
    def web(self) -> Web:
        return Web(self.node, self.folder)

    def news(self) -> list[Message]:
        """What was written since this was last asked."""
        found = trail_of(self.node.audit.trail.folder)
        new, self.seen = found[self.seen :], len(found)
        return new

    def dcmtk(self, tool: str, calling: str, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        command = [require_tool(tool), "-aet", calling, "-aec", "MAMMO_NODE", "127.0.0.1", str(self.node.receiver.port)]
        return subprocess.run([*command, *arguments], capture_output=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder, peer = tmp_path_factory.mktemp("site"), free_port()
    callers = [
        {"ae_title": "DCMSEND"},
        {"ae_title": "STATION", "may": ["query", "get"], "move_to": ["STORESCP"]},
        {"ae_title": "BLIND", "may": ["store"], "move_to": []},
    ]
    config = settings(
        folder,
        callers=callers,
        peers={"STORE": {"ae_title": "STORESCP", "host": "127.0.0.1", "port": peer}},
        web={"port": 0},
        access={"open": []},
        storage={
            "database_url": f"sqlite:///{folder}/node.sqlite",
            "object_folder": f"{folder}/objects",
            "minimum_free_bytes": 0,
            "retention_days": 1,
        },
    )
    node = Node(config)
    node.database.create_schema()
    Accounts(node.database).add("kari", AccountRole.VIEWER, PASSWORD)
    node.web.start()
    node.receiver.start()
    try:
        sent(exam(STUDY, **WHO), folder, node.receiver.port)
        wait_until(lambda: len(trail_of(node.audit.trail.folder)) >= 2, 20, "the association to be over")
        yield Site(node, folder, peer)
    finally:
        node.stop()
        assert verify(node.audit.trail).is_whole


def test_what_came_from_whom_and_whose_it_is(site: Site) -> None:
    begun, came = site.news()
    assert (begun.event, begun.outcome) == ("Security Alert: Node Authentication", 0)
    assert begun.who[1] == "DCMSEND"
    assert (came.event, came.requestor, came.instances) == ("DICOM Instances Transferred", "DCMSEND", 4)
    assert came.role("Source Role ID").get("NetworkAccessPointID") == "127.0.0.1"
    assert came.role("Destination Role ID").get("AlternativeUserID") == "AETITLES=MAMMO_NODE"
    assert came.about == [STUDY, site.node.audit.patient("19121212")]
    assert "19121212" not in came.about[1]


def test_who_is_not_let_in(site: Site) -> None:
    assert site.dcmtk("echoscu", "STRANGER").returncode != 0
    (alert,) = site.news()
    assert (alert.event, alert.outcome) == ("Security Alert: Node Authentication", 4)
    assert alert.who[1] == "STRANGER"
    assert alert.about == ["127.0.0.1"]
    assert "caller not allowed" in alert.text


def test_what_a_caller_may_not_do(site: Site) -> None:
    site.dcmtk("findscu", "BLIND", "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}")
    _, alert = site.news()
    assert (alert.event, alert.outcome, alert.text) == (
        "Security Alert: Use of Restricted Function",
        4,
        "not allowed to query",
    )


def test_a_query_without_what_would_name_the_patient(site: Site) -> None:
    keys = ["QueryRetrieveLevel=STUDY", "PatientName=HANSEN*", "PatientID=19121212", "StudyDate=20260101-", "StudyID"]
    site.dcmtk("findscu", "STATION", "-S", *(part for key in keys for part in ("-k", key)))
    _, query = site.news()
    assert (query.event, query.requestor, query.about) == ("Query", "STATION", ["1.2.840.10008.5.1.4.1.2.2.1"])
    asked = dcmread(DicomBytesIO(query.query), force=True)
    assert (asked.StudyDate, asked.QueryRetrieveLevel) == ("20260101-", "STUDY")
    assert asked.PatientName == ""
    assert asked.PatientID == site.node.audit.patient("19121212")


def test_a_move_tells_who_wanted_it_and_what_went(site: Site) -> None:
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}"]
    out = site.folder / "moved"
    out.mkdir()
    with running(require_tool("storescp"), "-od", out, str(site.peer)):
        wait_until(lambda: listens(site.peer), 20, "storescp to listen")
        site.dcmtk("movescu", "STATION", "-S", "-aem", "STORESCP", *keys)
    _, begun, went = site.news()
    assert (begun.event, went.event) == ("Begin Transferring DICOM Instances", "DICOM Instances Transferred")
    assert begun.requestor == went.requestor == "STATION"
    assert went.role("Destination Role ID").get("UserID") == "STORESCP"
    assert (went.outcome, begun.instances, went.instances) == (0, 4, 4)
    assert len(list(out.iterdir())) == 4

    site.dcmtk("movescu", "STATION", "-S", "-aem", "STORESCP", *keys)  # now nobody is there
    _, begun, failed = site.news()
    assert (failed.event, failed.outcome, failed.instances) == ("DICOM Instances Transferred", 4, 4)

    site.dcmtk("movescu", "BLIND", "-S", "-aem", "STORESCP", *keys)
    assert site.news()[-1].text == "not allowed to move to STORESCP"


def test_a_get_goes_to_whoever_asks(site: Site) -> None:
    out = site.folder / "got"
    out.mkdir()
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={STUDY}"]
    site.dcmtk("getscu", "STATION", "-S", "-od", str(out), *keys)
    assert len(list(out.iterdir())) == 4
    _, begun, went = site.news()
    assert (begun.event, begun.requestor) == ("Begin Transferring DICOM Instances", "STATION")
    assert (went.outcome, went.instances, went.requestor) == (0, 4, "STATION")


def test_the_web_side(site: Site) -> None:
    def ask(path: str, password: str = PASSWORD, **headers: str) -> int:
        return site.web.get(path, **signed("kari", password), **headers).status

    def told(count: int) -> list[Message]:
        """They come when the answer is out already."""
        seen = site.seen
        wait_until(lambda: len(trail_of(site.node.audit.trail.folder)) >= seen + count, 20, f"{count} more records")
        return site.news()

    assert ask("/studies?PatientName=HANSEN*&StudyDate=20260101-&limit=5") == 200
    sign_in, query = told(2)
    assert (sign_in.event, sign_in.outcome, sign_in.requestor) == ("User Authentication: Login", 0, "kari")
    assert (query.requestor, query.query) == ("kari", b"PatientName=&StudyDate=20260101-&limit=5")
    instance = path_of(exam(STUDY)[0])
    for _ in range(3):
        assert ask(f"{instance}/metadata") == 200
        assert ask(f"{instance}/frames/1") == 200
    assert ask(f"/studies/{STUDY}") == 200
    seen, taken = told(2)
    assert (seen.event, seen.requestor, seen.about[0]) == ("DICOM Instances Accessed", "kari", STUDY)
    assert (taken.event, taken.requestor) == ("DICOM Instances Transferred", "kari")
    assert ask("/studies", password="wrong") == 401
    (refused,) = told(1)
    assert (refused.event, refused.outcome, refused.requestor) == ("User Authentication: Login", 4, "unknown")
    assert ask("/studies/1.2.3") == 404
    site.web.ask("POST", "/studies", data=b"", **signed("kari"))
    (denied,) = told(1)
    assert denied.event == "Security Alert: Use of Restricted Function"
    assert denied.text == "role viewer may not POST /studies"


def test_a_study_that_retention_removes(site: Site) -> None:
    gone = f"{STUDY}.9"
    site.web.put(view(study=gone, **WHO, Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.22"))
    keeper = Housekeeper(
        site.node.database,
        site.node.store,
        site.node.orders,
        site.node.config,
        Alone(),
        auditor=site.node.audit,
    )
    assert keeper.retain(datetime.now(UTC) + timedelta(days=3)) == 1
    (deleted,) = site.news()
    assert (deleted.event, deleted.about) == (
        "DICOM Study Deleted",
        [gone, site.node.audit.patient("19121212")],
    )


def test_tls_that_fails_is_an_alert(tmp_path: Path) -> None:
    certificates(tmp_path, "node", "caller", "stranger")
    files = {"certificate_file": "node.pem", "key_file": "node.key", "client_ca_file": "caller.pem"}
    tls = {key: str(tmp_path / name) for key, name in files.items()}
    node = Node(settings(tmp_path, network={"tls": tls}))
    node.database.create_schema()
    node.receiver.start()
    try:
        for name in ("", "stranger"):
            context = ssl.create_default_context(cafile=tmp_path / "node.pem")
            context.check_hostname = False
            if name:
                context.load_cert_chain(tmp_path / f"{name}.pem", tmp_path / f"{name}.key")
            with suppress(OSError), closing(context.wrap_socket(connect(node.receiver.port))) as peer:
                peer.sendall(associate())
                answered(peer)
        wait_until(lambda: len(trail_of(node.audit.trail.folder)) == 2, 20, "two alerts")
        found = trail_of(node.audit.trail.folder)
    finally:
        node.stop()
    assert {each.event for each in found} == {f"Security Alert: {codes.NODE_AUTHENTICATION.meaning}"}
    assert [each.text for each in found] == [
        "TLS failed: PEER_DID_NOT_RETURN_A_CERTIFICATE",
        "TLS failed: CERTIFICATE_VERIFY_FAILED",
    ]
