"""`View.from_dataset` and `Exam.from_datasets`: what a header says, and what of it may be trusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import config
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import ExplicitVRLittleEndian

from ai.exam import STANDARD_VIEWS, Exam, ImageLaterality, View, ViewPosition

CC, MLO, ML = ("399162004", "SCT"), ("399368009", "SCT"), ("399260004", "SCT")


def coded(value: str, scheme: str = "SCT", meaning: str = "meaning") -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def header(number: int = 1, view: tuple[str, str] | None = CC, **elements: object) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.2", f"1.2.3.{number}"
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2.3", "1.2.3.0"
    dataset.ImageLaterality = "R"
    if view:
        dataset.ViewCodeSequence = Sequence([coded(*view)])
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def with_raw(dataset: Dataset, tag: int, vr: str, value: bytes) -> Dataset:
    """An element as read from a file: bytes that nobody has checked."""
    dataset[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True)
    return dataset


# The view and the side


@pytest.mark.parametrize(
    ("code", "position"),
    [
        (("399162004", "SCT"), ViewPosition.CC),
        (("R-10242", "SRT"), ViewPosition.CC),
        (("R-10242", "SNM3"), ViewPosition.CC),
        (("399368009", "SCT"), ViewPosition.MLO),
        (("R-10226", "SRT"), ViewPosition.MLO),
        (ML, None),
        (("R-10224", "SRT"), None),
    ],
)
def test_view_position_comes_from_the_view_code_sequence(code: tuple[str, str], position: ViewPosition | None) -> None:
    assert View.from_dataset(header(view=code)).view_position is position


def test_a_code_outweighs_the_text_view_position() -> None:
    assert View.from_dataset(header(view=ML, ViewPosition="CC")).view_position is None
    assert View.from_dataset(header(view=MLO, ViewPosition="CC")).view_position is ViewPosition.MLO


@pytest.mark.parametrize(
    ("text", "position"), [("CC", ViewPosition.CC), ("MLO ", ViewPosition.MLO), ("ML", None), ("", None)]
)
def test_text_view_position_stands_in_where_there_is_no_code(text: str, position: ViewPosition | None) -> None:
    assert View.from_dataset(header(view=None, ViewPosition=text)).view_position is position
    empty = header(view=None, ViewPosition=text, ViewCodeSequence=Sequence([Dataset()]))
    assert View.from_dataset(empty).view_position is position, "a view code item without a code is no code"


def test_two_view_codes_name_no_view() -> None:
    dataset = header(ViewCodeSequence=Sequence([coded(*CC), coded(*MLO)]), ViewPosition="CC")
    assert View.from_dataset(dataset).view_position is None


def test_view_modifiers_are_found_inside_the_view_code_and_beside_it() -> None:
    dataset = header(ViewModifierCodeSequence=Sequence([coded("399011000", meaning="Magnification")]))
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([coded("399209000"), coded("399209001")])
    assert View.from_dataset(dataset).view_modifiers == ("399209000", "399209001", "399011000")


def test_a_view_modifier_without_a_code_is_not_lost() -> None:
    named, bare = Dataset(), Dataset()
    named.CodeMeaning = "Spot compression"
    dataset = header()
    dataset.ViewCodeSequence[0].ViewModifierCodeSequence = Sequence([named, bare])
    assert View.from_dataset(dataset).view_modifiers == ("Spot compression", "unknown")


@pytest.mark.parametrize(("value", "expected"), [("R", "R"), ("L ", "L"), ("B", None), ("", None), ("X", None)])
def test_image_laterality_is_right_left_or_absent(value: str, expected: str | None) -> None:
    found = View.from_dataset(header(ImageLaterality=value)).image_laterality
    assert found == (None if expected is None else ImageLaterality(expected))


def test_the_laterality_of_the_series_is_not_the_image_laterality() -> None:
    dataset = header(Laterality="L")
    del dataset.ImageLaterality
    assert View.from_dataset(dataset).image_laterality is None


def test_a_standard_view_needs_both_side_and_position() -> None:
    assert str(View.from_dataset(header()).standard_view) == "R CC"
    assert View.from_dataset(header(view=ML)).standard_view is None
    assert View.from_dataset(header(ImageLaterality="")).standard_view is None


# Other elements


def test_every_plain_element_is_read() -> None:
    dataset = header(
        Modality="MG",
        ImageType=["DERIVED", "PRIMARY", ""],
        PresentationIntentType="FOR PRESENTATION",
        PhotometricInterpretation="MONOCHROME1",
        Rows=3328,
        Columns=2560,
        BitsAllocated=16,
        BitsStored=12,
        PixelRepresentation=0,
        PixelPaddingValue=4095,
        ImagerPixelSpacing=["0.07", "0.07"],
        Manufacturer=" Fjordlys ",
        ManufacturerModelName="Selma",
        SoftwareVersions=["A 1", "B 2"],
        StudyDate="20250312",
        PatientID="0012",
        IssuerOfPatientID="HOSPITAL",
        PatientBirthDate="19640229",
        PatientSex="F",
    )
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    view = View.from_dataset(dataset)
    assert view.image_type == ("DERIVED", "PRIMARY", "")
    assert (view.rows, view.columns, view.bits_stored, view.pixel_padding_value) == (3328, 2560, 12, 4095)
    assert view.imager_pixel_spacing_mm == (0.07, 0.07)
    assert (view.manufacturer, view.manufacturer_model_name) == ("Fjordlys", "Selma")
    assert view.software_versions == ("A 1", "B 2")
    assert (view.patient_id, view.issuer_of_patient_id) == ("0012", "HOSPITAL"), "a leading zero is part of the ID"
    assert (view.patient_birth_date, view.patient_sex, view.study_date) == ("19640229", "F", "20250312")
    assert view.transfer_syntax_uid == ExplicitVRLittleEndian
    assert (view.samples_per_pixel, view.number_of_frames) == (1, 1)


@pytest.mark.parametrize(
    ("keyword", "value", "attribute"),
    [
        ("BreastImplantPresent", "YES", "breast_implant_present"),
        ("PartialView", "YES", "partial_view"),
        ("QualityControlImage", "YES", "quality_control_image"),
        ("BurnedInAnnotation", "YES", "burned_in_annotation"),
        ("LossyImageCompression", "01", "lossy_image_compression"),
        ("SpecimenDescriptionSequence", Sequence([Dataset()]), "specimen"),
    ],
)
def test_a_mark_in_the_header_is_seen(keyword: str, value: object, attribute: str) -> None:
    assert getattr(View.from_dataset(header(**{keyword: value})), attribute) is True
    plain = Sequence([]) if isinstance(value, Sequence) else {"01": "00"}.get(str(value), "NO")
    assert getattr(View.from_dataset(header(**{keyword: plain})), attribute) is False
    assert getattr(View.from_dataset(header()), attribute) is False


@pytest.mark.parametrize(
    ("elements", "moment"),
    [
        ({"AcquisitionDate": "20250312", "AcquisitionTime": "101500.25"}, "20250312101500.25"),
        ({"AcquisitionDateTime": "20250312101500"}, "20250312101500"),
        ({"ContentDate": "20250312", "ContentTime": "1015"}, "202503121015"),
        ({"AcquisitionDate": "20250312", "ContentDate": "20250311", "ContentTime": "10"}, "2025031110"),
        ({"AcquisitionDate": "20250312"}, "20250312"),
        ({}, ""),
    ],
)
def test_the_moment_of_acquisition(elements: dict[str, object], moment: str) -> None:
    assert View.from_dataset(header(**elements)).acquired_at == moment


# Tolerance


@pytest.mark.parametrize(
    ("tag", "vr", "value", "attribute", "expected"),
    [
        (0x00280010, "LO", b"many", "rows", 0),
        (0x00280010, "US", b"\x01", "rows", 0),
        (0x00280010, "US", b"", "rows", 0),
        (0x00280008, "IS", b"one ", "number_of_frames", 1),
        (0x00181164, "DS", b"0,07\\0,07 ", "imager_pixel_spacing_mm", None),
        (0x00181164, "DS", b"0.07", "imager_pixel_spacing_mm", None),
        (0x00181164, "DS", b"0.07\\-1 ", "imager_pixel_spacing_mm", None),
        (0x00181164, "DS", b"nan\\nan ", "imager_pixel_spacing_mm", None),
        (0x00080020, "DA", b"12 March", "study_date", ""),
        (0x00080020, "DA", b"2025.03.12", "study_date", "20250312"),
        (0x00100020, "SQ", b"\x00\x01", "patient_id", ""),
        (0x00080070, "LO", b"M" * 80, "manufacturer", "M" * 80),
        (0x00540220, "LO", b"CC", "view_position", None),
        (0x00540220, "SQ", b"\xff\xff\xff", "view_position", None),
    ],
)
def test_a_bad_element_reads_as_absent(tag: int, vr: str, value: bytes, attribute: str, expected: object) -> None:
    view = View.from_dataset(with_raw(header(), tag, vr, value))
    assert getattr(view, attribute) == expected


@given(
    tag=st.sampled_from(
        [0x00280010, 0x00280120, 0x00181164, 0x00080008, 0x00080022, 0x00540220, 0x00181020, 0x00081032]
    ),
    vr=st.sampled_from(["US", "SS", "DS", "IS", "LO", "CS", "SQ", "DA", "TM", "OB", "PN", "AT", "FD", "UN"]),
    value=st.binary(max_size=24),
)
def test_no_bytes_in_an_element_make_reading_fail(tag: int, vr: str, value: bytes) -> None:
    view = View.from_dataset(with_raw(header(), tag, vr, value))
    assert view.sop_instance_uid == "1.2.3.1"


def test_reading_asks_nothing_of_pydicoms_settings() -> None:
    """A node may run with strict reading; a bad value must still not stop an exam."""
    before = config.settings.reading_validation_mode
    config.settings.reading_validation_mode = config.RAISE
    try:
        view = View.from_dataset(with_raw(header(), 0x00280008, "IS", b"x" * 30))
    finally:
        config.settings.reading_validation_mode = before
    assert view.number_of_frames == 1


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "SOPClassUID", "SeriesInstanceUID", "StudyInstanceUID"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_missing_identifying_uid_is_named(keyword: str, empty: bool) -> None:
    dataset = header()
    if empty:
        setattr(dataset, keyword, "")
    else:
        delattr(dataset, keyword)
    with pytest.raises(ValueError, match=keyword):
        View.from_dataset(dataset)


# The exam


def four_views() -> list[Dataset]:
    return [
        header(
            number, (CC if view.view_position is ViewPosition.CC else MLO), ImageLaterality=str(view.image_laterality)
        )
        for number, view in enumerate(STANDARD_VIEWS, start=1)
    ]


def test_views_come_in_standard_order_then_by_time() -> None:
    late = header(9, CC, AcquisitionDate="20250312", AcquisitionTime="120000")
    early = header(8, CC, AcquisitionDate="20250312", AcquisitionTime="090000")
    other = header(7, ML)
    exam = Exam.from_datasets([other, late, *reversed(four_views()[1:]), early])
    assert [view.sop_instance_uid[-1] for view in exam.views] == ["8", "9", "2", "3", "4", "7"]


@given(order=st.permutations(range(4)))
def test_the_order_of_arrival_does_not_matter(order: list[int]) -> None:
    datasets = four_views()
    assert Exam.from_datasets(datasets[index] for index in order) == Exam.from_datasets(datasets)


def test_the_exams_identity_is_that_of_its_images() -> None:
    datasets = four_views()
    for dataset in datasets:
        dataset.PatientID, dataset.IssuerOfPatientID, dataset.StudyDate = "77", "HOSPITAL", "20250312"
    datasets[2].AccessionNumber = "MG1"
    exam = Exam.from_datasets(datasets)
    assert (exam.study_instance_uid, exam.patient_id, exam.issuer_of_patient_id) == ("1.2.3", "77", "HOSPITAL")
    assert (exam.accession_number, exam.study_date) == ("MG1", "20250312"), "one image that tells it is enough"


def test_priors_come_newest_first() -> None:
    priors = [
        Exam.from_datasets([header(StudyInstanceUID=f"1.2.{year}", StudyDate=f"{year}0101")])
        for year in (2021, 2023, 2019)
    ]
    exam = Exam.from_datasets(four_views(), priors)
    assert [prior.study_date[:4] for prior in exam.priors] == ["2023", "2021", "2019"]


def test_an_exam_is_of_one_study_and_not_empty() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Exam.from_datasets([])
    with pytest.raises(ValueError, match="more than one study"):
        Exam.from_datasets([header(), header(2, StudyInstanceUID="9.9")])
