"""A frame's stored values → its bytes in a lossless transfer syntax (PS3.5 A.4); the other way is `ai.decoding`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from pydicom.uid import HTJ2KLossless, JPEG2000Lossless, JPEGLosslessSV1, JPEGLSLossless, RLELossless

Values = NDArray[Any]

#: Those that take colour too (8 bits, RGB); the others take one sample per pixel.
COLOUR = frozenset(map(str, (JPEGLSLossless, JPEG2000Lossless, RLELossless)))


def encode_frame(values: Values, transfer_syntax_uid: str, bits: int) -> bytes:
    """One frame: rows × columns, or rows × columns × 3; uint8 or uint16, of which `bits` are used.

    Raises ValueError for a syntax that is not in ENCODERS, or for colour that it does not take.
    """
    encoder = ENCODERS.get(transfer_syntax_uid)
    if encoder is None or (values.ndim == 3 and transfer_syntax_uid not in COLOUR):
        raise ValueError(f"cannot be written in transfer syntax {transfer_syntax_uid}")
    return bytes(encoder(np.ascontiguousarray(values), bits))


def _jpeg_lossless(values: Values, bits: int) -> Any:
    return imagecodecs.jpeg8_encode(values, lossless=True, predictor=1, bitspersample=bits)


def _jpeg_ls(values: Values, bits: int) -> Any:
    return imagecodecs.jpegls_encode(values)


def _jpeg_2000(values: Values, bits: int) -> Any:
    return imagecodecs.jpeg2k_encode(values, level=0, codecformat="J2K", reversible=True, bitspersample=bits, mct=False)


def _htj2k(values: Values, bits: int) -> Any:
    return imagecodecs.htj2k_encode(values, reversible=True)


def _rle(values: Values, bits: int) -> bytes:
    """PS3.5 annex G: a segment for each byte of a value, the high one first; each row's runs by themselves."""
    samples = [values[..., each] for each in range(values.shape[2])] if values.ndim == 3 else [values]
    shifts = range(8 * (values.dtype.itemsize - 1), -1, -8)
    planes = [((sample >> shift) & 0xFF).astype(np.uint8) for sample in samples for shift in shifts]
    segments = [_padded(b"".join(bytes(imagecodecs.packbits_encode(row.tobytes())) for row in each)) for each in planes]
    ends = np.cumsum([64, *map(len, segments)])
    header = np.zeros(16, dtype="<u4")
    header[0], header[1 : len(segments) + 1] = len(segments), ends[:-1]
    return header.tobytes() + b"".join(segments)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


#: By transfer syntax.
ENCODERS: Mapping[str, Callable[[Values, int], Any]] = {
    str(JPEGLosslessSV1): _jpeg_lossless,
    str(JPEGLSLossless): _jpeg_ls,
    str(JPEG2000Lossless): _jpeg_2000,
    str(HTJ2KLossless): _htj2k,
    str(RLELossless): _rle,
}
