"""Frames decoded, and as pictures to look at. The work of the decoding processes; nothing of it runs in the node."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.pixels.processing import apply_modality_lut, apply_voi, convert_color_space
from pydicom.uid import ExplicitVRBigEndian, RLELossless
from scipy.special import expit

from ai.decoding import PixelError, decode_frame, decode_rle_frame
from ai.encoding import encode_frame
from ai.image_pixel import MOST_PIXELS
from node.errors import NodeError, NotUsable
from node.stored_file import StoredFile, opened
from node.web.wanted import FrameWanted, PictureWanted, Window

_FORMATS = {"image/jpeg": "JPEG", "image/png": "PNG", "image/gif": "GIF"}


def made(wanted: FrameWanted | PictureWanted) -> bytes:
    """What is wanted. Raises NotUsable, PixelError and whatever else an image can do to a decoder."""
    stored = opened(wanted.path)
    if isinstance(wanted, FrameWanted):
        syntax = wanted.transfer_syntax_uid
        return _encoded(stored, wanted.number, syntax) if syntax else _native(stored, wanted.number)
    return _picture(stored, wanted)


def told(error: Exception) -> str:
    """An error in words that hold nothing of a patient."""
    safe = isinstance(error, NodeError | PixelError)
    return str(error) if safe else type(error).__name__


# ---------------------------------------------------------------- values


def _native(stored: StoredFile, number: int) -> bytes:
    """A frame as its bytes would be in Explicit VR Little Endian."""
    values = frame_values(stored, number)
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    if little.ndim == 3 and int(stored.header.get("PlanarConfiguration") or 0) == 1:
        little = np.moveaxis(little, -1, 0)
    return little.tobytes()


def _encoded(stored: StoredFile, number: int, syntax: str) -> bytes:
    """A frame in a lossless transfer syntax, of even length. What would not come back as it was is not given out."""
    values = frame_values(stored, number)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    whole = 8 * values.dtype.itemsize
    used = max(int(stored.header.get("BitsStored") or whole), int(values.max()).bit_length(), whole // 2 + 1)
    data = encode_frame(values, syntax, min(used, whole))
    if not np.array_equal(_unpacked(data, syntax, values), values):
        raise NotUsable("the frame does not come back from this transfer syntax as it was; ask for another")
    return data + b"\0" * (len(data) % 2)


def _unpacked(data: bytes, syntax: str, like: NDArray[np.generic]) -> NDArray[np.generic]:
    if syntax != RLELossless:
        return decode_frame(data, syntax)
    flat = decode_rle_frame(data, 8 * like.dtype.itemsize, like.size)
    return _from_planes(flat, like.shape)


def _from_planes(flat: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic]:
    """RLE has colours plane by plane (PS3.5 G.2)."""
    return np.moveaxis(flat.reshape(shape[2], *shape[:2]), 0, -1) if len(shape) == 3 else flat.reshape(shape)


def frame_values(stored: StoredFile, number: int) -> NDArray[np.generic]:
    """A frame's stored values: rows × columns, or rows × columns × samples. Raises NotUsable, PixelError."""
    header = stored.header
    rows, columns, samples = int(header.Rows), int(header.Columns), int(header.get("SamplesPerPixel") or 1)
    bits, count = int(header.BitsAllocated), rows * columns * samples
    if bits not in (8, 16):
        raise NotUsable(f"BitsAllocated: {bits} is not decoded; 8 and 16 are")
    if rows * columns > MOST_PIXELS:
        raise NotUsable(f"{rows} × {columns} pixels are more than any image has")
    if stored.transfer_syntax_uid == RLELossless:
        flat = decode_rle_frame(stored.encapsulated_frame(number), bits, count)
        return _from_planes(flat, (rows, columns, samples) if samples > 1 else (rows, columns))
    if stored.encapsulated:
        return _decoded(stored, number, (rows, columns, samples), bits)
    flat = _uncompressed(stored, number, bits, count)
    if samples == 1:
        return flat.reshape(rows, columns)
    planar = int(header.get("PlanarConfiguration") or 0) == 1
    return np.moveaxis(flat.reshape(samples, rows, columns), 0, -1) if planar else flat.reshape(rows, columns, samples)


def _decoded(stored: StoredFile, number: int, shape: tuple[int, int, int], bits: int) -> NDArray[np.generic]:
    values = decode_frame(stored.encapsulated_frame(number), stored.transfer_syntax_uid)
    expected = shape if shape[2] > 1 else shape[:2]
    if values.shape != expected:
        raise NotUsable(f"a frame decoded to {' × '.join(map(str, values.shape))} and not as its header says")
    wide: NDArray[np.generic] = values.astype(np.uint8 if bits == 8 else np.uint16, copy=False)
    return wide


