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
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import generate_fragments
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

from ai import deflated, elements, lossless_jpeg
from ai.codestreams import Codestream, Cut, Malformed, read_jpeg, read_jpeg_2000
from ai.image_pixel import MOST_PIXELS, ImagePixel, PixelError
from ai.reasons import ReasonCode

__all__ = ["PixelError", "StoredImage", "decode", "decode_frame", "decode_rle_frame", "read_image"]

_UNCOMPRESSED = frozenset(
    (ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian)
)
_Codec = Callable[[bytes], Any]
_Header = Callable[[bytes], Codestream]
_JPEG: tuple[_Header, _Codec] = (read_jpeg, imagecodecs.jpeg8_decode)
_JPEG_LS: tuple[_Header, _Codec] = (read_jpeg, imagecodecs.jpegls_decode)
_JPEG_2000: tuple[_Header, _Codec] = (read_jpeg_2000, imagecodecs.jpeg2k_decode)

_LOSSLESS: Mapping[str, tuple[_Header, _Codec]] = {
    JPEGLossless: _JPEG,
    JPEGLosslessSV1: _JPEG,
    JPEGLSLossless: _JPEG_LS,
    JPEG2000Lossless: _JPEG_2000,
    HTJ2KLossless: _JPEG_2000,
    HTJ2KLosslessRPCL: _JPEG_2000,
}
# These decode too, for the preview of an image that eligibility then refuses.
_LOSSY: Mapping[str, tuple[_Header, _Codec]] = {
    JPEGBaseline8Bit: _JPEG,
    JPEGExtended12Bit: _JPEG,
    JPEGLSNearLossless: _JPEG_LS,
    JPEG2000: _JPEG_2000,
    HTJ2K: _JPEG_2000,
}

#: How the streams begin, and an RLE header (PS3.5 G.5) of one or two segments.
_STREAM_STARTS = (b"\xff\xd8", b"\xff\x4f", b"\0\0\0\x0cjP", b"\1\0\0\0\x40\0\0\0", b"\2\0\0\0\x40\0\0\0")
_MOST_INFLATED = 2 * MOST_PIXELS + (64 << 20)


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
    _UNDECODABLE, LOSSY_COMPRESSION (in a stream that ought to be lossless), TRANSFER_SYNTAX, MATRIX_SIZE, BIT_DEPTH,
    PHOTOMETRIC_INTERPRETATION, TOMOSYNTHESIS (several frames). A MemoryError, which says nothing of the image,
    is passed on.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of odd values elsewhere in the header; `View` judged those
        try:
            dataset = deflated.read_file(path, _MOST_INFLATED)
        except deflated.InflatesTooFar as error:
            raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, str(error)) from error
        except MemoryError:
            raise
        except (OSError, EOFError, InvalidDicomError) as error:
            raise PixelError(ReasonCode.INSTANCE_UNREADABLE, type(error).__name__) from error
        except Exception as error:  # a damaged file fails pydicom's parser in many ways
            raise PixelError(ReasonCode.INSTANCE_UNREADABLE, f"not parsable: {type(error).__name__}") from error
        if elements.text(dataset, "SOPInstanceUID") != sop_instance_uid:
            raise PixelError(ReasonCode.INSTANCE_UNREADABLE, "the file does not hold this instance")
        return decode(dataset)


def decode(dataset: Dataset) -> StoredImage:
    """The pixels of an instance read with its file meta information. Raises PixelError as `read_image` does."""
    layout = ImagePixel.of(dataset)
    data = elements.value(dataset, "PixelData")
    if not data or not isinstance(data, bytes):
        raise PixelError(ReasonCode.PIXEL_DATA_MISSING)
    syntax = elements.text(dataset.file_meta, "TransferSyntaxUID")
    if syntax in _UNCOMPRESSED:
        raw = _uncompressed(dataset["PixelData"], layout, big_endian=syntax == ExplicitVRBigEndian)
    elif syntax == RLELossless:
        raw = _rle(_frame(data), layout)
    elif syntax in _LOSSLESS:
        raw = _compressed(_frame(data), layout, *_LOSSLESS[syntax], lossless=True)
    elif syntax in _LOSSY:
        raw = _compressed(_frame(data), layout, *_LOSSY[syntax], lossless=False)
    else:
        raise PixelError(ReasonCode.TRANSFER_SYNTAX, syntax)
    return _as_displayed(raw, layout, elements.text(dataset, "SOPInstanceUID"))


