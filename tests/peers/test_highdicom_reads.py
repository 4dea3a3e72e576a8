"""highdicom, which had no part in writing them, reads the measurement reports and finds the same lesions, numbers."""

from __future__ import annotations

import io

import highdicom as hd
import pydicom
import pytest

from node.results import key_objects, measurement_sr
from tests.support_readings import STUDY, encoded, instance_uid, single
from tests.support_results import CASES, enclosed

SOP_CLASSES = ("comprehensive_3d", "comprehensive", "enhanced")


def read(case: str, sop_class: str) -> hd.sr.MeasurementReport:
    options = measurement_sr.OPTIONS.model_validate({"sop_class": sop_class})
    document = hd.sr.srread(io.BytesIO(encoded(single(measurement_sr.build(CASES[case](), options)))))
    return document.content


@pytest.mark.parametrize("sop_class", SOP_CLASSES)
def test_every_lesion_comes_back(sop_class: str) -> None:
    reading = CASES["many_findings"]().reading
    groups = read("many_findings", sop_class).get_planar_roi_measurement_groups()
    assert len(groups) == len(reading.findings)
    for group, finding in zip(groups, reading.findings, strict=True):
        region = finding.region
        assert enclosed(group.roi.value.ravel()) == [region.left, region.top, region.right, region.bottom]
        (source,) = group.roi.ContentSequence
        assert source.referenced_sop_instance_uid == region.sop_instance_uid
        (score,) = group.get_measurements()
        assert score.value == pytest.approx(100 * finding.probability, abs=0.05)
        assert score.unit.value == "%"
        assert group.tracking_identifier.startswith(f"Lesion {finding.lesion}, {finding.image_laterality} ")


def test_tracking_uids_are_one_per_lesion_and_view() -> None:
    groups = read("many_findings", "comprehensive_3d").get_planar_roi_measurement_groups()
    assert len({group.tracking_uid for group in groups}) == len(groups)


@pytest.mark.parametrize("case", ["negative", "not_read_many_reasons"])
def test_a_report_without_lesions_reads_as_one_exam_group(case: str) -> None:
    report = read(case, "comprehensive_3d")
    assert not report.get_planar_roi_measurement_groups()
    (exam,) = report.get_image_measurement_groups()
    assert exam.tracking_identifier == "Exam"


def test_the_key_objects_come_back_with_their_images() -> None:
    made = key_objects.build(CASES["positive"](), key_objects.OPTIONS())[""]
    document = hd.ko.KeyObjectSelectionDocument.from_dataset(pydicom.dcmread(io.BytesIO(encoded(made))))
    references = document.content.get_references(value_type=hd.sr.ValueTypeValues.IMAGE)
    assert [reference.referenced_sop_instance_uid for reference in references] == [instance_uid(2), instance_uid(4)]
    study, series, uid = document.resolve_reference(instance_uid(2))
    assert (study, series, uid) == (STUDY, f"{STUDY}.1.2", instance_uid(2))


def test_the_file_is_read_without_a_word_of_complaint() -> None:
    """pydicom warns of values outside their representation; warnings are errors here."""
    made = single(measurement_sr.build(CASES["with_prior_and_composition"](), measurement_sr.OPTIONS()))
    for element in pydicom.dcmread(io.BytesIO(encoded(made))).iterall():
        assert element.VR
