"""config.yaml: what is refused, and in which words."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from node import results
from node.config import Config, config_from, load_config
from node.errors import ConfigError
from node.settings import NodeSettings
from tests.support import REPOSITORY

HERE = Path("config-folder")
EXAMPLE = REPOSITORY / "config.yaml"
AE_TITLE = "1 to 16 printable ASCII characters, no backslash, no space at either end"
PEERS = {"PACS": {"ae_title": "PACS", "host": "127.0.0.1", "port": 4242}}


def faults(**settings: Any) -> list[str]:
    """The lines of the error that these settings raise."""
    with pytest.raises(ConfigError) as caught:
        config_from(settings, HERE)
    return str(caught.value).splitlines()


def destination(**changes: Any) -> dict[str, Any]:
    return {"PACS": {"type": "folder", "folder": "out", "results": ["summary_sc"], **changes}}


# --- what works


def test_without_a_file_the_node_is_on_loopback_for_callers_on_this_machine() -> None:
    config = load_config(None)
    assert (config.node.ae_title, config.node.host, config.node.port) == ("MAMMO_NODE", "127.0.0.1", 11112)
    assert config.admits("ANYBODY", "127.0.0.1")
    assert not config.admits("ANYBODY", "10.1.2.3")


def test_without_a_file_mammograms_are_read_and_the_results_go_to_a_folder() -> None:
    config = load_config(None)
    rule, companions = config.routing
    assert (rule.action, rule.when.modality) == ("read", ("MG",))
    assert companions.action == "store"
    assert config.destinations_of(rule) == ("results",)
    assert config.destinations["results"].folder == Path.cwd() / "mammo-node-data" / "results"


def test_an_empty_file_and_an_empty_section_are_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text("peers:\nnode:\n")
    assert load_config(file).node == NodeSettings()


def test_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(
        textwrap.dedent("""
            storage: {object_folder: objects}
            logging: {file: /var/log/node.log}
            reading: {bundles: [demo, bundles/ours, ours.zip]}
        """)
    )
    config = load_config(file)
    assert config.storage.object_folder == tmp_path / "objects"
    assert config.storage.database_url == f"sqlite:///{tmp_path}/mammo-node-data/node.sqlite"
    assert config.logging.file == Path("/var/log/node.log")
    assert config.reading.bundles == ("demo", f"{tmp_path}/bundles/ours", f"{tmp_path}/ours.zip")


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "postgresql+psycopg://node@db/node"])
def test_a_database_that_is_no_file_is_left_as_it_is(url: str) -> None:
    assert config_from({"storage": {"database_url": url}}, HERE).storage.database_url == url


def test_a_result_is_a_name_or_a_mapping_with_its_options_beside_it() -> None:
    kind = "measurement_sr"
    config = config_from({"destinations": destination(results=[kind, {"kind": kind}])}, HERE)
    first, second = config.destinations["PACS"].results
    assert first == second
    assert (first.kind, first.options) == (kind, {})


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(ValidationError):
        load_config(None).node.port = 104  # type: ignore[misc]


def test_the_password_of_the_database_is_not_in_the_settings_text() -> None:
    config = config_from({"storage": {"database_url": "postgresql+psycopg://node:secret@db/node"}}, HERE)
    assert "secret" not in repr(config)
    assert "secret" not in str(config)


# --- what is refused, and how it is said


def test_an_unknown_key_is_named_with_what_was_probably_meant() -> None:
    assert faults(completeness={"quiet": 5}) == [
        "completeness.quiet: unknown key; did you mean quiet_s? allowed: standard_views_grace_s, quiet_s"
    ]


def test_an_unknown_key_like_no_other_is_told_the_allowed_ones() -> None:
    assert faults(completeness={"xyz": 5}) == [
        "completeness.xyz: unknown key; allowed: standard_views_grace_s, quiet_s"
    ]


def test_an_unknown_key_deep_in_lists_and_mappings_is_found() -> None:
    assert faults(peers={"PACS": {**PEERS["PACS"], "prt": 1}})[0].startswith(
        "peers.PACS.prt: unknown key; did you mean port? allowed: ae_title, host, port, "
    )
    assert faults(routing=[{"name": "a", "when": {"modalty": "MG"}}])[0].startswith(
        "routing.0.when.modalty: unknown key; did you mean modality? allowed: calling_ae_title, "
    )


@pytest.mark.parametrize("port", [-1, 65536, "DICOM"])
def test_a_port_out_of_range(port: object) -> None:
    assert faults(node={"port": port}) == [
        f"node.port: value {port!r} is not allowed; allowed: an integer from 1 to 65535, or 0 for any free port"
    ]


@pytest.mark.parametrize("title", ["", " ", "SEVENTEEN_LETTERS", "BACK\\SLASH", "ÅSE", " LEADING", "TAB\t"])
def test_an_ae_title_outside_of_ps35(title: str) -> None:
    assert faults(node={"ae_title": title}) == [f"node.ae_title: value {title!r} is not allowed; allowed: {AE_TITLE}"]


def test_a_word_that_yaml_reads_as_false() -> None:
    assert faults(node={"ae_title": False}) == [
        f"node.ae_title: value false is not allowed; allowed: {AE_TITLE}; "
        "YAML reads words like NO and ON as true or false unless they stand in quotes"
    ]


def test_a_missing_key() -> None:
    assert faults(peers={"PACS": {"ae_title": "PACS", "host": "pacs"}}) == [
        "peers.PACS.port: a value is required; allowed: an integer from 1 to 65535"
    ]


def test_a_name_with_a_space() -> None:
    assert faults(peers={"MY PACS": PEERS["PACS"]}) == [
        "peers.MY PACS: is not allowed as a name; "
        "allowed: letters, digits, '_', '-' and '.', at most 64, beginning with a letter or digit"
    ]


def test_an_unknown_peer_is_answered_with_the_known_ones() -> None:
    changes = destination(type="dicom_store", peer="PASC")
    assert faults(peers=PEERS, destinations=changes) == [
        "destinations.PACS.peer: value 'PASC' is not allowed; allowed: PACS"
    ]
    assert faults(destinations=changes) == [
        "destinations.PACS.peer: value 'PASC' is not allowed; allowed: a name under peers; there is none"
    ]


def test_a_destination_without_what_its_type_needs() -> None:
    assert faults(peers=PEERS, destinations=destination(type="dicom_store")) == [
        "destinations.PACS.peer: value null is not allowed; allowed: PACS"
    ]
    assert faults(destinations=destination(folder=None)) == [
        "destinations.PACS.folder: value null is not allowed; allowed: a path"
    ]


def test_an_unknown_destination_type_is_answered_with_the_offered_ones() -> None:
    assert faults(destinations=destination(type="fax")) == [
        "destinations.PACS.type: value 'fax' is not allowed; "
        "allowed: dicom_store, dicomweb_store, fhir, folder, hl7_mllp"
    ]


def test_an_unknown_result_is_answered_with_the_offered_ones() -> None:
    offered = ", ".join(results.offered())
    assert faults(destinations=destination(results=["hologram"])) == [
        f"destinations.PACS.results.0.kind: value 'hologram' is not allowed; allowed: {offered}"
    ]


@pytest.mark.parametrize("kind", results.offered())
def test_an_unknown_option_of_a_result(kind: str) -> None:
    (line,) = faults(destinations=destination(results=["summary_sc", {"kind": kind, "no_such_option": 1}]))
    assert line.startswith("destinations.PACS.results.1.no_such_option: unknown key; ")


def test_a_destination_without_results() -> None:
    offered = ", ".join(results.offered())
    made = destination()
    del made["PACS"]["results"]
    assert faults(destinations=made) == [
        f"destinations.PACS.results: a value is required; allowed: {offered}; [] where rules only forward there"
    ]


def test_a_first_retry_later_than_the_last() -> None:
    assert faults(destinations=destination(first_retry_s=700)) == [
        "destinations.PACS.first_retry_s: value 700.0 is not allowed; allowed: at most max_retry_s, 600"
    ]


def test_a_rule_that_reads_for_nobody() -> None:
    why = "allowed: at least one destination: a result that goes nowhere is answered by nobody"
    assert faults(destinations={}) == [f"routing.0.destinations: value ['*'] is not allowed; {why}"]
    assert faults(routing=[{"name": "all", "destinations": []}]) == [
        f"routing.0.destinations: value [] is not allowed; {why}"
    ]


def test_a_rule_whose_results_may_all_be_silent() -> None:
    """A negative exam has no mark, an unread one no overlay: a PACS that gets nothing cannot tell which it was."""
    quiet = destination(results=["overlay_sc", "key_objects"])
    (said,) = faults(destinations=quiet)
    assert said.startswith(
        "routing.0.destinations: value ['*'] is not allowed; allowed: destinations of which one gets"
    )
    assert said.endswith(": mammography_cad_sr, measurement_sr, summary_sc")
    other = {**quiet, "archive": destination()["PACS"]}
    assert set(config_from({"destinations": other}, HERE).destinations) == {"PACS", "archive"}


def test_a_rule_with_an_unknown_destination() -> None:
    assert faults(routing=[{"name": "all", "destinations": "PASC"}]) == [
        'routing.0.destinations: value \'PASC\' is not allowed; allowed: results, "*" for all, or "@sender"'
    ]


def test_two_rules_of_one_name() -> None:
    assert faults(routing=[{"name": "all"}, {"name": "all", "action": "store"}]) == [
        "routing.1.name: value 'all' is not allowed; allowed: a name that no other rule has"
    ]


def test_an_unknown_action() -> None:
    assert faults(routing=[{"name": "all", "action": "raed"}]) == [
        "routing.0.action: value 'raed' is not allowed; allowed: read, store, refuse"
    ]


def test_empty_lists_that_would_read_nothing() -> None:
    assert faults(routing=[], reading={"bundles": []}) == [
        "routing: value [] is not allowed; allowed: at least one rule",
        "reading.bundles: value [] is not allowed; allowed: at least one bundle",
    ]


def test_operating_points_in_the_wrong_order() -> None:
    points = {"rule_out_percentile": 97, "flag_percentile": 97}
    assert faults(reading={"operating_points": points}) == [
        "reading.operating_points.rule_out_percentile: value 97.0 is not allowed; "
        "allowed: less than flag_percentile, 97"
    ]


def test_every_fault_has_its_line() -> None:
    assert len(faults(node={"port": -1, "ae_title": ""}, reading={"device": "tpu"}, nod={})) == 4


def test_a_fault_does_not_tell_a_password() -> None:
    (line,) = faults(storage={"database_url": ["postgresql://node:secret@db/node"]})
    assert "secret" not in line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("node: {port: 1\n", "line 2: not valid YAML: "),
        ("node: {port: 1, port: 2}\n", "line 1: not valid YAML: key 'port' is given twice"),
        ("- node\n", "value ['node'] is not allowed; allowed: a mapping of settings"),
        ("node: !!python/object/apply:os.getcwd []\n", "line 1: not valid YAML: could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_settings_names_the_file_and_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    assert str(caught.value).startswith(f"{file}: {words}")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        load_config(tmp_path / "none.yaml")


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10) | st.integers(), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from([*Config.model_fields, "other"]), anything, max_size=4))
def test_whatever_the_file_holds_it_loads_or_is_refused_in_lines(settings: dict[str, Any]) -> None:
    said = ""
    try:
        config_from(settings, HERE)
    except ConfigError as error:
        said = str(error)
    assert [line for line in said.splitlines() if ": " not in line or "typing." in line] == []
