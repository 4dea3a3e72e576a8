"""A node whose strategy looks at priors reads them too; they never cost the exam at hand."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from ai.findings import Reading
from tests.support_screening import ROOT, other_evidence, round_of, said, screening_config, screening_node


def test_with_priors_reads_the_prior_too_and_an_attempt_that_failed_goes_on_without(tmp_path: Path) -> None:
    failures: list[str] = []

    def fail_once(point: str) -> None:
        if point == "read: done" and failures == ["wanted"]:
            failures.append("failed")
            raise RuntimeError("as if the reader had died of the prior")

    with screening_node(screening_config(tmp_path, strategy="with_priors"), tmp_path, fail_once) as comparing:
        before = comparing.read(*round_of(301, "20240301", PatientID="C"))
        now = comparing.read(*round_of(330, "20260302", PatientID="C"))
        assert now.prior is not None
        assert now.prior.study_instance_uid == f"{ROOT}.301"
        assert [each.prior_probability for each in now.prior.breasts] == [each.probability for each in before.breasts]
        for report in comparing.reports(f"{ROOT}.330"):
            assert "Since 2024-03-01, both read by this model" in said(report)
            assert set(other_evidence(report)) == {f"{ROOT}.301"}
        failures.append("wanted")
        again = comparing.read(*round_of(350, "20260303", PatientID="C"))
        assert failures == ["wanted", "failed"]
        assert again.score is not None
        assert again.prior is None
        for report in comparing.reports(f"{ROOT}.350"):
            assert "Since 2026-03-02" in said(report), "the two readings are compared instead"
    read_again(tmp_path, now)


def read_again(folder: Path, before: Reading) -> None:
    """`mammo-node read` finds the prior among the files it is given, and answers as the node did."""
    config = screening_config(folder, strategy="with_priors").model_dump(mode="json", include={"reading"})
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    files = [*folder.glob(f"{ROOT}.330.*.dcm"), *folder.glob(f"{ROOT}.301.*.dcm")]
    assert len(files) == 8
    command = [sys.executable, "-m", "node.cli", "read", "--json", *map(str, files)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=True)
    answers = {each["study_instance_uid"]: each["reading"] for each in json.loads(done.stdout)}
    again = answers[f"{ROOT}.330"]
    assert before.prior is not None
    assert (again["band"], again["score"]) == (before.band, pytest.approx(before.score, abs=1e-4))
    assert again["prior"]["study_instance_uid"] == f"{ROOT}.301"
    assert again["prior"]["score"] == pytest.approx(before.prior.score, abs=1e-4)
    assert answers[f"{ROOT}.301"]["prior"] is None
