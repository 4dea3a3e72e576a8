"""Two rounds of one woman go through a node: the second's results tell the change since the first, and only hers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ai.exam import ImageLaterality
from ai.findings import Reading
from node.results._text import percent
from tests.support_screening import ROOT, Screening, other_evidence, round_of, said, screening_config, screening_node


@pytest.fixture(scope="module")
def screening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Screening]:
    folder = tmp_path_factory.mktemp("screening")
    with screening_node(screening_config(folder), folder) as running:
        yield running


def scores(reading: Reading) -> dict[ImageLaterality, str]:
    return {breast.image_laterality: percent(breast.probability) for breast in reading.breasts}


def test_the_second_rounds_results_show_the_change_and_name_the_prior(screening: Screening) -> None:
    before = screening.read(*round_of(101, "20240301", PatientID="A"))
    now = screening.read(*round_of(130, "20260302", PatientID="A"))
    then, after = scores(before), scores(now)
    assert then != after, "the two rounds must differ for the test to show anything"
    for report in screening.reports(f"{ROOT}.130"):
        text = said(report)
        assert "Since 2024-03-01" in text
        for side, name in ((ImageLaterality.RIGHT, "right"), (ImageLaterality.LEFT, "left")):
            assert f"{name} {then[side]} → {after[side]} %" in text
        assert f"band {before.band} → {now.band}" in text
        assert other_evidence(report) == {f"{ROOT}.101": {f"{ROOT}.101.{number}" for number in range(1, 5)}}
    (card,) = [each for each in screening.results(f"{ROOT}.130") if each.Modality != "SR"]
    assert "Since 2024-03-01" in card.ImageComments
    for report in screening.reports(f"{ROOT}.101"):
        assert "Since" not in said(report)
        assert not other_evidence(report)


def test_an_exam_of_the_same_id_and_another_issuer_is_another_womans(screening: Screening) -> None:
    screening.read(*round_of(210, "20240301", PatientID="B", IssuerOfPatientID="OTHER"))
    screening.read(*round_of(211, "20260301", PatientID="B"))
    for report in screening.reports(f"{ROOT}.211"):
        assert "Since" not in said(report)
        assert "Prior exam" not in said(report)
        assert not other_evidence(report)
