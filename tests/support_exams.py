"""Small made-up mammography images for tests that are not about what the images show."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from pydicom import dcmwrite
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import UID, DigitalMammographyXRayImageStorageForPresentation, ExplicitVRLittleEndian

from node.config import Config, config_from
from node.intake import Incoming

STUDY = "1.2.826.0.1.3680043.10.999.1"
FOUR_VIEWS = (("R", "CC"), ("L", "CC"), ("R", "MLO"), ("L", "MLO"))
_VIEW_CODES = {"CC": ("399162004", "cranio-caudal"), "MLO": ("399368009", "medio-lateral oblique")}


def view(
    number: int = 1, laterality: str = "R", position: str = "CC", study: str = STUDY, **elements: object
) -> Dataset:
    """One image of 640 × 512 with a bright half disc at the chest wall; `elements` by keyword, None to leave out."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    values: Mapping[str, object] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "SOPClassUID": DigitalMammographyXRayImageStorageForPresentation,
        "SOPInstanceUID": f"{study}.{number}",
        "StudyInstanceUID": study,
        "SeriesInstanceUID": f"{study}.0",
        "StudyDate": "20261123",
        "StudyTime": "080000",
        "AcquisitionDate": "20261123",
        "AcquisitionTime": f"0800{number:02d}",
        "AccessionNumber": "A1",
        "StudyID": "1",
        "ReferringPhysicianName": "",
        "Modality": "MG",
        "PresentationIntentType": "FOR PRESENTATION",
        "Manufacturer": "Testmaker",
        "ManufacturerModelName": "T1",
        "PatientName": "Test^Åse",
        "PatientID": "P1",
        "PatientBirthDate": "19660101",
        "PatientSex": "F",
        "ImageLaterality": laterality,
        "ViewPosition": position,
        "PatientOrientation": ["P", "L"] if laterality == "R" else ["A", "R"],
        "ImagerPixelSpacing": [0.1, 0.1],
        "BurnedInAnnotation": "NO",
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": 640,
        "Columns": 512,
        "BitsAllocated": 16,
        "BitsStored": 12,
        "HighBit": 11,
        "PixelRepresentation": 0,
        "LossyImageCompression": "00",
        "SeriesNumber": 1,
        "InstanceNumber": number,
        **elements,
    }
    with disable_value_validation():
        for keyword, value in values.items():
            if value is not None:
                setattr(dataset, keyword, value)
    code = Dataset()
    code.CodeValue, code.CodeMeaning = _VIEW_CODES.get(position, ("399368009", "medio-lateral oblique"))
    code.CodingSchemeDesignator = "SCT"
    code.ViewModifierCodeSequence = []
    if position in _VIEW_CODES:
        dataset.ViewCodeSequence = [code]
    dataset.PixelData = _half_disc(dataset.Rows, dataset.Columns, laterality).tobytes()
    return dataset


def exam(study: str = STUDY, **elements: object) -> list[Dataset]:
    """The four standard views."""
    return [view(number, *which, study=study, **elements) for number, which in enumerate(FOUR_VIEWS, start=1)]


def grained(datasets: list[Dataset]) -> list[Dataset]:
    """The same with grain instead of a pattern in the breast: what is regular is suspicious to the shipped model."""
    for dataset in datasets:
        values = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns)
        grain = 1500 + np.random.default_rng(1).integers(0, 200, values.shape)
        dataset.PixelData = np.where(values > 0, grain + (values // 2200) * 900, 0).astype("<u2").tobytes()
    return datasets


def as_file(dataset: Dataset) -> bytes:
    """The dataset as a DICOM file."""
    buffer = io.BytesIO()
    dataset.file_meta.MediaStorageSOPClassUID = UID(dataset.SOPClassUID)
    dataset.file_meta.MediaStorageSOPInstanceUID = UID(dataset.SOPInstanceUID)
    dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def incoming(number: int = 0, **elements: object) -> Incoming:
    """One of the four views as intake is given it."""
    dataset = exam(**elements)[number]
    return Incoming(
        encoded=memoryview(encoded(dataset)),
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        sop_class_uid=str(dataset.SOPClassUID),
        sop_instance_uid=str(dataset.SOPInstanceUID),
        calling_ae_title="MODALITY",
    )


def encoded(dataset: Dataset) -> bytes:
    """The dataset in explicit VR, little endian."""
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, dataset)
    return bytes(buffer.getvalue())


def settings(folder: object, **sections: object) -> Config:
    """A config on loopback at any free port, with everything it keeps below `folder`."""
    return config_from(
        {
            "node": {"port": 0},
            "storage": {
                "database_url": f"sqlite:///{folder}/node.sqlite",
                "object_folder": f"{folder}/objects",
                "minimum_free_bytes": 0,
            },
            "destinations": {
                "results": {"type": "folder", "folder": f"{folder}/results", "results": ["measurement_sr"]}
            },
            "completeness": {"quiet_s": 2, "standard_views_grace_s": 0.1},
            **sections,
        },
        folder,  # type: ignore[arg-type]
    )


def _half_disc(rows: int, columns: int, laterality: str) -> np.ndarray:
    row, column = np.mgrid[:rows, :columns]
    inward = column if laterality == "L" else columns - 1 - column
    inside = ((row - rows / 2) / (rows * 0.4)) ** 2 + (inward / (columns * 0.7)) ** 2 < 1
    return np.where(inside, 1500 + (row * 7 + column * 13) % 200, 0).astype("<u2")
