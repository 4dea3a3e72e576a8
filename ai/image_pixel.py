"""The Image Pixel Module (PS3.3 C.7.6.3) as far as decoding needs it, and the error of pixels that cannot be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from pydicom.dataset import Dataset

from ai import elements
from ai.reasons import Reason, ReasonCode

#: What may be decoded at all, a node's memory being finite; no mammography system has a larger matrix than half of it.
MOST_PIXELS = 8192 * 8192


class PixelError(Exception):
    """An image whose pixels cannot be used. `code` says why; `detail` holds no patient's name or ID."""

    def __init__(self, code: ReasonCode, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else str(code))
        self.code = code
        self.detail = detail

    def reason(self, sop_instance_uid: str) -> Reason:
        """As the reason for leaving out that image."""
        return Reason(self.code, sop_instance_uid, self.detail)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagePixel:
    """How one frame's values stand in their cells.

    padding: (low, high) of the values that are no image, in the stored values' own range and sign.
    """

    rows: int
    columns: int
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    inverted: bool
    padding: tuple[int, int] | None

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Raises PixelError: BIT_DEPTH, PHOTOMETRIC_INTERPRETATION, TOMOSYNTHESIS (frames), MATRIX_SIZE."""
        bits_allocated, bits_stored = _integer(dataset, "BitsAllocated"), _integer(dataset, "BitsStored")
        if bits_allocated not in (8, 16) or not 1 <= bits_stored <= bits_allocated:
            raise PixelError(ReasonCode.BIT_DEPTH, f"{bits_stored} of {bits_allocated} bits")
        photometric = elements.text(dataset, "PhotometricInterpretation")
        if photometric not in ("MONOCHROME1", "MONOCHROME2") or _integer(dataset, "SamplesPerPixel", 1) != 1:
            raise PixelError(ReasonCode.PHOTOMETRIC_INTERPRETATION, f"'{photometric}'")
        if _integer(dataset, "NumberOfFrames", 1) > 1:
            raise PixelError(ReasonCode.TOMOSYNTHESIS, "more than one frame")
        rows, columns = _integer(dataset, "Rows"), _integer(dataset, "Columns")
        if rows < 1 or columns < 1 or rows * columns > MOST_PIXELS:
            raise PixelError(ReasonCode.MATRIX_SIZE, f"{rows} × {columns}")
        high_bit = _integer(dataset, "HighBit", bits_stored - 1)
        signed = _integer(dataset, "PixelRepresentation") == 1
        return cls(
            rows=rows,
            columns=columns,
            bits_allocated=bits_allocated,
            bits_stored=bits_stored,
            high_bit=high_bit if bits_stored - 1 <= high_bit < bits_allocated else bits_stored - 1,
            signed=signed,
            inverted=photometric == "MONOCHROME1",
            padding=_padding(dataset, signed=signed),
        )

    @property
    def size_bytes(self) -> int:
        """Of the frame, uncompressed."""
        return self.rows * self.columns * self.bits_allocated // 8

    @property
    def padding_is_stored(self) -> bool:
        """Whether the padding lies among the values that Bits Stored can hold; a few systems put it outside."""
        low, high = self.padding or (0, 0)
        smallest = -(1 << (self.bits_stored - 1)) if self.signed else 0
        return smallest <= low and high < smallest + (1 << self.bits_stored)


def _integer(dataset: Dataset, keyword: str, default: int = 0) -> int:
    found = elements.integer(dataset, keyword)
    return default if found is None else found


def _padding(dataset: Dataset, *, signed: bool) -> tuple[int, int] | None:
    """Stored values that are no image (PS3.3 C.7.5.1.1.2): one, or a range to Pixel Padding Range Limit."""
    value = elements.integer(dataset, "PixelPaddingValue")
    if value is None:
        return None
    limit = _integer(dataset, "PixelPaddingRangeLimit", value)
    low, high = sorted(_as_represented(each, signed=signed) for each in (value, limit))
    return low, high


def _as_represented(value: int, *, signed: bool) -> int:
    """The 16 bits read with the sign that the pixels have: the element's VR (US or SS) is often the other one."""
    return (value + 0x8000) % 0x10000 - 0x8000 if signed else value % 0x10000
