"""Pixel values → Pixel Data in a lossless transfer syntax (PS3.5 A.4)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from ai.encoding import ENCODERS, encode_frame

Pixels = npt.NDArray[np.uint16]

#: Everything `set_pixels` can write.
TRANSFER_SYNTAXES = (ExplicitVRLittleEndian, ImplicitVRLittleEndian, *map(UID, ENCODERS))


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
    if transfer_syntax_uid not in ENCODERS:
        dataset.PixelData = pixels.astype("<u2").tobytes()
        dataset["PixelData"].VR = "OW"
        return
    dataset.PixelData = encapsulate([encode_frame(pixels, transfer_syntax_uid, dataset.BitsStored)])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
