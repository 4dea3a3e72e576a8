"""Damaged, cut, oversized and misleading pixel data: a clear reason, no other image, bounded memory."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from ai.decoding import PixelError, StoredImage, decode, read_image
from ai.reasons import ReasonCode
from tests.support_pixels import (
    COLUMNS,
    FRAMES,
    ROWS,
    UID,
    encapsulated,
    file_refusal,
    fragmented,
    instance,
    picture,
    refusal,
    written,
)

SHORT, UNDECODABLE = ReasonCode.PIXEL_DATA_SHORT, ReasonCode.PIXEL_DATA_UNDECODABLE
LOSSY, MATRIX = ReasonCode.LOSSY_COMPRESSION, ReasonCode.MATRIX_SIZE
#: What damage to pixel data may be called; it may also make the stream claim another depth, or to be lossy.
DAMAGE = {SHORT, UNDECODABLE, LOSSY, ReasonCode.BIT_DEPTH, ReasonCode.PIXEL_DATA_MISSING}
SYNTAXES = [JPEGLosslessSV1, JPEGLossless, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless, RLELossless]


def outcome(dataset: Dataset) -> StoredImage | ReasonCode:
    try:
        return decode(dataset)
    except PixelError as error:
        return error.code


# --- lossless JPEG: its decoders never complain


def jpeg(predictor: int = 1) -> bytes:
    return bytes(imagecodecs.jpeg8_encode(picture(), lossless=True, predictor=predictor, bitspersample=12))


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (lambda frame, at: frame[:at] + b"\xff\xd9", SHORT),
        (lambda frame, at: frame[:at] + frame[at + 40 :], SHORT),
        (lambda frame, at: frame[:at] + frame[at - 40 :], UNDECODABLE),
        (lambda frame, at: frame[:at] + b"\xff\xc4" + frame[at:], UNDECODABLE),
        (lambda frame, at: frame[:at], SHORT),
    ],
    ids=["ends early", "a hole", "said twice", "a marker inside", "no end"],
)
def test_a_lossless_jpeg_must_account_for_its_bytes(
    predictor: int, damage: Callable[[bytes, int], bytes], code: ReasonCode
) -> None:
    """The codec behind answers most of these with a grey image, and success."""
    frame = damage(jpeg(predictor), len(jpeg(predictor)) // 2)
    found = refusal(encapsulated(frame, JPEGLossless))
    assert found in {SHORT, UNDECODABLE}
    assert found is code or code is SHORT, "a hole may also shift what follows until too much is left"


def test_the_codec_alone_would_have_passed_it() -> None:
    """The reason for the check; should this fail one day, the codec has learnt to complain."""
    half = jpeg()[: len(jpeg()) // 2] + b"\xff\xd9"
    assert imagecodecs.jpeg8_decode(half).shape == (ROWS, COLUMNS)


def test_bytes_after_the_end_are_nobodys() -> None:
    for tail in (b"\0", b"\xff\xff", jpeg()):
        np.testing.assert_array_equal(decode(encapsulated(jpeg() + tail, JPEGLosslessSV1)).values, picture())


def with_restarts(rows_written: int = ROWS) -> bytes:
    """A lossless JPEG whose every row is a restart interval, with a code of five bits for each category."""

    def segment(marker: int, content: bytes) -> bytes:
        return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content

    def coded(row: list[int]) -> bytes:
        bits = ""
        for value, left in zip(row, [2048, *row], strict=False):
            difference = value - left
            category = abs(difference).bit_length()
            extra = difference if difference > 0 else difference + (1 << category) - 1
            bits += f"{category:05b}" + (f"{extra:0{category}b}" if category else "")
        bits += "1" * (-len(bits) % 8)
        return int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")

    table = bytes((0, 0, 0, 0, 0, 17, *[0] * 11, *range(17)))
    header = segment(0xC3, struct.pack(">BHHB3B", 12, ROWS, COLUMNS, 1, 1, 0x11, 0)) + segment(0xC4, table)
    header += segment(0xDD, struct.pack(">H", COLUMNS)) + segment(0xDA, bytes((1, 1, 0, 1, 0, 0)))
    scans = [coded([int(value) for value in row]) for row in picture()[:rows_written]]
    joined = b"".join(scan + bytes((0xFF, 0xD0 + number % 8)) for number, scan in enumerate(scans))
    return b"\xff\xd8" + header + joined[:-2] + b"\xff\xd9"


def test_restart_intervals_are_counted() -> None:
    np.testing.assert_array_equal(decode(encapsulated(with_restarts(), JPEGLosslessSV1)).values, picture())
    assert refusal(encapsulated(with_restarts(ROWS - 1), JPEGLosslessSV1)) is UNDECODABLE


# --- what calls itself lossless


def point_transform() -> bytes:
    at = jpeg().index(b"\xff\xda")
    return jpeg()[: at + 9] + b"\x02" + jpeg()[at + 10 :]


@pytest.mark.parametrize(
    ("frame", "syntax"),
    [
        (imagecodecs.jpeg8_encode((picture() >> 4).astype(np.uint8), level=95), JPEGLosslessSV1),
        (point_transform(), JPEGLosslessSV1),
        (imagecodecs.jpegls_encode(picture(), level=2), JPEGLSLossless),
        (imagecodecs.jpeg2k_encode(picture(), codecformat="j2k", reversible=False, level=60), JPEG2000Lossless),
        (imagecodecs.htj2k_encode(picture(), reversible=False, level=0.01), HTJ2KLossless),
    ],
    ids=["JPEG DCT", "JPEG point transform", "JPEG-LS NEAR", "JPEG 2000 9-7", "HTJ2K 9-7"],
)
def test_a_lossy_stream_in_a_lossless_syntax_is_told_as_lossy(frame: bytes, syntax: str) -> None:
    assert refusal(encapsulated(bytes(frame), syntax)) is LOSSY


# --- cut and altered at random


@pytest.mark.parametrize("syntax", SYNTAXES)
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_a_stream_cut_anywhere_is_never_another_image(syntax: str, data: st.DataObject) -> None:
    frame = FRAMES[syntax]
    at = data.draw(st.integers(0, len(frame) - 1), "cut at")
    dataset = encapsulated(frame, syntax)
    dataset.PixelData = fragmented(frame[:at], ())
    found = outcome(dataset)
    if isinstance(found, StoredImage):
        assert at >= len(frame) - 3, f"{len(frame) - at} bytes are missing and nobody noticed"
        np.testing.assert_array_equal(found.values, picture())
    else:
        assert found in DAMAGE


@pytest.mark.parametrize("syntax", SYNTAXES)
@settings(max_examples=250, deadline=None)
@given(
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=4),
    header_only=st.booleans(),
)
def test_altered_bytes_give_an_image_of_that_size_or_a_reason(
    syntax: str, changes: list[tuple[float, int]], header_only: bool
) -> None:
    """A changed bit of a difference cannot be told from the image; everything else must be told, and nothing crash."""
    frame = bytearray(FRAMES[syntax])
    reach = min(len(frame), 120) if header_only else len(frame)
    for share, value in changes:
        frame[int(share * reach)] = value
    found = outcome(encapsulated(bytes(frame), syntax))
    if isinstance(found, StoredImage):
        assert found.values.shape == (ROWS, COLUMNS)
        assert found.values.max() <= found.max_value
    else:
        assert found in DAMAGE


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(SYNTAXES), st.booleans())
def test_any_bytes_at_all(content: bytes, syntax: str, raw: bool) -> None:
    dataset = encapsulated(content, syntax)
    if raw:
        dataset.PixelData = content
    found = outcome(dataset)
    assert found in DAMAGE, "noise was taken for an image"


FILES = {
    syntax: written(instance(picture(), syntax) if syntax not in FRAMES else encapsulated(FRAMES[syntax], syntax))
    for syntax in (ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, JPEGLosslessSV1, RLELossless)
}


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("damaged") / "image.dcm"


@settings(max_examples=300, deadline=None)
@given(
    syntax=st.sampled_from(sorted(FILES)),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3),
    kept=st.one_of(st.just(1.0), st.floats(0, 1)),
)
def test_a_damaged_file_gives_an_image_or_a_reason(
    damaged: Path, syntax: str, changes: list[tuple[float, int]], kept: float
) -> None:
    content = bytearray(FILES[syntax])
    for share, value in changes:
        content[int(share * min(len(content), 700))] = value
    damaged.write_bytes(content[: int(kept * len(content))])
    try:
        found: object = read_image(damaged, UID).values.size
    except PixelError as error:
        found = error.code
    assert found


# --- fragments and offset tables


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize(
    ("sizes", "table"),
    [
        ((), b""),
        ((), b"\0\0\0\0"),
        ((2, 100, 36), b""),
        ((500,), struct.pack("<2I", 0, 508)),
        ((500,), struct.pack("<I", 0xFFFFFFF0)),
        ((100, 200), None),
    ],
    ids=["empty table", "table", "four fragments", "an offset for each fragment", "a wrong offset", "no table"],
)
def test_one_frame_is_all_fragments_whatever_the_tables_say(
    syntax: str, sizes: tuple[int, ...], table: bytes | None
) -> None:
    dataset = encapsulated(FRAMES[syntax], syntax)
    dataset.PixelData = fragmented(FRAMES[syntax], sizes, table)
    np.testing.assert_array_equal(decode(dataset).values, picture())


def test_an_extended_offset_table_changes_nothing() -> None:
    dataset = encapsulated(FRAMES[JPEGLosslessSV1], JPEGLosslessSV1)
    dataset.PixelData = fragmented(FRAMES[JPEGLosslessSV1], (), b"")
    dataset.ExtendedOffsetTable = struct.pack("<Q", 0)
    dataset.ExtendedOffsetTableLengths = struct.pack("<Q", len(FRAMES[JPEGLosslessSV1]))
    np.testing.assert_array_equal(decode(dataset).values, picture())


@pytest.mark.parametrize(
    ("encoded", "code"),
    [
        (fragmented(b"", ()), ReasonCode.PIXEL_DATA_MISSING),
        (fragmented(jpeg(), (100,))[:300], SHORT),
        (b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\xff\xff\xff\xff" + jpeg(), UNDECODABLE),
        (b"\xfe\xff\x00\xe0\0\0\0\0" + jpeg(), UNDECODABLE),
        (jpeg(), UNDECODABLE),
        (picture().tobytes(), UNDECODABLE),
    ],
    ids=["no fragment", "cut", "an item without length", "no item", "the bare stream", "uncompressed"],
)
def test_broken_encapsulation(encoded: bytes, code: ReasonCode) -> None:
    dataset = encapsulated(jpeg(), JPEGLosslessSV1)
    dataset.PixelData = encoded
    assert refusal(dataset) is code


# --- the header promises something else


def test_more_pixel_data_than_the_header_tells_of() -> None:
    """Half the rows of an image are no image; a little padding at its end is."""
    assert refusal(instance(picture(), Rows=ROWS // 2)) is UNDECODABLE
    padded = instance(picture())
    padded.PixelData += bytes(100)
    np.testing.assert_array_equal(decode(padded).values, picture())


def test_compressed_data_in_an_uncompressed_syntax() -> None:
    dataset = encapsulated(FRAMES[JPEGLosslessSV1], JPEGLosslessSV1, Rows=20, Columns=20)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert refusal(dataset) is UNDECODABLE


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("rows", [ROWS - 1, ROWS + 1])
def test_a_frame_of_another_height(syntax: str, rows: int) -> None:
    assert refusal(encapsulated(FRAMES[syntax], syntax, Rows=rows)) in {SHORT, UNDECODABLE}


@pytest.mark.parametrize("rows", [61, 60])
@pytest.mark.parametrize("columns", [43, 42])
def test_odd_lengths_of_eight_bit_images(rows: int, columns: int) -> None:
    values = picture(8, rows, columns).astype(np.uint8)
    np.testing.assert_array_equal(decode(instance(values)).values, values)


def test_a_deflated_file_without_the_length_of_its_meta_information_is_not_inflated(tmp_path: Path) -> None:
    content = bytearray(FILES[DeflatedExplicitVRLittleEndian])
    del content[132:144]
    path = tmp_path / "image.dcm"
    path.write_bytes(content)
    assert file_refusal(path) is ReasonCode.INSTANCE_UNREADABLE
