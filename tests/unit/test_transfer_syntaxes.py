"""Every transfer syntax, bit for bit as dcmtk or another decoder reads it, files of other encoders included."""

from __future__ import annotations

import hashlib
import io
import subprocess
import warnings
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ai.decoding import decode, read_image
from ai.eligibility import EligibilityRules, judge_view
from ai.exam import View
from ai.reasons import ReasonCode
from tests.support import require_tool
from tests.support_pixels import FRAMES, UID, encapsulated, instance, picture, stored_bits

DCMTK_DECODERS = {
    JPEGLossless: "dcmdjpeg",
    JPEGLosslessSV1: "dcmdjpeg",
    JPEGLSLossless: "dcmdjpls",
    RLELossless: "dcmdrle",
}


def dcmtk(tool: str, *options: object, source: Dataset, folder: Path) -> Path:
    """The file that a program of dcmtk makes of the instance."""
    before, after = folder / "before.dcm", folder / "after.dcm"
    source.save_as(before, enforce_file_format=True)
    subprocess.run([require_tool(tool), *map(str, options), before, after], check=True, capture_output=True)
    return after


def as_dcmtk_reads(tool: str, source: Dataset, folder: Path) -> NDArray[Any]:
    plain = pydicom.dcmread(dcmtk(tool, source=source, folder=folder))
    return np.frombuffer(plain.PixelData, "<u2").reshape(plain.Rows, plain.Columns)


@pytest.mark.parametrize(
    ("option", "syntax"),
    [
        ("+te", ExplicitVRLittleEndian),
        ("+ti", ImplicitVRLittleEndian),
        ("+tb", ExplicitVRBigEndian),
        ("+td", DeflatedExplicitVRLittleEndian),
    ],
)
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_uncompressed_files_that_dcmtk_writes(option: str, syntax: str, bits: int, tmp_path: Path) -> None:
    """8 bits allocated with an odd number of pixels among them: their bytes are swapped in big endian (PS3.5 7.3)."""
    values = picture(bits) if bits > 8 else picture(8).astype(np.uint8)
    path = dcmtk("dcmconv", option, source=instance(values, **stored_bits(bits)), folder=tmp_path)
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID == syntax
    np.testing.assert_array_equal(read_image(path, UID).values, values)


@pytest.mark.parametrize("syntax", DCMTK_DECODERS)
def test_dcmtk_reads_the_same_from_other_encoders(syntax: str, tmp_path: Path) -> None:
    ours = decode(encapsulated(FRAMES[syntax], syntax)).values
    np.testing.assert_array_equal(ours, picture())
    dataset = encapsulated(FRAMES[syntax], syntax)
    np.testing.assert_array_equal(as_dcmtk_reads(DCMTK_DECODERS[syntax], dataset, tmp_path), ours)


@pytest.mark.parametrize("command", ["dcmcjpls", "dcmcrle", "dcmcjpeg +el +sv 1", "dcmcjpeg +el +sv 6"])
@pytest.mark.parametrize("bits", [8, 9, 11, 13, 14, 15, 16])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
def test_every_depth_from_dcmtk(command: str, bits: int, signed: bool, tmp_path: Path) -> None:
    values = picture(bits)
    stored = (values.astype(np.int32) - (1 << (bits - 1))).astype("<i2").view("<u2") if signed else values
    if signed:
        stored = stored & ((1 << bits) - 1)  # dcmtk wants the unused bits clear
    tool, *options = command.split()
    source = instance(stored, **stored_bits(bits), PixelRepresentation=int(signed))
    image = read_image(dcmtk(tool, *options, source=source, folder=tmp_path), UID)
    np.testing.assert_array_equal(image.values, values)
    assert image.pixel_sha256 == decode(source).pixel_sha256


@pytest.mark.parametrize("options", [["+fs", 1], ["+fs", 1, "-ot"], ["-ot"]], ids=str)
@pytest.mark.parametrize("tool", ["dcmcjpeg", "dcmcjpls"])
def test_frames_in_several_fragments_with_and_without_offset_table(
    tool: str, options: list[object], tmp_path: Path
) -> None:
    values = picture(12, 200, 150)
    path = dcmtk(tool, *options, source=instance(values), folder=tmp_path)
    np.testing.assert_array_equal(read_image(path, UID).values, values)


def test_jpeg_2000_as_pillow_reads_it() -> None:
    reference = np.asarray(Image.open(io.BytesIO(FRAMES[JPEG2000Lossless]))) >> 4  # Pillow scales 12 bits up to 16
    np.testing.assert_array_equal(decode(encapsulated(FRAMES[JPEG2000Lossless], JPEG2000Lossless)).values, reference)


def test_htj2k_as_openjph_reads_it() -> None:
    """The node decodes it with OpenJPEG, which notices a cut stream; OpenJPH is another implementation."""
    reference = imagecodecs.htj2k_decode(FRAMES[HTJ2KLossless])
    np.testing.assert_array_equal(decode(encapsulated(FRAMES[HTJ2KLossless], HTJ2KLossless)).values, reference)


