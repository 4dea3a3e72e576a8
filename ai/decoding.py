"""Stored instance → pixel values. One decoder per lossless transfer syntax that mammography uses (PS3.5 A.4).

The values come out as displayed and ready to share: unsigned, MONOCHROME1 inverted, padding at 0. Whatever keeps
them from that is a `PixelError` with its reason code; nothing here guesses.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from ai.reasons import Reason, ReasonCode

_UNCOMPRESSED = frozenset(
    (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
)
_Codec = Callable[[bytes], Any]


def _jpeg(frame: bytes) -> Any:
    """JPEG of any process. libjpeg fills a cut stream with grey instead of failing: its end must be there."""
    if not frame.rstrip(b"\x00").endswith(b"\xff\xd9"):
        raise PixelError(ReasonCode.PIXEL_DATA_SHORT, "JPEG stream without an end")
    return imagecodecs.jpeg_decode(frame)


# Lossy syntaxes decode too, for the preview of an image that eligibility then refuses.
_CODECS: Mapping[str, _Codec] = {
    JPEGBaseline8Bit: _jpeg,
    JPEGExtended12Bit: _jpeg,
    JPEGLossless: _jpeg,
    JPEGLosslessSV1: _jpeg,
    JPEGLSLossless: imagecodecs.jpegls_decode,
    JPEGLSNearLossless: imagecodecs.jpegls_decode,
    JPEG2000Lossless: imagecodecs.jpeg2k_decode,
    JPEG2000: imagecodecs.jpeg2k_decode,
    HTJ2KLossless: imagecodecs.jpeg2k_decode,
    HTJ2KLosslessRPCL: imagecodecs.jpeg2k_decode,
    HTJ2K: imagecodecs.jpeg2k_decode,
}


class PixelError(Exception):
    """An image whose pixels cannot be used. `code` says why; `detail` holds no patient's name or ID."""

    def __init__(self, code: ReasonCode, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else str(code))
        self.code = code
        self.detail = detail

    def reason(self, sop_instance_uid: str) -> Reason:
        """As the reason for leaving out that image."""
        return Reason(self.code, sop_instance_uid, self.detail)


@dataclass(frozen=True, slots=True, eq=False)
class StoredImage:
    """One image's pixels as displayed: `values` (rows × columns, uint16), 0 the darkest, at most `max_value`.

    pixel_sha256: of the stored values themselves, 16-bit little-endian, row by row, before any inversion.
    """

    sop_instance_uid: str
    values: NDArray[np.uint16]
    max_value: int
    pixel_sha256: str


