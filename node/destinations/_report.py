"""The report that a message is made from."""

from __future__ import annotations

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from node.destinations import Outgoing
from node.errors import PermanentDelivery, RetriableDelivery
from node.results._told import NotTold, Told, told

_PRIVATE = ("PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber")


def read(item: Outgoing) -> tuple[Dataset, Told]:
    """The report and what it says. Raises PermanentDelivery, RetriableDelivery."""
    try:
        report = pydicom.dcmread(item.path, stop_before_pixels=True)
        return report, told(report)
    except NotTold as error:
        raise PermanentDelivery(f"only a measurement_sr can be sent here: {error}") from error
    except InvalidDicomError as error:
        raise PermanentDelivery("the result's file is not readable as DICOM") from error
    except OSError as error:
        raise RetriableDelivery(f"the result's file cannot be read: {error.strerror or error}") from error


def private(report: Dataset) -> list[str]:
    """The patient's own values, which a receiver may repeat in its answer and which stay out of what is told."""
    return [str(report.get(keyword) or "") for keyword in _PRIVATE]
