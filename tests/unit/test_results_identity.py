"""The header: the same woman, the same study, whole names; who made the result, when, and what it replaces."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from ai.exam import STANDARD_VIEWS
from ai.findings import Category
from node import results
from node.results import Report, _text, _uids, measurement_sr, summary_sc
from node.results._assertions import walk
from tests.support_readings import (
    ALGORITHM,
    COMPOSITION,
    STUDY,
    encoded,
    header,
    read_exam,
    report,
    single,
)
from tests.support_results import CASES, MASS_AND_CALCIFICATION, SUPERSEDED, revised

KINDS = results.offered()
COPIED = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAge",
    "StudyInstanceUID",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "StudyDescription",
    "AccessionNumber",
    "ReferringPhysicianName",
)


def marked(sources: tuple[Dataset, ...] = (), **changes: object) -> Report:
    """A second revision with a marked lesion: every kind has an object for it."""
    suspicious = read_exam(findings=MASS_AND_CALCIFICATION, category=Category.SUSPICIOUS, **changes)
    return revised(report(suspicious, sources))


def built(one: Report, kind: str) -> Dataset:
    """The first object of a kind."""
    module = results.load(kind)
    return next(iter(module.build(one, module.OPTIONS()).values()))


def made(one: Report, kind: str = "measurement_sr") -> Dataset:
    """The object, as a receiver reads it from the file."""
    return pydicom.dcmread(io.BytesIO(encoded(built(one, kind))))


def sources(**changes: object) -> tuple[Dataset, ...]:
    return tuple(header(n, view, **changes) for n, view in enumerate(STANDARD_VIEWS, start=1))


def raw(dataset: Dataset, keyword: str) -> bytes:
    """The element's bytes in the file, without padding."""
    element = pydicom.dcmread(io.BytesIO(encoded(dataset))).get_item(keyword)
    assert element is not None, f"{keyword} is not in the file"
    return bytes(element.value or b"").rstrip(b" ")


@pytest.mark.parametrize("kind", KINDS)
def test_identity_is_copied_unchanged(kind: str) -> None:
    one = marked()
    result = made(one, kind)
    for keyword in COPIED:
        assert result[keyword].value == one.sources[0][keyword].value, f"{keyword} is not that of the source"