def read_image(path: Path, sop_instance_uid: str) -> StoredImage:
    """Decode the stored instance at `path`, which must be the image named.

    Raises PixelError: INSTANCE_UNREADABLE (no such file, no DICOM, another instance), PIXEL_DATA_MISSING, _SHORT,
    _UNDECODABLE, TRANSFER_SYNTAX, BIT_DEPTH, PHOTOMETRIC_INTERPRETATION.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of odd values elsewhere in the header; `View` judged those
        try:
            dataset = dcmread(path)
        except (OSError, EOFError, InvalidDicomError) as error:
            raise PixelError(ReasonCode.INSTANCE_UNREADABLE, type(error).__name__) from error
        except Exception as error:  # a damaged file fails pydicom's parser in many ways
            raise PixelError(ReasonCode.INSTANCE_UNREADABLE, f"not parsable: {type(error).__name__}") from error
        if str(dataset.get("SOPInstanceUID", "")) != sop_instance_uid:
            raise PixelError(ReasonCode.INSTANCE_UNREADABLE, "the file does not hold this instance")
        return decode(dataset)


def decode(dataset: Dataset) -> StoredImage:
    """The pixels of an instance read with its file meta information. Raises PixelError as `read_image` does."""
    layout = _Layout.of(dataset)
    if "PixelData" not in dataset or not dataset.PixelData:
        raise PixelError(ReasonCode.PIXEL_DATA_MISSING)
    syntax = str(getattr(dataset.file_meta, "TransferSyntaxUID", ""))
    if syntax in _UNCOMPRESSED:
        raw = _uncompressed(dataset.PixelData, layout, big_endian=syntax == ExplicitVRBigEndian)
    elif syntax == RLELossless:
        raw = _rle(_frame(dataset), layout)
    elif syntax in _CODECS:
        raw = _compressed(_frame(dataset), layout, _CODECS[syntax])
    else:
        raise PixelError(ReasonCode.TRANSFER_SYNTAX, syntax)
    return _as_displayed(raw, layout, str(dataset.SOPInstanceUID))


def decode_frame(frame: bytes, transfer_syntax_uid: str) -> NDArray[np.generic]:
    """A compressed frame's stored values as its codec gives them: rows × columns, × 3 in colour (as RGB).

    Not for RLE, whose frames do not say their size: see `decode_rle_frame`. Raises PixelError.
    """
    codec = _CODECS.get(transfer_syntax_uid)
    if codec is None:
        raise PixelError(ReasonCode.TRANSFER_SYNTAX, transfer_syntax_uid)
    return _codec_values(frame, codec)


def decode_rle_frame(frame: bytes, bits_allocated: int, count: int) -> NDArray[np.generic]:
    """The `count` values of an RLE frame (PS3.5 G), plane by plane, 8 or 16 bits each. Raises PixelError."""
    width = bits_allocated // 8
    try:
        data = imagecodecs.dicomrle_decode(frame, f"<u{width}")
    except Exception as error:
        raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, f"RLE: {type(error).__name__}") from error
    if len(data) < count * width:
        raise PixelError(ReasonCode.PIXEL_DATA_SHORT, f"{len(data)} of {count * width} bytes")
    return np.frombuffer(data, f"<u{width}", count)


@dataclass(frozen=True, slots=True)
class _Layout:
    """The Image Pixel Module (PS3.3 C.7.6.3) as far as decoding needs it."""

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    inverted: bool
    padding: tuple[int, int] | None

    @classmethod
    def of(cls, dataset: Dataset) -> _Layout:
        bits_allocated, bits_stored = _integer(dataset, "BitsAllocated"), _integer(dataset, "BitsStored")
        if bits_allocated not in (8, 16) or not 1 <= bits_stored <= bits_allocated:
            raise PixelError(ReasonCode.BIT_DEPTH, f"{bits_stored} of {bits_allocated} bits")
        photometric = str(dataset.get("PhotometricInterpretation", ""))
        if photometric not in ("MONOCHROME1", "MONOCHROME2") or _integer(dataset, "SamplesPerPixel", 1) != 1:
            raise PixelError(ReasonCode.PHOTOMETRIC_INTERPRETATION, f"'{photometric}'")
        if _integer(dataset, "NumberOfFrames", 1) > 1:
            raise PixelError(ReasonCode.TOMOSYNTHESIS, "more than one frame")
        rows, columns = _integer(dataset, "Rows"), _integer(dataset, "Columns")
        if rows < 1 or columns < 1:
            raise PixelError(ReasonCode.MATRIX_SIZE, f"{rows} × {columns}")
        high_bit = _integer(dataset, "HighBit", bits_stored - 1)
        return cls(
            rows=rows,
            columns=columns,
            bits_allocated=bits_allocated,
            bits_stored=bits_stored,
            high_bit=high_bit if bits_stored - 1 <= high_bit < bits_allocated else bits_stored - 1,
            signed=_integer(dataset, "PixelRepresentation") == 1,
            inverted=photometric == "MONOCHROME1",
            padding=_padding(dataset),
        )


def _integer(dataset: Dataset, keyword: str, default: int = 0) -> int:
    try:
        value = dataset.get(keyword)
        return default if value is None or value == "" else int(value)
    except (TypeError, ValueError):
        return default


def _padding(dataset: Dataset) -> tuple[int, int] | None:
    """Stored values that are no image (PS3.3 C.7.5.1.1.2): one, or a range to Pixel Padding Range Limit."""
    if dataset.get("PixelPaddingValue") is None:
        return None
    value = _integer(dataset, "PixelPaddingValue")
    limit = _integer(dataset, "PixelPaddingRangeLimit", value)
    return min(value, limit), max(value, limit)


def _frame(dataset: Dataset) -> bytes:
    """The one frame, whose fragments may be several."""
    try:
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    except Exception as error:  # the offsets and items are the sender's; any fault in them means the same
        raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, f"encapsulation: {type(error).__name__}") from error
    if not frame:
        raise PixelError(ReasonCode.PIXEL_DATA_MISSING, "empty frame")
    return frame


def _uncompressed(data: bytes, layout: _Layout, *, big_endian: bool) -> NDArray[np.generic]:
    count, width = layout.rows * layout.columns, layout.bits_allocated // 8
    if len(data) < count * width:
        raise PixelError(ReasonCode.PIXEL_DATA_SHORT, f"{len(data)} of {count * width} bytes")
    kind = "u1" if width == 1 else ">u2" if big_endian else "<u2"
    return np.frombuffer(data, kind, count).reshape(layout.rows, layout.columns)


def _rle(frame: bytes, layout: _Layout) -> NDArray[np.generic]:
    values = decode_rle_frame(frame, layout.bits_allocated, layout.rows * layout.columns)
    return values.reshape(layout.rows, layout.columns)


def _codec_values(frame: bytes, codec: _Codec) -> NDArray[np.generic]:
    try:
        return np.asarray(codec(frame))
    except PixelError:
        raise
    except Exception as error:  # codecs raise their own types; for us they all mean this
        raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, type(error).__name__) from error


def _compressed(frame: bytes, layout: _Layout, codec: _Codec) -> NDArray[np.generic]:
    raw = _codec_values(frame, codec)
    if raw.shape != (layout.rows, layout.columns):
        shape = " × ".join(map(str, raw.shape))
        raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, f"decoded to {shape}, not {layout.rows} × {layout.columns}")
    if raw.dtype.kind not in "ui" or raw.dtype.itemsize > 2:
        raise PixelError(ReasonCode.BIT_DEPTH, f"decoded to {raw.dtype}")
    return raw


def _as_displayed(raw: NDArray[np.generic], layout: _Layout, sop_instance_uid: str) -> StoredImage:
    """Drop unused bits, hash, shift signed values up, invert MONOCHROME1, put padding at 0."""
    mask, sign = (1 << layout.bits_stored) - 1, 1 << (layout.bits_stored - 1)
    values = raw.astype(np.uint16)
    if shift := layout.high_bit + 1 - layout.bits_stored:
        values >>= shift
    values &= mask
    stored = (values ^ sign).astype(np.int32) - sign if layout.signed else values
    digest = hashlib.sha256(stored.astype("<i2" if layout.signed else "<u2").tobytes()).hexdigest()
    if layout.signed:
        values ^= sign
    if layout.inverted:
        np.subtract(mask, values, out=values)
    if layout.padding is not None:
        low, high = layout.padding
        values[(stored >= low) & (stored <= high)] = 0
    values.flags.writeable = False
    return StoredImage(sop_instance_uid, values, mask, digest)