def decode_frame(frame: bytes, transfer_syntax_uid: str) -> NDArray[np.generic]:
    """A compressed frame's stored values as its codec gives them: rows × columns, × 3 in colour (as RGB).

    Not for RLE, whose frames do not say their size: see `decode_rle_frame`. Raises PixelError.
    """
    known = {**_LOSSLESS, **_LOSSY}.get(transfer_syntax_uid)
    if known is None:
        raise PixelError(ReasonCode.TRANSFER_SYNTAX, transfer_syntax_uid)
    header, codec = known
    try:
        told = header(frame)
        if told.rows * told.columns > MOST_PIXELS:
            raise PixelError(ReasonCode.MATRIX_SIZE, f"{told.rows} × {told.columns}")
        return np.asarray(codec(frame))
    except (PixelError, MemoryError):
        raise
    except Exception as error:  # codecs raise their own types; for us they all mean this
        raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, type(error).__name__) from error


def decode_rle_frame(frame: bytes, bits_allocated: int, count: int) -> NDArray[np.generic]:
    """The `count` values of an RLE frame (PS3.5 G), plane by plane, 8 or 16 bits each. Raises PixelError."""
    width = bits_allocated // 8
    try:
        data = imagecodecs.dicomrle_decode(frame, f"<u{width}", out=count * width)
    except MemoryError:
        raise
    except Exception as error:
        raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, f"RLE: {type(error).__name__}") from error
    if len(data) < count * width:
        raise PixelError(ReasonCode.PIXEL_DATA_SHORT, f"{len(data)} of {count * width} bytes")
    return np.frombuffer(data, f"<u{width}", count)


def _frame(data: bytes) -> bytes:
    """The one frame: all fragments together, whatever the offset tables say of them (PS3.5 A.4)."""
    try:
        first, *fragments = generate_fragments(data)
    except MemoryError:
        raise
    except Exception as error:  # the items are the sender's; any fault in them means the same
        raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, f"encapsulation: {type(error).__name__}") from error
    if first.startswith(_STREAM_STARTS):  # the offset table, which must come first, was forgotten
        fragments.insert(0, first)
    frame = b"".join(fragments)
    if not frame:
        raise PixelError(ReasonCode.PIXEL_DATA_MISSING, "empty frame")
    return frame


