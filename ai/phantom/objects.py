"""Stored pixel values + what is known of the exposure → a Digital Mammography X-Ray Image (PS3.3 A.27).

The headers carry what real systems send and the IHE Mammography Image profile asks for. VOI LUT Function (0028,1056)
can be left out: some viewers show images that have it black, and without it a window means LINEAR all the same
(PS3.3 C.11.2.1.2.1).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from ai.phantom.encoding import set_pixels
from ai.phantom.exposure import Exposure, Identity, StudyHeader
from ai.phantom.header_acquisition import acquisition_part, detector_part, dose_part
from ai.phantom.header_identity import (
    display_part,
    equipment_part,
    image_part,
    patient_part,
    sop_common_part,
    study_and_series_part,
    view_part,
)
from ai.phantom.vendors import VendorLook

_IMPLEMENTATION_CLASS_UID = UID("2.25.103561236170398163521467280943611930127")


def mammogram(
    pixels: npt.NDArray[np.uint16],
    *,
    identity: Identity,
    study: StudyHeader,
    exposure: Exposure,
    look: VendorLook,
    transfer_syntax_uid: str = ExplicitVRLittleEndian,
) -> FileDataset:
    """The image object of stored values (rows × columns, at most look.largest_value), ready to write or send."""
    dataset = FileDataset("", {}, file_meta=FileMetaDataset(), preamble=b"\0" * 128)
    dataset.SpecificCharacterSet = identity.character_set
    for part in (
        sop_common_part(exposure),
        patient_part(identity, study),
        study_and_series_part(study, exposure),
        equipment_part(study, look),
        image_part(study, exposure, look),
        view_part(exposure),
        acquisition_part(exposure, look),
        dose_part(exposure, look),
        detector_part(exposure, look, pixels.shape),
        display_part(exposure, look),
    ):
        dataset.update(part)
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.ImplementationClassUID = _IMPLEMENTATION_CLASS_UID
    dataset.file_meta.ImplementationVersionName = "MAMMO_PHANTOM"
    set_pixels(dataset, pixels, transfer_syntax_uid)
    return dataset
