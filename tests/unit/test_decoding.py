"""Stored pixels of every lossless syntax, bit for bit, and the exact code of what cannot be decoded."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import (
    HTJ2K,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from ai.decoding import PixelError, decode, read_image
from ai.reasons import ReasonCode
from tests.support import require_tool, shared_data
from tests.support_pixels import ROWS, UID, encapsulated, instance, picture, refusal


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_uncompressed_syntaxes_through_a_file(syntax: str, tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    instance(picture(), syntax).save_as(path, enforce_file_format=True)
    image = read_image(path, UID)
    np.testing.assert_array_equal(image.values, picture())
    assert image.max_value == 4095
    assert image.pixel_sha256 == hashlib.sha256(picture().astype("<u2").tobytes()).hexdigest()


@pytest.mark.parametrize("command", ["dcmcjpls", "dcmcrle", *(f"dcmcjpeg +el +sv {n}" for n in range(1, 8))])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_what_dcmtk_compresses_comes_back_bit_for_bit(command: str, bits: int, tmp_path: Path) -> None:
    tool, *options = command.split()
    plain, packed = tmp_path / "plain.dcm", tmp_path / "packed.dcm"
    instance(picture(bits), BitsStored=bits, HighBit=bits - 1).save_as(plain, enforce_file_format=True)
    subprocess.run([require_tool(tool), *options, plain, packed], check=True, capture_output=True)
    assert pydicom.dcmread(packed).file_meta.TransferSyntaxUID != ExplicitVRLittleEndian
    image = read_image(packed, UID)
    np.testing.assert_array_equal(image.values, picture(bits))
    assert image.pixel_sha256 == read_image(plain, UID).pixel_sha256


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_jpeg_2000_comes_back_bit_for_bit(syntax: str) -> None:
    if syntax == JPEG2000Lossless:
        frame = imagecodecs.jpeg2k_encode(picture(), codecformat="j2k", reversible=True, level=0, bitspersample=12)
    else:
        frame = imagecodecs.htj2k_encode(picture())
    np.testing.assert_array_equal(decode(encapsulated(frame, syntax)).values, picture())


def test_a_real_mammogram_decodes_as_dcmtk_decodes_it(tmp_path: Path) -> None:
    source = shared_data("dicom") / "ge_essential_rmlo_jpeg_lossless.dcm"
    plain = tmp_path / "plain.dcm"
    subprocess.run([require_tool("dcmdjpeg"), source, plain], check=True, capture_output=True)
    reference = pydicom.dcmread(plain)
    stored = np.frombuffer(reference.PixelData, "<u2").reshape(reference.Rows, reference.Columns)
    image = read_image(source, str(reference.SOPInstanceUID))
    assert image.pixel_sha256 == hashlib.sha256(stored.tobytes()).hexdigest(), "stored values differ from dcmtk's"
    in_range = (stored >= reference.PixelPaddingValue) & (stored <= reference.PixelPaddingRangeLimit)
    np.testing.assert_array_equal(image.values, np.where(in_range, 0, stored))


def test_monochrome1_is_inverted_and_hashed_as_stored() -> None:
    image = decode(instance(picture(), PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(image.values, 4095 - picture())
    assert image.pixel_sha256 == decode(instance(picture())).pixel_sha256


def test_signed_values_are_shifted_up_in_order() -> None:
    signed = (picture().astype(np.int16) - 2048).astype("<i2")
    image = decode(instance(signed.view("<u2"), PixelRepresentation=1))
    np.testing.assert_array_equal(image.values, picture())
    assert image.pixel_sha256 == hashlib.sha256(signed.tobytes()).hexdigest()


def test_bits_above_bits_stored_are_dropped() -> None:
    np.testing.assert_array_equal(decode(instance(picture() | 0xF000)).values, picture())


def test_values_at_a_high_bit_are_brought_down() -> None:
    np.testing.assert_array_equal(decode(instance(picture() << 4, HighBit=15)).values, picture())


def test_eight_bits_allocated() -> None:
    values = (picture() >> 4).astype(np.uint8)
    image = decode(instance(values, BitsAllocated=8, BitsStored=8, HighBit=7))
    np.testing.assert_array_equal(image.values, values)
    assert image.max_value == 255


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_black_either_way(photometric: str) -> None:
    padded = instance(picture(), PhotometricInterpretation=photometric, PixelPaddingValue=4095)
    padded["PixelPaddingValue"].VR = "US"
    assert (decode(padded).values[picture() == 4095] == 0).all()


def test_images_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        decode(instance(picture())).values[0, 0] = 1


JPEG = imagecodecs.ljpeg_encode(picture(), bitspersample=12)


@pytest.mark.parametrize(
    ("dataset", "code"),
    [
        (instance(picture()[:-1], Rows=ROWS), ReasonCode.PIXEL_DATA_SHORT),
        (encapsulated(JPEG[: len(JPEG) // 2], JPEGLosslessSV1), ReasonCode.PIXEL_DATA_SHORT),
        (encapsulated(JPEG, JPEGLosslessSV1, Rows=ROWS + 1), ReasonCode.PIXEL_DATA_UNDECODABLE),
        (encapsulated(b"\x00" * 100 + b"\xff\xd9", JPEGLosslessSV1), ReasonCode.PIXEL_DATA_UNDECODABLE),
        (encapsulated(b"no codestream", JPEG2000Lossless), ReasonCode.PIXEL_DATA_UNDECODABLE),
        (encapsulated(b"\x02" + bytes(70), RLELossless), ReasonCode.PIXEL_DATA_UNDECODABLE),
        (instance(picture(), JPEGLosslessSV1), ReasonCode.PIXEL_DATA_UNDECODABLE),
        (instance(picture(), "1.2.840.10008.1.2.4.100"), ReasonCode.TRANSFER_SYNTAX),
        (instance(picture(), BitsAllocated=32), ReasonCode.BIT_DEPTH),
        (instance(picture(), BitsStored=17), ReasonCode.BIT_DEPTH),
        (instance(picture(), BitsStored=None), ReasonCode.BIT_DEPTH),
        (instance(picture(), PhotometricInterpretation="RGB"), ReasonCode.PHOTOMETRIC_INTERPRETATION),
        (instance(picture(), SamplesPerPixel=3), ReasonCode.PHOTOMETRIC_INTERPRETATION),
        (instance(picture(), NumberOfFrames="3"), ReasonCode.TOMOSYNTHESIS),
        (instance(picture(), Rows=None), ReasonCode.MATRIX_SIZE),
    ],
)
def test_what_cannot_be_decoded_has_its_code(dataset: Dataset, code: ReasonCode) -> None:
    assert refusal(dataset) is code


def test_missing_and_empty_pixel_data() -> None:
    missing, empty = instance(picture()), instance(picture())
    del missing.PixelData
    empty.PixelData = b""
    assert refusal(missing) is ReasonCode.PIXEL_DATA_MISSING
    assert refusal(empty) is ReasonCode.PIXEL_DATA_MISSING


def test_a_file_that_is_not_this_instance(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    instance(picture()).save_as(path, enforce_file_format=True)
    whole = path.read_bytes()
    cut, noise = tmp_path / "cut.dcm", tmp_path / "noise.dcm"
    cut.write_bytes(whole[:200])
    noise.write_bytes(bytes(range(256)) * 4)
    for file, uid in ((path, "1.2.3"), (tmp_path / "none.dcm", UID), (cut, UID), (noise, UID)):
        with pytest.raises(PixelError) as caught:
            read_image(file, uid)
        assert caught.value.code is ReasonCode.INSTANCE_UNREADABLE, f"{file.name} as {uid}"


def test_a_file_cut_in_its_pixel_data_is_short(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    instance(picture()).save_as(path, enforce_file_format=True)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(PixelError) as caught:
        read_image(path, UID)
    assert caught.value.code is ReasonCode.PIXEL_DATA_SHORT
