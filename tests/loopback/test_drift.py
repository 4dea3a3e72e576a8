"""A node whose exams shift: an alarm, no NEGATIVE from the next exam on, results go on, and a person clears it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydicom.dataset import Dataset

from ai.findings import Category, Reading, Stratum
from ai.reasons import CautionCode
from node import drift
from node.calibrations import Calibrations
from node.errors import ConfigError
from node.in_force import in_force
from storage.records import StudyState
from tests.support import wait_until
from tests.support_audit import told as audit_told
from tests.support_calibration import proposal_of
from tests.support_commands import printed
from tests.support_exams import grained
from tests.support_screening import ROOT, Screening, round_of, said, screening_config, screening_node

BEFORE, SENT = 13, 4


def low(number: int, study_date: str, **elements: object) -> list[Dataset]:
    """An exam that the shipped model finds little in."""
    return grained(round_of(number, study_date, **elements))


def command(folder: Path, *arguments: str, status: int = 0) -> str:
    """A command of `mammo-node` with the folder's config.yaml; what it printed."""
    return printed(*arguments, "--config", folder / "config.yaml", status=status)


def kept_before(screening: Screening, like: Reading, count: int) -> None:
    """The stratum's charts as after `count` exams that scored as `like` did, without sending them."""
    watch = drift.Watch(screening.node.config.reading)
    counts = in_force(screening.node.config.reading)
    for _ in range(count):
        reading = replace(like, percentile=0.0, cautions=(), calibration_version=counts.calibration.version)
        watched = watch.about(reading)
        assert watched is not None
        assert drift.moved(watched, reading, screening.node.database) == []


def calibrated(screening: Screening, stratum: Stratum, lowest: float) -> None:
    """A window of 5,000 made-up exams of this stratum, all of whose scores are above `lowest`."""
    settings = screening.node.config.reading
    model = in_force(settings).model
    scores = np.random.default_rng(1).uniform(lowest, 1, 5000)
    made = proposal_of(scores, stratum, model, based_on=in_force(settings).calibration.version)
    path = screening.folder / "proposal.json"
    path.write_text(made.model_dump_json())
    Calibrations(settings.calibration_folder).apply(path, model, by="A. Physicist", reason="a test")


def readings(screening: Screening, numbers: range) -> list[Reading]:
    """The readings of these exams in the order they were made, each with its results delivered."""
    studies = [f"{ROOT}.{number}" for number in numbers]

    def answered() -> bool:
        found = [screening.node.index.study(study) for study in studies]
        return all(each is not None and each.state is StudyState.ANSWERED for each in found)

    wait_until(answered, 240, "every exam to be answered")
    stored = [screening.node.outbox.reading(study) for study in studies]
    return [Reading.from_json(each.reading_json) for each in sorted((s for s in stored if s), key=lambda s: s.saved_at)]


def test_an_alarm_suspends_negative_until_a_person_clears_it(tmp_path: Path) -> None:
    config = screening_config(tmp_path)
    dumped = config.model_dump(mode="json", include={"node", "storage", "destinations", "reading"})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(dumped))
    with screening_node(config, tmp_path) as screening:
        first = screening.read(*low(900, "20260301", PatientID="0"))
        assert first.is_borrowed
        calibrated(screening, first.stratum, (first.score or 0) + 0.2)
        kept_before(screening, first, BEFORE)
        for number in range(901, 901 + SENT):
            screening.send(*low(number, "20260302", PatientID=str(number)))
        found = readings(screening, range(901, 901 + SENT))
        assert {each.calibration_version.partition("+")[2] for each in found} == {"site.1"}, "taken up while it runs"
        categories = [each.category for each in found]
        until = categories.index(Category.INDETERMINATE)
        assert until > 0, categories
        assert set(categories[:until]) == {Category.NEGATIVE}
        assert set(categories[until:]) == {Category.INDETERMINATE}, "from the next exam on"
        last = found[-1]
        assert last.operating_points_version == "config"
        assert [each.code for each in last.cautions] == [CautionCode.DRIFT_ALARM]
        for report in screening.reports(last.study_instance_uid):
            assert "have drifted from its reference population: alarm since" in said(report)
            assert "so not called negative" in said(report)
            assert "operating points config" in said(report)

        told = json.loads(command(tmp_path, "drift", "--json", status=1))["strata"]
        (alarmed,) = [each for each in told if each["alarms"]]
        assert alarmed["exams"] == BEFORE + SENT + 1
        assert "scores are lower than those of the reference window" in alarmed["alarms"][0]["detail"]
        week = command(tmp_path, "monitor", status=1)
        assert "ALARM, NEGATIVE is suspended: Testmaker / T1" in week
        assert f"{SENT + 1} exams: NEGATIVE {until}, INDETERMINATE {SENT - until + 1}" in week
        part = str(last.stratum)[:10]
        with pytest.raises(ConfigError, match="--reason"):
            command(tmp_path, "drift", "clear", part, "--by", "B", "--reason", " ")
        command(tmp_path, "drift", "clear", part, "--by", "B. Physicist", "--reason", "test exams of low scores")
        events = json.loads(command(tmp_path, "drift", "alarms", "--json"))["events"]
        assert (events[-1]["action"], events[-1]["by"]) == ("CLEARED", "B. Physicist")
        audited = audit_told(screening.node.config.audit.folder, "Security Alert: Software Configuration")[-1]
        assert audited.text.startswith("drift alarm cleared for Testmaker / T1")
        assert audited.text.endswith(": test exams of low scores")
        assert audited.root.xpath("ActiveParticipant/@UserName") == ["mammo-node", "B. Physicist"]
        again = screening.read(*low(990, "20260303", PatientID="990"))
        assert (again.category, again.cautions) == (Category.NEGATIVE, ())
