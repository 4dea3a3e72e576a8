"""Receivers, readers and senders on hosts of their own: one is cut off and one dies under load, and nothing is lost."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import yaml
from sqlalchemy import text

from node.simulator.pacs import free_port, orthanc_configuration
from storage.database import Database
from storage.index import Index
from storage.records import StudyState
from storage.schema import make_engine
from storage.workers import Workers
from tests.support import REPOSITORY, Process, require_tool, running, wait_until
from tests.support_exams import STUDY, as_file, exam
from tests.support_hosts import Host, hosts
from tests.support_postgres import Postgres, postgres

KINDS = ("mammography_cad_sr", "measurement_sr", "summary_sc")
BEFORE, AFTER = 6, 3
TAKEN_OVER_WITHIN_S = 120
_HELD = """
import json, sys, urllib.request
def get(path):
    with urllib.request.urlopen("http://127.0.0.1:" + sys.argv[1] + path, timeout=30) as answer:
        return json.load(answer)
tags = [get(f"/instances/{each}/simplified-tags") for each in get("/instances")]
print(json.dumps([(each["StudyInstanceUID"], each["SOPClassUID"], each["SOPInstanceUID"]) for each in tags]))
"""


def write_config(folder: Path, host: Host, database: str, pacs: tuple[Host, int]) -> Path:
    settings = {
        "node": {"host": host.address, "port": 11112, "allow_non_loopback": True},
        "callers": [{"ae_title": "MODALITY"}],
        "peers": {"PACS": {"ae_title": "ORTHANC", "host": pacs[0].address, "port": pacs[1]}},
        "destinations": {
            "pacs": {"peer": "PACS", "results": list(KINDS), "first_retry_s": 0.2, "max_retry_s": 1, "concurrency": 2}
        },
        "completeness": {"quiet_s": 3, "standard_views_grace_s": 0.1},
        "storage": {"database_url": database, "object_folder": str(folder / "objects"), "minimum_free_bytes": 0},
        "pipeline": {"heartbeat_s": 1, "takeover_s": 4},
        "reading": {"threads": 1},
    }
    path = folder / f"{host.name}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


class Modality:
    """Sends exams from its host, each until it is taken: to one receiver, and when that fails to the other."""

    def __init__(self, host: Host, folder: Path, receivers: tuple[Host, Host]) -> None:
        self.host, self.folder, self.receivers = host, folder, receivers
        self.sent: list[str] = []

    def send(self, numbers: range) -> None:
        for number in numbers:
            study = f"{STUDY}.{number}"
            files = [self.folder / f"{dataset.SOPInstanceUID}.dcm" for dataset in exam(study)]
            for path, dataset in zip(files, exam(study), strict=True):
                path.write_bytes(as_file(dataset))
            turn = number
            while not self._taken(files, self.receivers[turn % 2]):
                turn += 1
            self.sent.append(study)

    def _taken(self, files: list[Path], receiver: Host) -> bool:
        options = ["-aet", "MODALITY", "-aec", "MAMMO_NODE", "-to", "3", "-ta", "5", "-td", "5"]
        command = [*self.host.prefix, require_tool("storescu"), *options, receiver.address, "11112", *map(str, files)]
        return subprocess.run(command, capture_output=True, check=False, timeout=90).returncode == 0


def slot_of(process: Process) -> str:
    found = re.search(r"slot=(\S+)", process.wait_for_line("at work"))
    assert found is not None
    return found.group(1).strip("'\"")


def has_work(database: Database, slot: str) -> bool:
    """Whether the engine has given a worker something that is not finished."""
    query = text("SELECT count(*) FROM dbos.workflow_status WHERE status = 'PENDING' AND executor_id = :slot")
    with database.engine.connect() as connection:
        return bool(connection.scalar(query, {"slot": slot}))


def upgrade(config: Path) -> None:
    command = [sys.executable, "-m", "node.cli", "database", "upgrade", "--config", config]
    subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=REPOSITORY)


def kill(process: Process) -> None:
    """The whole host's programs at once."""
    os.killpg(process.popen.pid, signal.SIGKILL)


def test_a_host_cut_off_and_a_host_killed_under_load_lose_and_double_nothing(tmp_path: Path) -> None:
    names = ("core", "modality", "front1", "front2", "reader1", "reader2")
    with ExitStack() as stack:
        at = stack.enter_context(hosts(*names))
        server: Postgres = stack.enter_context(postgres(tmp_path, host=at["core"].address, prefix=at["core"].prefix))
        url = server.new_database("node")
        local = tmp_path / "local.yaml"
        local.write_text(yaml.safe_dump({"storage": {"database_url": server.local_url("node"), "object_folder": "o"}}))
        upgrade(local)
        port, http = free_port(), free_port()
        open_to_all = {"DicomCheckModalityHost": False}
        (tmp_path / "orthanc.json").write_text(json.dumps(orthanc_configuration(tmp_path, port, http) | open_to_all))
        orthanc = [*at["core"].prefix, require_tool("Orthanc"), tmp_path / "orthanc.json"]
        stack.enter_context(running(*orthanc, until="Orthanc has started"))
        configs = {name: write_config(tmp_path, at[name], url, (at["core"], port)) for name in names[2:]}
        readers = [stack.enter_context(at[name].serve(configs[name], "read")) for name in ("reader1", "reader2")]
        front = [stack.enter_context(at[name].serve(configs[name], "receive", "send")) for name in ("front1", "front2")]
        database = Database(make_engine(server.local_url("node")))
        stack.callback(database.engine.dispose)
        index, doomed = Index(database), slot_of(readers[0])
        modality = Modality(at["modality"], tmp_path, (at["front1"], at["front2"]))

        sending = threading.Thread(target=modality.send, args=(range(BEFORE + AFTER),))
        sending.start()
        wait_until(lambda: len(modality.sent) >= BEFORE, 60, "exams to be sent")
        wait_until(lambda: has_work(database, doomed), 60, f"{doomed} to be at an exam")
        kill(readers[0])
        at["front1"].cut_off()
        since = time.monotonic()
        sending.join(120)
        assert not sending.is_alive(), "the sender is stuck"
        wait_until(
            lambda: len(index.studies([StudyState.ANSWERED])) == BEFORE + AFTER,
            TAKEN_OVER_WITHIN_S,
            f"every exam to be answered by those that are left:\n{front[1].output}\n{readers[1].output}",
        )
        taken_s = time.monotonic() - since

        at["front1"].join()
        cut = slot_of(front[0])

        def beats() -> bool:
            return any(each.slot == cut and each.silent_s < 3 for each in Workers(database).all())

        wait_until(beats, 60, f"the host that was cut off to be back:\n{front[0].output}")
        held = json.loads(at["core"].python(_HELD, str(http)))

    objects = Counter((study, sop_class) for study, sop_class, _ in held)
    lost = (BEFORE + AFTER) * len(KINDS) - len(objects)
    doubled = sum(objects.values()) - len(objects)
    print(f"exams {BEFORE + AFTER}, taken over in {taken_s:.1f} s, lost {lost}, doubled {doubled}")
    assert (lost, doubled) == (0, 0)
    assert taken_s < TAKEN_OVER_WITHIN_S
    took = [line for process in (*front, *readers) for line in process.lines if "took over" in line]
    living = [slot_of(front[1]), slot_of(readers[1])]
    assert any(doomed in line for line in took), "nobody took over the killed reader's exam"
    assert not any(f"silent={slot}" in line for slot in living for line in took), "a living worker's work was taken"
