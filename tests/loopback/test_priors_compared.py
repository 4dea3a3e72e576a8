"""A node whose strategy looks at priors reads them too; they never cost the exam at hand."""

from __future__ import annotations

from pathlib import Path

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
