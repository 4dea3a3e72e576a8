"""Pixel values → Pixel Data in a lossless transfer syntax (PS3.5 A.4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

Pixels = npt.NDArray[np.uint16]


def _jpeg_lossless(pixels: Pixels, bits: int) -> Any:
    return imagecodecs.jpeg8_encode(pixels, lossless=True, predictor=1, bitspersample=bits)


def _jpeg_ls(pixels: Pixels, bits: int) -> Any:
    return imagecodecs.jpegls_encode(pixels)


def _jpeg_2000(pixels: Pixels, bits: int) -> Any:
    return imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="J2K", reversible=True, bitspersample=bits)


def _htj2k(pixels: Pixels, bits: int) -> Any:
    return imagecodecs.htj2k_encode(pixels, reversible=True)


def _rle(pixels: Pixels, bits: int) -> Any:
    """PS3.5 annex G: the high bytes, then the low ones, each row's runs by themselves; 64-byte header first."""
    planes = (pixels >> 8).astype(np.uint8), (pixels & 0xFF).astype(np.uint8)
    segments = [_padded(b"".join(_packed(row.tobytes()) for row in plane)) for plane in planes]
    offsets = [64, 64 + len(segments[0])]
    header = np.array([2, *offsets, *[0] * 13], dtype="<u4").tobytes()
    return header + b"".join(segments)


def _packed(row: bytes) -> bytes:
    encoded = imagecodecs.packbits_encode(row)
    return bytes(encoded)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (len(data) % 2)


_ENCODERS: dict[str, Callable[[Pixels, int], Any]] = {
    JPEGLosslessSV1: _jpeg_lossless,
    JPEGLSLossless: _jpeg_ls,
    JPEG2000Lossless: _jpeg_2000,
    HTJ2KLossless: _htj2k,
    RLELossless: _rle,
}

#: Everything `set_pixels` can write.
TRANSFER_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, *_ENCODERS)


def set_pixels(dataset: FileDataset, pixels: Pixels, transfer_syntax_uid: str) -> None:
    """Puts the values into the dataset in that transfer syntax and says so in its file meta information.

    Bits Stored must be set before. Raises ValueError for a syntax not in TRANSFER_SYNTAXES.
    """
    if transfer_syntax_uid not in TRANSFER_SYNTAXES:
        raise ValueError(
            f"cannot write transfer syntax {transfer_syntax_uid}; there are {', '.join(TRANSFER_SYNTAXES)}"
        )
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    dataset.Rows, dataset.Columns = pixels.shape
    encoder = _ENCODERS.get(transfer_syntax_uid)
    if encoder is None:
        dataset.PixelData = pixels.astype("<u2").tobytes()
        dataset["PixelData"].VR = "OW"
        return
    dataset.PixelData = encapsulate([bytes(encoder(np.ascontiguousarray(pixels), dataset.BitsStored))])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
