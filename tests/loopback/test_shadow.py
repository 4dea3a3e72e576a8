"""Another bundle reads in the shadow: compared, never sent; promoted it counts, rolled back it does not."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from ai.bundle import DEMO
from node.app import Node
from node.errors import ConfigError
from node.in_force import in_force
from node.shadow_report import LABELS, reports
from storage.shadows import Answers, Shadows
from tests.support import wait_until
from tests.support_commands import printed
from tests.support_screening import KINDS, ROOT, Screening, round_of, screening_config, screening_node


def command(folder: Path, *arguments: str, status: int = 0) -> str:
    return printed(*arguments, "--config", folder / "config.yaml", status=status)


def other_bundle(folder: Path) -> Path:
    """The demonstration's model with a calibration that puts every score into a higher band."""
    bundle = folder / "other"
    shutil.copytree(DEMO, bundle)
    calibration = json.loads((bundle / "calibration.json").read_text())
    calibration["version"] = "other-1"
    for window in calibration["windows"].values():
        window["scores"] = [score / 4 for score in window["scores"]]
    (bundle / "calibration.json").write_text(json.dumps(calibration))
    return bundle


def shadows(node: Node) -> list[Answers]:
    return list(Shadows(node.database).answers())


def kept_of(screening: Screening, study: str) -> tuple[set[str], int, int]:
    """Kinds of the study's results, its deliveries, and what searches find of it."""
    node = screening.node
    kinds = {each.kind for each in node.outbox.results(study)}
    return kinds, len(node.outbox.deliveries(study)), len(list((screening.folder / "out").rglob("*.dcm")))


def test_a_shadow_reads_silently_and_is_promoted_and_rolled_back(tmp_path: Path) -> None:
    bundle = other_bundle(tmp_path)
    alone = screening_config(tmp_path)
    config = alone.model_copy(update={"shadow": alone.shadow.model_copy(update={"bundles": (str(bundle),)})})
    dumped = config.model_dump(mode="json", include={"node", "storage", "destinations", "reading", "shadow"})
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(dumped))
    with screening_node(config, tmp_path) as screening:
        live = screening.read(*round_of(700, "20260301", PatientID="0"))
        assert live.calibration_version.startswith("synthetic")
        wait_until(lambda: shadows(screening.node), 120, "the shadow's reading")
        (answers,) = shadows(screening.node)
        assert (answers.live_band, answers.live_percentile) == (live.band, live.percentile)
        assert "other-1" in answers.shadow
        assert (answers.percentile or 0) > (answers.live_percentile or 0)
        kinds, deliveries, files = kept_of(screening, f"{ROOT}.700")
        assert kinds == set(KINDS)
        assert deliveries == files == len(KINDS), "nothing of the shadow's is sent"
        events = " ".join(event.text for event in screening.node.index.events(f"{ROOT}.700"))
        assert "shadow" not in events

        told = json.loads(command(tmp_path, "shadow", "--json"))
        assert told["shadows"][0]["exams"] == 1
        row, column = str(live.band), str(answers.band)
        assert told["shadows"][0]["matrix"][LABELS.index(row)][LABELS.index(column)] == 1
        command(tmp_path, "shadow", "promote", "--by", "A. Lead", "--reason", "agreed on 1,000 exams")
        promoted = screening.read(*round_of(701, "20260302", PatientID="1"))
        assert promoted.calibration_version == "other-1", "taken up while the node runs"
        command(tmp_path, "shadow", "rollback", "--by", "A. Lead", "--reason", "second thoughts")
        assert in_force(config.reading).calibration.version == live.calibration_version
        with pytest.raises(ConfigError, match="nothing to roll back"):
            command(tmp_path, "shadow", "rollback", "--by", "A", "--reason", "again")
        history = (config.reading.calibration_folder / "history.jsonl").read_text().splitlines()
        assert [json.loads(line)["action"] for line in history] == ["promote", "rollback"]


def answers_of(number: int, live: int | None, other: int | None) -> Answers:
    def category(band: int | None) -> str:
        if band is None:
            return "NOT_READ"
        return "NEGATIVE" if band <= 7 else "SUSPICIOUS" if band == 10 else "INDETERMINATE"

    return Answers(
        study_instance_uid=f"{ROOT}.{number}",
        revision=1,
        shadow="m 2",
        saved_at=datetime.now(UTC),
        live_category=category(live),
        live_band=live,
        live_percentile=None,
        category=category(other),
        band=other,
        percentile=None,
    )


def test_the_report_counts_bands_agreement_and_what_would_change() -> None:
    bands = [(3, 3), (7, 8), (8, 7), (10, 10), (9, 10), (5, None)]
    (report,) = reports([answers_of(number, live, other) for number, (live, other) in enumerate(bands)])
    assert (report.exams, sum(map(sum, report.matrix))) == (6, 6)
    assert report.matrix[4][LABELS.index("not read")] == 1
    assert report.same_band == pytest.approx(2 / 5)
    assert report.within_one_band == 1
    found = {each.what: (each.live, each.shadow, each.gained, each.lost) for each in report.changes}
    assert found == {"ruled out": (3, 2, 1, 2), "flagged": (1, 2, 1, 0), "not read": (0, 1, 1, 0)}