def _uncompressed(stored: StoredFile, number: int, bits: int, count: int) -> NDArray[np.generic]:
    kind = "u1" if bits == 8 else ">u2" if stored.transfer_syntax_uid == ExplicitVRBigEndian else "<u2"
    if stored.deflated:
        data = dcmread(stored.path).PixelData
        return np.frombuffer(data, kind, count, (number - 1) * count * bits // 8)
    place = stored.native_frame(number)
    return np.fromfile(stored.path, kind, count, offset=place.offset)


# ---------------------------------------------------------------- pictures


def _picture(stored: StoredFile, wanted: PictureWanted) -> bytes:
    values = frame_values(stored, wanted.number)
    eight_bits = _coloured(stored, values) if values.ndim == 3 else _displayed(stored.header, values, wanted)
    image = _cut(Image.fromarray(eight_bits), wanted)
    buffer = io.BytesIO()
    options = {"quality": wanted.quality} if wanted.media_type == "image/jpeg" else {}
    image.save(buffer, _FORMATS[wanted.media_type], **options)
    return buffer.getvalue()


def _coloured(stored: StoredFile, values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """As RGB."""
    interpretation = stored.decoded_interpretation
    if values.dtype.itemsize > 1:
        raise NotUsable("colours of more than 8 bits are not rendered")
    eight_bits = values.astype(np.uint8)
    if interpretation.startswith("YBR"):
        return np.asarray(convert_color_space(eight_bits, interpretation, "RGB"), np.uint8)
    return eight_bits


def _displayed(header: Dataset, values: NDArray[np.generic], wanted: PictureWanted) -> NDArray[np.uint8]:
    """Grey values through modality LUT, VOI LUT or window, and polarity (PS3.4 N.2): 0 black, 255 white.

    Every value that can be stored is looked up, so that the arithmetic is done once for each and not for each pixel.
    """
    bits = int(header.get("BitsStored") or header.BitsAllocated)
    table = np.arange(1 << bits, dtype=np.int32)
    if int(header.get("PixelRepresentation") or 0) == 1:
        table = np.where(table >= 1 << (bits - 1), table - (1 << bits), table).astype(np.int32)
    shift = max(0, int(header.get("HighBit") or bits - 1) + 1 - bits)
    index = (values.astype(np.uint16) >> shift) & ((1 << bits) - 1)
    padding = _padding(header, table)
    shown = _windowed(header, table, wanted.window, _present(index, padding))
    if str(header.get("PhotometricInterpretation") or "") == "MONOCHROME1":
        shown = 1 - shown
    shown[padding] = 0  # what is no image is black, as the background is
    looked_up: NDArray[np.uint8] = np.rint(shown * 255).astype(np.uint8)[index]
    return looked_up


def _padding(header: Dataset, table: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Which stored values are no image (PS3.3 C.7.5.1.1.2)."""
    value = header.get("PixelPaddingValue")
    if not isinstance(value, int):
        return np.zeros(table.shape, np.bool_)
    limit = header.get("PixelPaddingRangeLimit")
    other = limit if isinstance(limit, int) else value
    return (table >= min(value, other)) & (table <= max(value, other))


def _present(index: NDArray[np.generic], padding: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which entries of the table the image has, padding aside."""
    present = np.bincount(index.ravel(), minlength=len(padding)).astype(np.bool_) & ~padding
    return present if present.any() else np.ones(len(padding), np.bool_)


def _windowed(
    header: Dataset, table: NDArray[np.int32], window: Window | None, present: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """The table's values from 0 to 1, still in the image's own polarity.

    By the window asked for; else by the image's first VOI LUT or window (PS3.3 C.11.2); else from its darkest to its
    brightest value.
    """
    values = np.asarray(apply_modality_lut(table, header), np.float64)
    if window is None and header.get("VOILUTSequence"):
        bits = int(header.VOILUTSequence[0].LUTDescriptor[2])
        looked_up = apply_voi(np.rint(values).astype(np.int32), header)
        return np.asarray(looked_up, np.float64) / ((1 << bits) - 1)
    window = window or _own_window(header)
    if window is not None:
        return _through(values, window)
    lowest, highest = values[present].min(), values[present].max()
    return np.asarray(np.clip((values - lowest) / max(highest - lowest, 1e-9), 0, 1))


def _own_window(header: Dataset) -> Window | None:
    """The image's first window, where it has one that can be used."""
    try:
        pair = [header.get(name) for name in ("WindowCenter", "WindowWidth")]
        centre, width = (float(each[0] if isinstance(each, MultiValue) else each) for each in pair)
    except (TypeError, ValueError, IndexError):
        return None
    function = str(header.get("VOILUTFunction") or "LINEAR")
    return (centre, width, function) if width >= (1 if function == "LINEAR" else 1e-6) else None


def _through(values: NDArray[np.float64], window: Window) -> NDArray[np.float64]:
    """PS3.3 C.11.2.1.2.1 and C.11.2.1.3, for output from 0 to 1."""
    centre, width, function = window
    if function == "SIGMOID":
        return np.asarray(expit(4 * (values - centre) / width))
    if function == "LINEAR_EXACT":
        return np.asarray(np.clip((values - centre) / width + 0.5, 0, 1))
    return np.asarray(np.clip((values - (centre - 0.5)) / max(width - 1, 1e-9) + 0.5, 0, 1))


def _cut(image: Image.Image, wanted: PictureWanted) -> Image.Image:
    """The region asked for, no larger than the size asked for (PS3.18 8.3.5.1.4)."""
    if wanted.region is not None:
        left, top, width, height = wanted.region
        box = (round(left), round(top), round(left + abs(width)), round(top + abs(height)))
        image = image.crop(box)
        if width < 0:
            image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if height < 0:
            image = image.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    if wanted.size is not None:
        scale = min(wanted.size[0] / image.width, wanted.size[1] / image.height)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return image
