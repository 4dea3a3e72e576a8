"""The command line without a node: what it says, refuses and ends with."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from pydicom import dcmread

from node import commands
from tests.support import shared_data

BASE = {
    "node": {"port": 0},
    "storage": {"database_url": "sqlite:///node.sqlite", "object_folder": "objects", "minimum_free_bytes": 0},
    "destinations": {"results": {"type": "folder", "folder": "results", "results": ["measurement_sr"]}},
    "reading": {"threads": 1},
}


def run(*arguments: object, cwd: Path, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
    """`mammo-node` as a process of its own, in the folder `cwd`."""
    return subprocess.run(
        [sys.executable, "-m", "node.cli", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def config(folder: Path, **sections: object) -> Path:
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**BASE, **sections}))
    return path


def test_version_and_help(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout.strip() == f"mammo-node {version('mammo-node')}"
    told = run("--help", cwd=tmp_path).stdout
    for name, sentence in commands.offered().items():
        assert f"  {name} " in told
        assert sentence.endswith("."), f"{name} has no sentence"


def test_help_loads_no_command() -> None:
    """What makes it fast: no command and none of the large libraries is imported for it."""
    code = (
        "import sys; sys.argv = ['mammo-node', '--help']\n"
        "from node.cli import main\n"
        "try:\n main()\nexcept SystemExit: pass\n"
        "print(sorted({'torch', 'pynetdicom', 'highdicom', 'sqlalchemy', 'dbos'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.stderr.strip() == "[]"


def test_no_command_but_train_imports_torch_into_its_process() -> None:
    """Commands are to start fast, and the node must not die of a model; to train is to use torch."""
    code = (
        "import sys\nfrom node import commands\n"
        "for name in set(commands.offered()) - {'train'}: commands.load(name)\n"
        "assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stderr


def test_an_unknown_command_or_option_is_a_usage_error(tmp_path: Path) -> None:
    done = run("statsu", cwd=tmp_path)
    assert (done.returncode, "status" in done.stderr) == (2, True), "it names the command that was meant"
    assert run("status", "--nonsense", cwd=tmp_path).returncode == 2


@pytest.mark.parametrize("command", [["status"], ["serve"], ["send", ".", "--to", "PACS"]])
def test_a_fault_of_the_configuration_stops_every_command_and_is_told_by_its_line(
    tmp_path: Path, command: list[str]
) -> None:
    path = config(tmp_path, node={"prot": 104})
    done = run(*command, "--config", path, cwd=tmp_path)
    assert done.returncode == 2
    assert "node.prot" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_configuration_file_is_told(tmp_path: Path) -> None:
    done = run("status", "--config", "nowhere.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "nowhere.yaml: there is no such file" in done.stderr


def test_config_yaml_of_the_working_folder_is_used_when_none_is_named(tmp_path: Path) -> None:
    config(tmp_path, destinations={"elsewhere": BASE["destinations"]["results"]})  # type: ignore[index]
    (line,) = json.loads(run("status", "--json", cwd=tmp_path).stdout)["destinations"]
    assert line["destination"] == "elsewhere"


def test_status_before_any_node_has_run(tmp_path: Path) -> None:
    done = run("status", "--json", "--config", config(tmp_path), cwd=tmp_path)
    told = json.loads(done.stdout)
    assert (done.returncode, told["running"], told["states"], told["attention"]) == (0, False, [], [])
    assert not (tmp_path / "node.sqlite").exists(), "looking makes nothing"


def test_exams_before_any_node_has_run_says_what_to_do(tmp_path: Path) -> None:
    done = run("exams", "--config", config(tmp_path), cwd=tmp_path)
    assert done.returncode == 1
    assert "mammo-node serve" in done.stderr


def test_status_tells_of_a_full_disk_first(tmp_path: Path) -> None:
    path = config(tmp_path, storage={**BASE["storage"], "minimum_free_bytes": 10**18})  # type: ignore[dict-item]
    done = run("status", "--config", path, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("NEEDS A PERSON: the disk is below storage.minimum_free_bytes")


def test_a_database_that_is_none_is_told_in_words(tmp_path: Path) -> None:
    path = config(tmp_path)
    (tmp_path / "node.sqlite").write_bytes(b"not a database, though long enough to look like one" * 20)
    done = run("status", "--config", path, cwd=tmp_path)
    assert done.returncode == 1
    assert "storage.database_url" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_stops_the_start_with_words(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--config", config(tmp_path, node={"port": port}), cwd=tmp_path)
    assert done.returncode == 2
    assert f"node.port: cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "choose another port" in done.stderr


def test_check_finds_what_is_wrong_and_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        nobody = socket.socket()
        nobody.bind(("127.0.0.1", 0))
        path = config(
            tmp_path,
            node={"port": port},
            web={"port": port},
            peers={"PACS": {"ae_title": "PACS", "host": "127.0.0.1", "port": nobody.getsockname()[1]}},
            storage={**BASE["storage"], "minimum_free_bytes": 10**18},  # type: ignore[dict-item]
            reading={"bundles": ["./no-such-bundle"]},
        )
        done = run("check", "--json", "--config", path, cwd=tmp_path)
        nobody.close()
    found = {each["what"]: each for each in json.loads(done.stdout)}
    assert done.returncode == 1
    wrong = [what for what, each in found.items() if not each["ok"]]
    assert wrong == ["address", "web address", "disk", "peer PACS", "models"]
    assert all(found[what]["advice"] for what in wrong)
    assert "no-such-bundle" in found["models"]["told"]


def test_send_and_echo_name_the_peers_there_are(tmp_path: Path) -> None:
    path = config(tmp_path, peers={"PACS": {"ae_title": "PACS", "host": "127.0.0.1", "port": 1}})
    done = run("echo", "PCAS", "--config", path, cwd=tmp_path)
    assert done.returncode == 2
    assert "peers: PACS" in done.stderr
    down = run("echo", "PACS", "--json", "--config", path, cwd=tmp_path)
    assert down.returncode == 1
    assert json.loads(down.stdout)["ok"] is False
    assert run("send", "nowhere", "--to", "PACS", "--config", path, cwd=tmp_path).returncode == 2


def test_requeue_wants_a_study_or_all(tmp_path: Path) -> None:
    for arguments in ([], ["1.2.3", "--all-undelivered"]):
        done = run("requeue", *arguments, "--config", config(tmp_path), cwd=tmp_path)
        assert done.returncode == 2
        assert "--all-undelivered" in done.stderr


def test_simulated_exams_are_what_was_asked_for_and_read_tells_each(tmp_path: Path) -> None:
    """One exam with a mass and one with a view missing, read without any network: an answer for each."""
    quick = ["--pitch-mm", "0.2", "--out", tmp_path / "exams"]
    mass = ["--lesion", "spiculated_mass", "--side", "L", "--transfer-syntax", "jpeg-ls", "--patient-name", "Å^Ø"]
    done = run("simulate-exam", "--seed", 3, *mass, *quick, "--json", cwd=tmp_path)
    (made,) = json.loads(done.stdout)
    assert (made["truth"], len(made["images"])) == ("cancer L", 4)
    truth = json.loads((tmp_path / "exams" / "exam-3" / "truth.json").read_text())
    assert [each["view"] for each in truth["images"] if each["lesions"]] == ["L CC", "L MLO"]
    image = dcmread(made["images"][0]["path"], stop_before_pixels=True)
    assert (str(image.PatientName), image.file_meta.TransferSyntaxUID.name) == (
        "Å^Ø",
        "JPEG-LS Lossless Image Compression",
    )
    run("simulate-exam", "--seed", 4, "--omit", "L-MLO", *quick, cwd=tmp_path)

    path = config(tmp_path)
    both = run("read", tmp_path / "exams", "--json", "--config", path, cwd=tmp_path)
    assert both.returncode == 1, "an exam that was not read is not passed over"
    told = {each["study_instance_uid"]: each for each in json.loads(both.stdout)}
    assert len(told) == 2
    whole = told.pop(truth["study_instance_uid"])["reading"]
    assert whole["category"] in ("NEGATIVE", "INDETERMINATE", "SUSPICIOUS")
    assert (len(whole["breasts"]), len(whole["views"]), len(whole["inputs"])) == (2, 4, 4)
    assert {"decode", "network"} <= set(whole["timings_s"])
    (short,) = told.values()
    assert (short["read"], short["reading"]["category"]) == (False, "NOT_READ")
    assert [each["code"] for each in short["reading"]["reasons"]] == ["VIEWS_MISSING"]

    alone = run("read", tmp_path / "exams" / "exam-3", "--config", path, cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr
    assert "input L MLO: pixels sha256" in alone.stdout


def test_simulate_exam_names_what_there_is(tmp_path: Path) -> None:
    for option in ("--vendor", "--scenario"):
        done = run("simulate-exam", "--out", tmp_path, option, "nonsense", cwd=tmp_path)
        assert done.returncode == 2
        assert f"{option} nonsense: there is" in done.stderr


def test_model_list_tells_the_shipped_bundle_and_import_refuses_another_file(tmp_path: Path) -> None:
    listed = json.loads(run("model", "list", "--json", cwd=tmp_path).stdout)
    assert {each["card"]["bundle"] for each in listed} >= {"demo"}
    assert all(each["card"]["whole"] for each in listed)
    other = tmp_path / "model.p"
    other.write_bytes(b"something else")
    done = run("model", "import", "nyu-density", other, "--out", tmp_path / "bundle", cwd=tmp_path)
    assert done.returncode == 2
    assert "not the published" in done.stderr
    assert not (tmp_path / "bundle").exists()


def test_the_published_density_network_becomes_a_bundle_that_serves(tmp_path: Path) -> None:
    file = shared_data("density") / "histogram_model.p"
    done = run("model", "import", "nyu-density", file, "--out", "bundles/density", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    path = config(tmp_path, reading={"bundles": ["demo", "./bundles/density"], "threads": 1})
    listed = json.loads(run("model", "list", "--json", "--config", path, cwd=tmp_path).stdout)
    assert [(each["card"]["task"], each["configured"]) for each in listed] == [
        ("detection", True),
        ("composition", True),
    ]


def test_the_demonstration_does_not_empty_a_folder_it_did_not_make(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("precious")
    done = run("demo", "--out", "mine", "--exams", 1, cwd=tmp_path)
    assert done.returncode == 2
    assert "was not made by a demonstration" in done.stderr
    assert (tmp_path / "mine" / "letter.txt").read_text() == "precious"