def _uncompressed(element: DataElement, layout: ImagePixel, *, big_endian: bool) -> NDArray[np.generic]:
    data, width, needed = bytes(element.value), layout.bits_allocated // 8, layout.size_bytes
    if element.is_undefined_length:
        raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, "encapsulated in an uncompressed transfer syntax")
    if len(data) < needed:
        raise PixelError(ReasonCode.PIXEL_DATA_SHORT, f"{len(data)} of {needed} bytes")
    if len(data) - needed > max(1, needed // 32):  # a little more is somebody's padding
        raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, f"{len(data)} bytes where there should be {needed}")
    if big_endian and width == 1 and element.VR == "OW":
        data = np.frombuffer(data[: len(data) // 2 * 2], np.uint16).byteswap().tobytes()
    kind = "u1" if width == 1 else ">u2" if big_endian else "<u2"
    return np.frombuffer(data, kind, layout.rows * layout.columns).reshape(layout.rows, layout.columns)


def _rle(frame: bytes, layout: ImagePixel) -> NDArray[np.generic]:
    """PS3.5 G: one segment per byte, the most significant first."""
    values = decode_rle_frame(frame, layout.bits_allocated, layout.rows * layout.columns)
    return values.reshape(layout.rows, layout.columns)


def _compressed(
    frame: bytes, layout: ImagePixel, header: _Header, codec: _Codec, *, lossless: bool
) -> NDArray[np.generic]:
    """The values, if the stream is what the header says, before and after it is decoded."""
    try:
        told = header(frame)
        _check_size(told, layout)
        if lossless and not told.lossless:
            raise PixelError(ReasonCode.LOSSY_COMPRESSION, "within a lossless transfer syntax")
        raw = np.asarray(codec(frame))
        _check_values(raw, told, layout)
        lossless_jpeg.check(frame, told, raw)
    except (PixelError, MemoryError):
        raise
    except Cut as error:
        raise PixelError(ReasonCode.PIXEL_DATA_SHORT, str(error)) from error
    except Malformed as error:
        raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, str(error)) from error
    except Exception as error:  # codecs raise their own types; for us they all mean this
        raise PixelError(ReasonCode.PIXEL_DATA_UNDECODABLE, type(error).__name__) from error
    return raw


def _check_size(told: Codestream, layout: ImagePixel) -> None:
    if (told.rows, told.columns, told.components) != (layout.rows, layout.columns, 1):
        said = f"{told.rows} × {told.columns} × {told.components}"
        raise Malformed(f"the stream holds {said}, not {layout.rows} × {layout.columns}")
    if told.bits > 16:
        raise PixelError(ReasonCode.BIT_DEPTH, f"{told.bits} bits in the stream")


def _check_values(raw: NDArray[np.generic], told: Codestream, layout: ImagePixel) -> None:
    if raw.shape != (layout.rows, layout.columns) or raw.dtype.kind not in "ui" or raw.dtype.itemsize > 2:
        raise Malformed(f"decoded to {' × '.join(map(str, raw.shape))} {raw.dtype}")
    if raw.dtype.kind == "u" and int(raw.max()) >> told.bits:
        raise Malformed(f"decoded to values of more than {told.bits} bits")


def _as_displayed(raw: NDArray[np.generic], layout: ImagePixel, sop_instance_uid: str) -> StoredImage:
    """Drop unused bits, hash, shift signed values up, invert MONOCHROME1, put padding at 0."""
    mask, sign = (1 << layout.bits_stored) - 1, 1 << (layout.bits_stored - 1)
    values = raw.astype(np.uint16)
    if shift := layout.high_bit + 1 - layout.bits_stored:
        values >>= shift
    values &= mask
    if layout.signed:
        values ^= sign  # from here on the lowest value is 0
    stored = (values - sign).view(np.int16) if layout.signed else values
    digest = hashlib.sha256(stored.astype(stored.dtype.newbyteorder("<"), copy=False).data).hexdigest()
    padded = _padded(raw, stored, layout)
    if layout.inverted:
        np.subtract(mask, values, out=values)
    if padded is not None:
        values *= ~padded
    values.flags.writeable = False
    return StoredImage(sop_instance_uid, values, mask, digest)


def _padded(
    raw: NDArray[np.generic], stored: NDArray[np.int16 | np.uint16], layout: ImagePixel
) -> NDArray[np.bool_] | None:
    """Which pixels are padding, or None where they are 0 already."""
    if layout.padding is None:
        return None
    low, high = layout.padding
    if not layout.padding_is_stored:
        whole = raw.astype(np.uint16)
        return np.asarray(_between(whole.view(np.int16) if layout.signed else whole, low, high))
    if high == 0 and not layout.inverted and not layout.signed:
        return None
    return np.asarray(_between(stored, low, high))


def _between(values: NDArray[np.int16 | np.uint16], low: int, high: int) -> NDArray[np.bool_]:
    if low == 0 and values.dtype.kind == "u":
        return values <= high
    return (values >= low) & (values <= high)