@pytest.mark.parametrize(
    ("character_set", "name"),
    [
        ("ISO_IR 192", "Demo^Ánná Čáppa Đuŋŋá"),
        ("ISO_IR 100", "Sæther^Åse Bjørg"),
        ("ISO_IR 144", "Люкceмбypг^Анна"),
        (["", "ISO 2022 IR 100"], "Sæther^Åse"),
        (["", "ISO 2022 IR 87"], "Yamada^Hanako=山田^花子=やまだ^はなこ"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
        (None, "Demo^Anna"),
    ],
)
@pytest.mark.parametrize("kind", KINDS)
def test_names_keep_their_bytes_in_every_character_set(kind: str, character_set: object, name: str) -> None:
    names = {"SpecificCharacterSet": character_set, "PatientName": name, "ReferringPhysicianName": "X"}
    one = marked(sources(**names), composition=COMPOSITION)
    result = built(one, kind)
    assert raw(result, "PatientName") == raw(one.sources[0], "PatientName"), "the name's bytes changed"
    if character_set is None:
        assert "SpecificCharacterSet" not in result
    else:
        assert result.SpecificCharacterSet == one.sources[0].SpecificCharacterSet
    assert str(made(one, kind).PatientName) == name, "the name does not come back whole"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("character_set", ["ISO_IR 100", None])
def test_our_own_text_stays_inside_the_sources_character_set(kind: str, character_set: str | None) -> None:
    one = revised(CASES["with_prior_and_composition"]())  # has an arrow in its change since the prior
    algorithm = replace(ALGORITHM, labelling="Bare til forskning – ikke klinisk bruk, Čáppa → Đuŋŋá ≥ 2…")
    names = {"SpecificCharacterSet": character_set, "PatientName": "Demo^Anna", "ReferringPhysicianName": "X"}
    one = replace(one, reading=replace(one.reading, algorithm=algorithm), sources=sources(**names))
    encoding = "latin_1" if character_set else "ascii"
    for element in made(one, kind).iterall():
        if element.VR in ("SH", "LO", "ST", "LT", "UC", "UT"):
            str(element.value).encode(encoding)  # raises where a letter does not fit


def test_what_a_character_set_cannot_hold_is_written_with_its_nearest_letters() -> None:
    assert _text.encodable("12 → 14 %…", "ascii") == "12 -> 14 %..."
    assert _text.encodable("æøå Čáppa Đuŋŋá", "latin_1") == "æøå Cáppa Dunná"
    assert _text.encodable("æøå Čáppa Đuŋŋá", "ascii") == "aeoa Cappa Dunna"
    assert _text.encodable("山", "ascii") == "?"


@pytest.mark.parametrize("kind", KINDS)
def test_empty_and_missing_elements_are_written_empty_not_invented(kind: str) -> None:
    result = made(revised(CASES["empty_type_2"]()), kind)
    for keyword in ("PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
        assert keyword in result, f"{keyword} is type 2 and not there"
        assert result[keyword].is_empty, f"{keyword} is not empty"
    for keyword in ("IssuerOfPatientID", "PatientAge", "StudyDescription"):
        assert keyword not in result


@pytest.mark.filterwarnings("ignore:Invalid value for VR", "ignore:The value length", "ignore:A value of type")
@pytest.mark.parametrize("kind", KINDS)
def test_a_malformed_source_still_gets_its_answer(kind: str) -> None:
    broken = {"PatientBirthDate": "1970-1-1", "PatientAge": "56", "StudyTime": "9:30", "PatientID": "X" * 70}
    result = made(marked(sources(**broken)), kind)
    assert result.PatientID == "X" * 70


@pytest.mark.parametrize("kind", KINDS)
def test_the_result_is_alone_in_a_series_of_its_own(kind: str) -> None:
    one = marked()
    result = made(one, kind)
    assert result.StudyInstanceUID == STUDY
    assert result.SeriesInstanceUID not in {source.SeriesInstanceUID for source in one.sources}
    assert result.SeriesNumber >= 9001
    assert result.SeriesDescription.startswith("AI triage")
    assert result.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert result.file_meta.MediaStorageSOPInstanceUID == result.SOPInstanceUID


def test_every_kind_has_its_own_series_number() -> None:
    numbers = [made(marked(), kind).SeriesNumber for kind in KINDS]
    assert len(set(numbers)) == len(KINDS)


def test_the_content_time_is_the_start_of_the_analysis_and_its_offset_is_told() -> None:
    result = made(report(read_exam()))
    assert (result.ContentDate, result.ContentTime) == ("20261123", "104107.250000")
    assert result.TimezoneOffsetFromUTC == "+0100"


def test_the_sources_offset_holds_for_the_whole_object() -> None:
    """One element speaks for the copied study time as well, so the content time is told in the source's offset."""
    result = made(report(read_exam(), sources(TimezoneOffsetFromUTC="-0500")))
    assert (result.ContentDate, result.ContentTime) == ("20261123", "044107.250000")
    assert result.TimezoneOffsetFromUTC == "-0500"


def test_the_contributing_equipment_names_node_and_every_model() -> None:
    reading = read_exam(composition=COMPOSITION)
    reader, composition = made(report(reading)).ContributingEquipmentSequence
    assert (reader.ManufacturerModelName, reader.SoftwareVersions[0]) == ("demo-net", "0.1.0")
    assert (composition.ManufacturerModelName, composition.SoftwareVersions[0]) == ("density-histogram", "1.2")
    assert reader.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
    assert reader.DeviceUID != composition.DeviceUID
    other = replace(reading, algorithm=replace(ALGORITHM, weights_sha256="0" * 64))
    assert made(report(other)).ContributingEquipmentSequence[0].DeviceUID != reader.DeviceUID


def test_a_revision_points_at_its_predecessor() -> None:
    result = made(CASES["bilateral_revised"]())
    study = result.PredecessorDocumentsSequence[0]
    reference = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert (study.StudyInstanceUID, reference.ReferencedSOPInstanceUID) == (STUDY, SUPERSEDED[1].sop_instance_uid)
    assert result.InstanceNumber == 2


def test_the_priors_images_are_pertinent_other_evidence() -> None:
    one = CASES["with_prior_and_composition"]()
    result = made(one)
    (prior,) = result.PertinentOtherEvidenceSequence
    assert prior.StudyInstanceUID == one.prior_sources[0].StudyInstanceUID
    assert len(prior.ReferencedSeriesSequence) == 4
    (current,) = result.CurrentRequestedProcedureEvidenceSequence
    assert current.StudyInstanceUID == STUDY


def test_the_request_is_copied() -> None:
    one = report(read_exam())
    assert made(one).ReferencedRequestSequence[0].RequestedProcedureID == "RP1"
    assert made(one).ReferencedRequestSequence[0].AccessionNumber == "ACC-0042"
    card = pydicom.dcmread(
        io.BytesIO(encoded(single(summary_sc.build(one, summary_sc.OPTIONS())))), stop_before_pixels=True
    )
    assert card.RequestAttributesSequence[0].RequestedProcedureID == "RP1"


def test_the_private_coding_scheme_is_declared_where_it_is_used() -> None:
    result = single(measurement_sr.build(report(read_exam()), measurement_sr.OPTIONS()))
    used = {e.value for e in result.iterall() if e.keyword == "CodingSchemeDesignator" and e.value.startswith("99")}
    declared = {item.CodingSchemeDesignator for item in result.CodingSchemeIdentificationSequence}
    assert used == declared == {"99MAMMONODE"}


def test_another_time_of_reporting_changes_nothing_but_the_creation_time() -> None:
    one = report(read_exam())
    later = replace(one, created_at=datetime(2027, 1, 1, tzinfo=UTC))
    first, second = made(one), made(later)
    assert first.SOPInstanceUID == second.SOPInstanceUID
    changed = {e.keyword for e in first if e.value != second[e.tag].value}
    assert changed == {"InstanceCreationDate", "InstanceCreationTime"}


# --- one result in many objects


def contributions(dataset: Dataset) -> list[str]:
    return [item.ContributionDescription for item in dataset.ContributingEquipmentSequence]


def test_every_object_says_which_result_and_revision_it_belongs_to() -> None:
    """The one thing that all kinds have: their contributing equipment, its device and what it did, when."""
    one = marked(composition=COMPOSITION)
    objects = [every for kind in KINDS for every in all_made(one, kind)]
    assert len(objects) > len(KINDS)
    said = {tuple(contributions(each)) for each in objects}
    assert len(said) == 1, f"the objects of one result say {said}"
    assert all(f"result {_uids.result_uid(one)}, revision 2" in text for text in said.pop())
    devices = {item.DeviceUID for each in objects for item in each.ContributingEquipmentSequence[:1]}
    moments = {item.ContributionDateTime for each in objects for item in each.ContributingEquipmentSequence}
    assert (len(devices), len(moments)) == (1, 1)


def all_made(one: Report, kind: str) -> list[Dataset]:
    module = results.load(kind)
    return list(module.build(one, module.OPTIONS()).values())


def test_another_revision_is_another_result() -> None:
    one = marked()
    assert contributions(made(one)) != contributions(made(revised(one)))


def tracked(dataset: Dataset) -> set[tuple[str, str]]:
    """Tracking identifiers with their UIDs: of content items, of graphics."""
    found = {
        (str(graphic.TrackingID), str(graphic.TrackingUID))
        for annotation in dataset.get("GraphicAnnotationSequence") or ()
        for graphic in annotation.get("GraphicObjectSequence") or ()
    }
    names = [node.item for node in walk(dataset) if node.item.get("ValueType") in ("TEXT", "UIDREF")]
    for name, uid in pairwise(names):
        if uid.get("ValueType") == "UIDREF" and uid.ConceptNameCodeSequence[0].CodeValue == "112040":
            found.add((str(name.TextValue), str(uid.UID)))
    return found


def test_a_finding_has_one_tracking_uid_in_every_object_that_marks_it() -> None:
    one = marked()
    views = {f"Lesion {lesion}, {view}" for lesion in (1, 2) for view in ("L CC", "L MLO")}
    marks = {
        kind: {pair for each in all_made(one, kind) for pair in tracked(each) if pair[0] in views}
        for kind in ("mammography_cad_sr", "measurement_sr", "presentation_state")
    }
    assert {name for name, _ in marks["presentation_state"]} == views
    assert marks["mammography_cad_sr"] == marks["measurement_sr"] == marks["presentation_state"]
