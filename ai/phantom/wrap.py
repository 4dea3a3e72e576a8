"""Real greyscale pictures that a caller brings → For Presentation mammograms of an invented patient."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset
from pydicom.uid import ExplicitVRLittleEndian

from ai.exam import STANDARD_VIEWS, ImageLaterality, StandardView
from ai.phantom.exposure import Exposure, Identity, StudyHeader, derived_uid
from ai.phantom.objects import mammogram
from ai.phantom.vendors import NORDVIK, VendorLook


def wrap(
    pictures: Mapping[StandardView, npt.NDArray[np.unsignedinteger]],
    *,
    identity: Identity,
    imager_pixel_spacing_mm: float,
    study_date: str = "20250312",
    accession_number: str = "MGWRAP0001",
    chest_wall_left: bool = False,
    transfer_syntax_uid: str = ExplicitVRLittleEndian,
    look: VendorLook = NORDVIK,
) -> list[FileDataset]:
    """One dataset per picture, in standard view order, with the values unchanged.

    pictures: 8- or 16-bit, bright is dense, background 0; stored in 16 bits with as many Bits Stored as the largest
    value of all needs (at least 8). chest_wall_left: all have the chest wall at the left edge, as many published
    sets do; those of the right breast are then turned over. Raises ValueError for anything but 2-D unsigned arrays.
    """
    look = _as_stored(look, pictures, imager_pixel_spacing_mm)
    key = ("wrap", identity.patient_id, study_date, accession_number)
    study = StudyHeader(
        study_instance_uid=derived_uid(*key),
        study_id="W1",
        study_date=study_date,
        study_time="093000",
        accession_number=accession_number,
    )
    datasets = []
    for number, view in enumerate((view for view in STANDARD_VIEWS if view in pictures), start=1):
        picture = pictures[view].astype(np.uint16)
        if chest_wall_left and view.image_laterality is ImageLaterality.RIGHT:
            picture = np.ascontiguousarray(picture[:, ::-1])
        exposure = Exposure(
            standard_view=view,
            sop_instance_uid=derived_uid(*key, view),
            series_instance_uid=derived_uid(*key, "series"),
            series_number=1,
            instance_number=number,
            acquisition_time=f"09{30 + number:02d}00",
            imager_pixel_spacing_mm=imager_pixel_spacing_mm,
            source=derived_uid(*key, view, "source"),
        )
        image = mammogram(
            picture,
            identity=identity,
            study=study,
            exposure=exposure,
            look=look,
            transfer_syntax_uid=transfer_syntax_uid,
        )
        datasets.append(image)
    return datasets


def _as_stored(
    look: VendorLook, pictures: Mapping[StandardView, npt.NDArray[np.unsignedinteger]], spacing_mm: float
) -> VendorLook:
    """The look with the bits, window and spacing of the pictures."""
    for picture in pictures.values():
        if picture.ndim != 2 or picture.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"a picture must be 2-D, 8 or 16 bits unsigned; this is {picture.shape} {picture.dtype}")
    largest = max((int(picture.max(initial=0)) for picture in pictures.values()), default=0)
    bits = max(8, largest.bit_length())
    return replace(
        look,
        photometric_interpretation="MONOCHROME2",
        bits_stored=bits,
        window=(1 << (bits - 1), 1 << bits),
        imager_pixel_spacing_mm=spacing_mm,
    )
