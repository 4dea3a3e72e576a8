"""Modality Performed Procedure Step as a service class provider (PS3.4 F.7): N-CREATE and N-SET."""

from __future__ import annotations

from typing import Any, cast

from pydicom.dataset import Dataset
from pynetdicom import evt

from node import logs
from node.errors import NodeError
from node.performed import Performed

log = logs.get(__name__)

MODALITY_PERFORMED_PROCEDURE_STEP = "1.2.840.10008.3.1.2.3.3"
_SUCCESS = 0x0000
_PROCESSING_FAILURE = 0x0110

Answer = tuple[int | Dataset, Dataset | None]


class PerformedSteps:
    """The handlers; what they mean is `node.performed`'s."""

    def __init__(self, performed: Performed) -> None:
        self._performed = performed

    def handlers(self) -> list[Any]:
        """For the receiver."""
        return [(evt.EVT_N_CREATE, self._create), (evt.EVT_N_SET, self._set)]

    def _create(self, event: evt.Event) -> Answer:
        uid = str(cast("Any", event.request).AffectedSOPInstanceUID or "")
        return _answered(event, uid, event.attribute_list, self._performed.create)

    def _set(self, event: evt.Event) -> Answer:
        uid = str(cast("Any", event.request).RequestedSOPInstanceUID or "")
        return _answered(event, uid, event.modification_list, self._performed.set)


def _answered(event: evt.Event, uid: str, attributes: Dataset, act: Any) -> Answer:
    with logs.about(association=event.assoc.name, sop=uid):
        try:
            act(uid, attributes)
        except NodeError as error:
            log.warning("performed procedure step refused", status=f"0x{error.dimse_status:04X}", why=str(error))
            return _status(error), None
        except Exception:  # the association's border: the modality is told
            log.exception("performed procedure step failed")
            return _PROCESSING_FAILURE, None
    return _SUCCESS, attributes


def _status(error: NodeError) -> Dataset:
    status = Dataset()
    status.Status = error.dimse_status
    status.ErrorComment = str(error).encode("ascii", "replace").decode()[:64]
    return status
