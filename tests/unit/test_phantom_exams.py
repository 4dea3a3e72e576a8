"""Synthetic exams as DICOM: valid objects, exact pixels, the header a node meets in a hospital."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.uid import (
    UID,
    DigitalMammographyXRayImageStorageForPresentation,
    DigitalMammographyXRayImageStorageForProcessing,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ai.decoding import decode
from ai.exam import STANDARD_VIEWS, Exam, ImageLaterality, View
from ai.phantom import VENDOR_LOOKS, ExamSpec, Identity, LesionKind, VendorLook, demo_exams, simulate_exam, wrap
from ai.phantom.encoding import TRANSFER_SYNTAXES
from ai.phantom.vendors import HAVBLIK, NORDVIK
from tests.support import require_tool, shared_data

R_CC, L_CC, R_MLO, L_MLO = STANDARD_VIEWS
HER = Identity(patient_name="Ås^Kari", patient_id="S-1")
#: dicom3tools takes DX's terms for View Position (0018,5101); every mammography system sends CC and MLO there.
KNOWN_WARNING = "</ViewPosition(0018,5101)[1]> - Unrecognized defined term"
DEMO = demo_exams(1)


def small(**changes: object) -> ExamSpec:
    """A quick exam: coarse pixels, R CC and L MLO only, unless told otherwise."""
    spec = ExamSpec(name="small", seed=1, identity=HER, omitted=(L_CC, R_MLO), pitch_mm=0.4)
    return replace(spec, **changes)  # type: ignore[arg-type]


def saved(dataset: FileDataset, folder: Path, name: str = "image.dcm") -> Path:
    path = folder / name
    dataset.save_as(path, enforce_file_format=True)
    return path


def faults(path: Path) -> list[str]:
    """What dciodvfy finds wrong under the IHE Mammography Image profile."""
    command = [require_tool("dciodvfy"), "-new", "-profile", "IHEMammo", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    lines = (done.stdout + done.stderr).splitlines()
    assert any("MammographyImage" in line for line in lines), f"dciodvfy did not recognise the object: {lines}"
    return [line for line in lines if line.startswith(("Error", "Warning")) and KNOWN_WARNING not in line]


# Validity


@pytest.mark.parametrize("look", VENDOR_LOOKS, ids=lambda look: look.name)
def test_every_vendor_look_conforms_to_the_ihe_mammography_profile(look: VendorLook, tmp_path: Path) -> None:
    exam = simulate_exam(small(look=look, with_for_processing=True))
    found = {
        f"{instance.truth.standard_view} {instance.dataset.PresentationIntentType}": problems
        for number, instance in enumerate(exam.instances)
        if (problems := faults(saved(instance.dataset, tmp_path, f"{number}.dcm")))
    }
    assert not found


@pytest.mark.parametrize("spec", DEMO, ids=lambda spec: spec.name)
def test_every_demonstration_exam_conforms_to_the_ihe_mammography_profile(spec: ExamSpec, tmp_path: Path) -> None:
    first, *_ = simulate_exam(replace(spec, omitted=STANDARD_VIEWS[1:], repeated=None, pitch_mm=0.4)).datasets[::-1]
    assert not faults(saved(first, tmp_path))


def test_the_voi_lut_function_can_be_left_out_for_a_viewer_that_shows_such_images_black(tmp_path: Path) -> None:
    dataset = simulate_exam(small(voi_lut_function="", omitted=STANDARD_VIEWS[1:])).datasets[0]
    assert "VOILUTFunction" not in dataset
    (problem,) = faults(saved(dataset, tmp_path))
    assert "VOILUTFunction" in problem, "the profile asks for the element, and nothing else is missing"


def test_uids_are_valid_distinct_and_derived_from_the_seed() -> None:
    once, again = (simulate_exam(small(repeated=R_CC, with_for_processing=True)).datasets for _ in range(2))
    uids = [dataset.SOPInstanceUID for dataset in once]
    assert uids == [dataset.SOPInstanceUID for dataset in again]
    assert len(set(uids)) == len(uids) == 6
    assert all(UID(uid).is_valid and uid.startswith("2.25.") for uid in uids), uids
    others = {simulate_exam(small(seed=2)).datasets[0].StudyInstanceUID, once[0].StudyInstanceUID}
    assert len(others) == 2


def test_the_same_specification_writes_the_same_file(tmp_path: Path) -> None:
    first, second = (
        saved(simulate_exam(small()).datasets[0], tmp_path, name).read_bytes() for name in ("1.dcm", "2.dcm")
    )
    assert first == second


# Pixels


@pytest.fixture(scope="module")
def uncompressed() -> bytes:
    return bytes(simulate_exam(small()).datasets[0].PixelData)


@pytest.mark.parametrize("syntax", TRANSFER_SYNTAXES, ids=lambda uid: uid.name)
def test_every_transfer_syntax_gives_the_same_pixels(syntax: UID, uncompressed: bytes, tmp_path: Path) -> None:
    dataset = dcmread(saved(simulate_exam(small(transfer_syntax_uid=syntax)).datasets[0], tmp_path))
    assert dataset.file_meta.TransferSyntaxUID == syntax
    assert decode(dataset).values.astype("<u2").tobytes() == uncompressed


@pytest.mark.parametrize(
    ("tool", "syntax"), [("dcmdjpeg", JPEGLosslessSV1), ("dcmdjpls", JPEGLSLossless), ("dcmdrle", RLELossless)]
)
@pytest.mark.parametrize("look", [NORDVIK, HAVBLIK], ids=lambda look: look.photometric_interpretation)
def test_dcmtk_decodes_the_same_pixels(tool: str, syntax: UID, look: VendorLook, tmp_path: Path) -> None:
    plain, packed = (
        simulate_exam(small(look=look, transfer_syntax_uid=uid)).datasets[0] for uid in (ExplicitVRLittleEndian, syntax)
    )
    source, target = saved(packed, tmp_path), tmp_path / "decoded.dcm"
    subprocess.run([require_tool(tool), str(source), str(target)], check=True, timeout=60)
    assert dcmread(target).PixelData == plain.PixelData


def test_jpeg_lossless_is_exact_at_full_size(tmp_path: Path) -> None:
    spec = ExamSpec(
        name="full",
        seed=3,
        identity=HER,
        omitted=(L_CC, R_MLO, L_MLO),
        lesions=(LesionKind.PLEOMORPHIC_CALCIFICATIONS,),
    )
    plain = simulate_exam(spec).datasets[0]
    packed = simulate_exam(replace(spec, transfer_syntax_uid=JPEGLosslessSV1)).datasets[0]
    assert (plain.Rows, plain.Columns) in spec.look.matrices
    assert len(packed.PixelData) < 0.6 * len(plain.PixelData)
    source, target = saved(packed, tmp_path), tmp_path / "decoded.dcm"
    subprocess.run([require_tool("dcmdjpeg"), str(source), str(target)], check=True, timeout=60)
    assert dcmread(target).PixelData == plain.PixelData


def test_an_unknown_transfer_syntax_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(ValueError, match=HTJ2KLossless):
        simulate_exam(small(transfer_syntax_uid="1.2.840.10008.1.2.4.50"))


# Headers


def test_the_header_reads_back_as_the_view_that_was_meant() -> None:
    exam = simulate_exam(small(omitted=(), look=HAVBLIK))
    views = Exam.from_datasets(exam.datasets).views
    assert tuple(view.standard_view for view in views) == STANDARD_VIEWS
    for view in views:
        assert view.sop_class_uid == DigitalMammographyXRayImageStorageForPresentation
        assert view.presentation_intent_type == "FOR PRESENTATION"
        assert view.photometric_interpretation == "MONOCHROME1"
        assert (view.bits_allocated, view.bits_stored, view.pixel_padding_value) == (16, 14, 16383)
        assert view.imager_pixel_spacing_mm == (0.4, 0.4)
        assert view.manufacturer == "Havblik X-ray"
        assert (view.breast_implant_present, view.partial_view, view.view_modifiers) == (False, False, ())
        assert (view.patient_id, view.patient_sex, len(view.acquired_at)) == ("S-1", "F", 14)


def test_patient_orientation_follows_the_side_of_the_chest_wall() -> None:
    found = {
        str(instance.truth.standard_view): list(instance.dataset.PatientOrientation)
        for instance in simulate_exam(small(omitted=())).instances
    }
    assert found == {"R CC": ["P", "L"], "L CC": ["A", "R"], "R MLO": ["P", "FL"], "L MLO": ["A", "FR"]}


@pytest.mark.parametrize(
    ("name", "character_set", "codec"),
    [("Čáhppe^Máret đŋ", "ISO_IR 192", "utf-8"), ("Ærfugl^Øydis Å", "ISO_IR 100", "latin-1")],
)
def test_names_are_written_in_their_character_set(name: str, character_set: str, codec: str, tmp_path: Path) -> None:
    identity = replace(HER, patient_name=name, character_set=character_set)
    path = saved(simulate_exam(small(identity=identity)).datasets[0], tmp_path)
    assert name.encode(codec) in path.read_bytes()
    assert str(dcmread(path).PatientName) == name


def test_a_view_may_be_missing_and_a_repeat_comes_late() -> None:
    exam = simulate_exam(small(omitted=(L_MLO, R_MLO), repeated=R_CC))
    assert [str(instance.truth.standard_view) for instance in exam.instances] == ["R CC", "L CC", "R CC"]
    assert [instance.late for instance in exam.instances] == [False, False, True]
    first, _, repeat = exam.datasets
    assert first.PixelData != repeat.PixelData
    assert first.AcquisitionTime < repeat.AcquisitionTime


def test_raw_siblings_are_for_processing_and_named_as_the_source() -> None:
    raw, shown, *_ = simulate_exam(small(with_for_processing=True)).datasets
    assert raw.SOPClassUID == DigitalMammographyXRayImageStorageForProcessing
    assert raw.PresentationIntentType == "FOR PROCESSING"
    assert shown.SourceImageSequence[0].ReferencedSOPInstanceUID == raw.SOPInstanceUID
    assert raw.SeriesInstanceUID != shown.SeriesInstanceUID


def test_implants_are_told_in_the_header() -> None:
    assert View.from_dataset(simulate_exam(small(implant=True)).datasets[0]).breast_implant_present


def test_an_earlier_round_is_another_study_of_the_same_woman() -> None:
    spec = small(lesions=(LesionKind.SPICULATED_MASS,), accession_number="MG1")
    now, then = simulate_exam(spec), simulate_exam(spec.earlier_round())
    assert now.datasets[0].StudyInstanceUID != then.datasets[0].StudyInstanceUID
    assert now.datasets[0].PatientID == then.datasets[0].PatientID
    assert (now.datasets[0].StudyDate, then.datasets[0].StudyDate) == ("20250312", "20230312")
    assert now.spec.woman.right == then.spec.woman.right


# The demonstration


def test_the_demonstration_covers_what_a_node_must_get_right() -> None:
    assert len(DEMO) >= 12
    for what in ("name", "accession_number"):
        assert len({getattr(spec, what) for spec in DEMO}) == len(DEMO), f"{what} must tell the exams apart"
    assert len({spec.identity.patient_id for spec in DEMO}) == len(DEMO)
    assert {spec.look.name for spec in DEMO} == {look.name for look in VENDOR_LOOKS}
    assert any(spec.omitted for spec in DEMO)
    assert any(spec.implant for spec in DEMO)
    assert any(spec.repeated for spec in DEMO)
    assert any(spec.with_for_processing for spec in DEMO)
    assert {spec.identity.character_set for spec in DEMO} == {"ISO_IR 100", "ISO_IR 192"}
    assert {ExplicitVRLittleEndian, JPEGLosslessSV1} <= {spec.transfer_syntax_uid for spec in DEMO}
    assert sum(bool(spec.woman.malignant_sides) for spec in DEMO) >= 3
    assert demo_exams(1) == DEMO


# Real pictures


def real_pictures() -> Iterator[tuple[str, np.ndarray]]:
    folder = shared_data("density")
    for view in STANDARD_VIEWS:
        name = f"{view.image_laterality}-{view.view_position}"
        yield name, np.asarray(Image.open(folder / f"{name}.png"))


def test_a_real_exam_is_wrapped_with_its_values_unchanged(tmp_path: Path) -> None:
    pictures = dict(zip(STANDARD_VIEWS, (array for _, array in real_pictures()), strict=True))
    datasets = wrap(pictures, identity=HER, imager_pixel_spacing_mm=0.1, chest_wall_left=True)
    assert [View.from_dataset(dataset).standard_view for dataset in datasets] == list(STANDARD_VIEWS)
    for dataset, (view, array) in zip(datasets, pictures.items(), strict=True):
        turned = array[:, ::-1] if view.image_laterality is ImageLaterality.RIGHT else array
        assert dataset.PixelData == turned.astype("<u2").tobytes()
        assert dataset.BitsStored == 8
    assert not faults(saved(datasets[0], tmp_path))


def test_wrapping_takes_16_bits_and_refuses_colour() -> None:
    picture = np.array([[0, 4095], [7, 5]], dtype=np.uint16)
    (dataset,) = wrap({L_CC: picture}, identity=HER, imager_pixel_spacing_mm=0.1)
    assert dataset.BitsStored == 12
    assert dataset.PixelData == picture.tobytes()
    with pytest.raises(ValueError, match="2-D"):
        wrap({L_CC: np.zeros((4, 4, 3), np.uint8)}, identity=HER, imager_pixel_spacing_mm=0.1)