@pytest.mark.parametrize("name", ["implicit", "bigendian", "RLE", "jpeg_ls_lossless", "jp2klossless", "padded"])
def test_signed_images_of_other_makers_are_one_image(name: str) -> None:
    """pydicom's samples: one MR image in several syntaxes, compressed by tools that are not ours."""
    plain, other = (Path(str(get_testdata_file(f"MR_small{each}.dcm"))) for each in ("", f"_{name}"))
    uids = [str(pydicom.dcmread(path).SOPInstanceUID) for path in (plain, other)]
    reference = pydicom.dcmread(plain).pixel_array
    image = read_image(other, uids[1])
    assert image.pixel_sha256 == hashlib.sha256(reference.astype("<i2").tobytes()).hexdigest()
    assert image.pixel_sha256 == read_image(plain, uids[0]).pixel_sha256


def test_rle_as_pydicom_reads_it() -> None:
    dataset = encapsulated(FRAMES[RLELossless], RLELossless)
    np.testing.assert_array_equal(decode(dataset).values, dataset.pixel_array)


def test_jpeg_extended_decodes_for_a_look_and_is_never_read(tmp_path: Path) -> None:
    """12-bit lossy JPEG: the inverse transform may round otherwise than dcmtk's by one."""
    smooth = np.add.outer(np.arange(96) * 20, np.arange(80) * 22).astype(np.uint16)
    packed = pydicom.dcmread(dcmtk("dcmcjpeg", "+ee", source=instance(smooth), folder=tmp_path))
    assert packed.file_meta.TransferSyntaxUID == JPEGExtended12Bit
    frame = get_frame(packed.PixelData, 0, number_of_frames=1)
    ours = decode(packed).values.astype(int)
    folder = tmp_path / "again"
    folder.mkdir()
    theirs = as_dcmtk_reads("dcmdjpeg", packed, folder).astype(int)
    assert abs(ours - theirs).max() <= 1
    assert len(frame) < smooth.nbytes / 4, "it must have lost something"
    packed.SeriesInstanceUID = packed.StudyInstanceUID = "1.2.3"
    packed.Modality, packed.ViewPosition, packed.ImageLaterality = "MG", "CC", "R"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reason = judge_view(View.from_dataset(packed), EligibilityRules())
    assert reason is not None
    assert reason.code is ReasonCode.LOSSY_COMPRESSION


# --- what stands in the cells besides the image


@pytest.mark.parametrize("high_bit", [11, 13, 15])
def test_overlays_in_the_unused_bits_are_not_image(high_bit: int) -> None:
    """Retired overlays lived there (PS3.3 C.9.2, Overlay Bit Position)."""
    shift = high_bit - 11
    overlay = (np.arange(picture().size).reshape(picture().shape) % 7 == 0).astype(np.uint16)
    cells = picture() << shift
    for bit in (bit for bit in range(16) if not shift <= bit <= high_bit):
        cells |= overlay << bit
    plain = instance(cells, HighBit=high_bit)
    plain.add_new(0x60000100, "US", 16)  # Overlay Bits Allocated
    plain.add_new(0x60000102, "US", 15 if high_bit < 15 else 0)  # Overlay Bit Position
    np.testing.assert_array_equal(decode(plain).values, picture())


def with_padding(vr: str, value: int, limit: int | None = None, **elements: object) -> Dataset:
    dataset = instance(elements.pop("values", picture()), **elements)  # type: ignore[arg-type]
    dataset.add_new(0x00280120, vr, value)
    if limit is not None:
        dataset.add_new(0x00280121, vr, limit)
    return dataset


@pytest.mark.parametrize(("value", "limit"), [(0, 30), (30, 0), (4000, 4095), (7, None)])
@pytest.mark.parametrize("inverted", [False, True])
def test_a_range_of_padding_is_black(value: int, limit: int | None, inverted: bool) -> None:
    photometric = "MONOCHROME1" if inverted else "MONOCHROME2"
    image = decode(with_padding("US", value, limit, PhotometricInterpretation=photometric))
    low, high = sorted((value, value if limit is None else limit))
    padding = (picture() >= low) & (picture() <= high)
    np.testing.assert_array_equal(image.values, np.where(padding, 0, 4095 - picture() if inverted else picture()))


@pytest.mark.parametrize(("vr", "value"), [("SS", -2000), ("US", 63536)])
def test_padding_of_signed_values_whichever_way_it_is_written(vr: str, value: int) -> None:
    signed = picture(12).astype(np.int16) - 2048
    signed[5] = -2000
    image = decode(with_padding(vr, value, values=signed.view(np.uint16), PixelRepresentation=1))
    np.testing.assert_array_equal(image.values, np.where(signed == -2000, 0, signed + 2048))


def test_padding_outside_the_stored_bits_is_seen_before_they_are_dropped() -> None:
    cells = picture()
    cells[3:9] = 0xFFFF
    expected = picture()
    expected[3:9] = 0
    np.testing.assert_array_equal(decode(with_padding("US", 0xFFFF, values=cells)).values, expected)
