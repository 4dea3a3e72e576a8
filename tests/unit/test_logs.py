"""What a log line holds: the event, the ids at hand, and nothing of the patient."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.valuerep import PersonName
from pynetdicom.utils import set_uid

from node import logs
from node.errors import NodeError
from node.settings import LoggingSettings

OTHER_KEYS = [
    "PatientBirthDate",
    "other_patient_ids",
    "issuer_of_patient_id",
    "AccessionNumber",
    "dataset",
    "identifier",
]
Read = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def written(tmp_path: Path) -> Iterator[Read]:
    """Logging as JSON lines to a file; gives a function that reads the lines back."""
    file = tmp_path / "node.log"
    with warnings.catch_warnings():
        logs.configure(LoggingSettings(level="debug", format="json", file=file))
        yield lambda: [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    for handler in [each for each in logging.getLogger().handlers if each.get_name() == logs.HANDLER_NAME]:
        logging.getLogger().removeHandler(handler)
        handler.close()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_an_event_is_one_json_line_with_level_time_and_logger(written: Read) -> None:
    logs.get("node.intake").info("instance stored", bytes=27_000_000)
    (line,) = written()
    assert (line["event"], line["level"], line["logger"], line["bytes"]) == (
        "instance stored",
        "info",
        "node.intake",
        27_000_000,
    )
    assert line["timestamp"].endswith("Z"), "times are UTC and say so"


def test_ids_of_association_study_and_job_are_on_every_line_within(written: Read) -> None:
    log = logs.get("node.pipeline")
    with logs.about(association=7, study_instance_uid="1.2.3"), logs.about(job="read-1.2.3-1"):
        log.info("inside")
    log.info("outside")
    inside, outside = written()
    assert (inside["association"], inside["study_instance_uid"], inside["job"]) == (7, "1.2.3", "read-1.2.3-1")
    assert not {"association", "study_instance_uid", "job"} & set(outside)


@pytest.mark.parametrize("key", ["patient", "patient_name", "PatientName", "patient_id", "PatientID", *OTHER_KEYS])
def test_a_key_that_names_the_patient_is_dropped_and_the_line_says_so(written: Read, key: str) -> None:
    logs.get("node").info("exam read", **{key: "NORDMANN^KARI"}, study_instance_uid="1.2.3")
    (line,) = written()
    assert line["dropped_keys"] == [key]
    assert "NORDMANN" not in json.dumps(line)
    assert line["study_instance_uid"] == "1.2.3"


@pytest.mark.parametrize(
    "value",
    [
        PersonName("NORDMANN^KARI"),
        [PersonName("NORDMANN^KARI")],
        {"PatientName": "NORDMANN^KARI"},
        {"x": [{"patient_id": "1"}]},
    ],
    ids=["person name", "list", "mapping", "nested"],
)
def test_a_value_that_holds_the_patient_is_dropped_whatever_its_key(written: Read, value: object) -> None:
    logs.get("node").info("exam read", harmless=value)
    (line,) = written()
    assert line["dropped_keys"] == ["harmless"]


def test_a_data_set_is_dropped_whatever_its_key(written: Read) -> None:
    ds = Dataset()
    ds.PatientName = "NORDMANN^KARI"
    logs.get("node").info("instance stored", ds=ds, element=ds["PatientName"])
    (line,) = written()
    assert line["dropped_keys"] == ["ds", "element"]


@given(st.sampled_from(["patient", "Patient", "PATIENT_"]), st.from_regex(r"[A-Za-z_]{0,12}", fullmatch=True))
def test_nothing_that_begins_with_patient_passes(prefix: str, rest: str) -> None:
    event = logs.without_patient_data(None, "info", {"event": "x", prefix + rest: "secret"})
    assert "secret" not in event.values()


def test_a_foreign_exception_is_told_by_type_and_place_not_by_its_words(written: Read) -> None:
    try:
        raise ValueError("bad value 'NORDMANN^KARI'")
    except ValueError:
        logs.get("node.dimse").exception("handler failed")
    (line,) = written()
    assert "NORDMANN" not in json.dumps(line)
    (told,) = line["error"]
    assert told.startswith("ValueError at test_logs.py:")


def test_our_own_errors_and_what_caused_them_are_told(written: Read) -> None:
    try:
        try:
            raise KeyError("NORDMANN^KARI")
        except KeyError as error:
            raise NodeError("the index has no such study") from error
    except NodeError:
        logs.get("node").exception("reading failed")
    (line,) = written()
    newest, cause = line["error"]
    assert newest.startswith("NodeError: the index has no such study at test_logs.py:")
    assert cause.startswith("KeyError at ")
    assert "NORDMANN" not in json.dumps(line)


def test_libraries_are_heard_from_warning_on_and_their_exceptions_without_words(written: Read) -> None:
    library = logging.getLogger("some_library")
    library.info("chatter")
    try:
        raise RuntimeError("NORDMANN^KARI")
    except RuntimeError:
        library.exception("failed %s times", 3)
    (line,) = written()
    assert (line["event"], line["logger"]) == ("failed 3 times", "some_library")
    assert "NORDMANN" not in json.dumps(line)


def test_a_library_that_quotes_what_a_sender_gave_for_a_uid_is_not_heard(written: Read) -> None:
    with suppress(ValueError):
        set_uid("NORDMANN^KARI", "AffectedSOPInstanceUID")
    assert written() == []


def test_less_severe_than_the_level_is_not_written(written: Read, tmp_path: Path) -> None:
    other = tmp_path / "other.log"
    logs.configure(LoggingSettings(level="warning", format="text", file=other))
    logs.get("node").info("unheard")
    logs.get("node").warning("heard", queue="PACS")
    assert written() == [], "configured again, the former file is left alone"
    text = other.read_text(encoding="utf-8")
    assert "unheard" not in text
    assert "heard" in text
    assert "queue=PACS" in text
