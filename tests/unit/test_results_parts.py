"""Reports per image, and what a revision follows."""

from __future__ import annotations

from dataclasses import replace

from pydicom.dataset import Dataset

from ai.exam import STANDARD_VIEWS
from node.results import (
    measurement_sr,
)
from node.results._assertions import walk
from tests.support_readings import instance_uid
from tests.support_results import CASES, SUPERSEDED


def test_there_is_a_report_per_image_about_that_image() -> None:
    one = CASES["positive"]()
    made = measurement_sr.build(one, measurement_sr.OPTIONS(per="image"))
    assert list(made) == [str(view) for view in STANDARD_VIEWS]
    for number, each in enumerate(made.values(), start=1):
        regions = [node.item for node in walk(each) if node.item.get("ValueType") == "SCOORD"]
        images = {region.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID for region in regions}
        assert images == {instance_uid(number)}, "a viewer would open the report on another image"
        assert each.InstanceNumber == number
    unread = measurement_sr.build(CASES["not_read_three_views"](), measurement_sr.OPTIONS(per="image"))
    assert list(unread) == [""]


def followed(dataset: Dataset) -> list[str]:
    return [
        str(reference.ReferencedSOPInstanceUID)
        for study in dataset.get("PredecessorDocumentsSequence") or ()
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    ]


def test_a_report_follows_its_own_part_else_the_whole_and_the_whole_all_parts() -> None:
    one = CASES["positive"]()
    per_image, whole = measurement_sr.OPTIONS(per="image"), measurement_sr.OPTIONS()
    parts = {"R CC": SUPERSEDED[0], "L CC": SUPERSEDED[1]}
    by_part = replace(one, predecessors=parts)
    made = measurement_sr.build(by_part, per_image)
    assert followed(made["L CC"]) == [SUPERSEDED[1].sop_instance_uid]
    assert followed(made["L MLO"]) == []
    assert followed(measurement_sr.build(by_part, whole)[""]) == [SUPERSEDED[n].sop_instance_uid for n in (0, 1)]
    from_whole = replace(one, predecessors={"": SUPERSEDED[1]})
    assert followed(measurement_sr.build(from_whole, per_image)["R CC"]) == [SUPERSEDED[1].sop_instance_uid]
