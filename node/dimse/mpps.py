"""Modality Performed Procedure Step as a service class provider (PS3.4 F.7): N-CREATE and N-SET."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from pydicom.dataset import Dataset
from pynetdicom import evt

from node import logs
from node.config import Config
from node.dimse import rights
from node.dimse.scu import Handler, status
from node.errors import NodeError
from node.examinations.performed import Performed
from storage.objects import is_valid_uid

log = logs.get(__name__)

#: Modality Performed Procedure Step.
SOP_CLASS = "1.2.840.10008.3.1.2.3.3"
_SUCCESS = 0x0000
_PROCESSING_FAILURE = 0x0110

Answer = tuple[int | Dataset, Dataset | None]
Act = Callable[[str, Dataset], None]


class PerformedSteps:
    """The handlers; what they mean is `node.examinations.performed`'s."""

    def __init__(self, performed: Performed, config: Config) -> None:
        self._performed, self._config = performed, config

    def handlers(self) -> list[Handler]:
        """For the receiver."""
        return [(evt.EVT_N_CREATE, self._create), (evt.EVT_N_SET, self._set)]

    def _create(self, event: evt.Event) -> Answer:
        uid = str(cast("Any", event.request).AffectedSOPInstanceUID or "")
        return self._answered(event, uid, event.attribute_list, self._performed.create)

    def _set(self, event: evt.Event) -> Answer:
        uid = str(cast("Any", event.request).RequestedSOPInstanceUID or "")
        return self._answered(event, uid, event.modification_list, self._performed.set)

    def _answered(self, event: evt.Event, uid: str, attributes: Dataset, act: Act) -> Answer:
        """Whoever may store may say what it will store."""
        with logs.about(association=event.assoc.name, sop=uid if is_valid_uid(uid) else "(no UID)"):
            try:
                rights.demand(self._config, event, "store")
                act(uid, attributes)
            except NodeError as error:
                log.warning("performed procedure step refused", status=f"0x{error.dimse_status:04X}", why=str(error))
                return status(error.dimse_status, str(error)), None
            except Exception:  # the association's border: the modality is told
                log.exception("performed procedure step failed")
                return _PROCESSING_FAILURE, None
        return _SUCCESS, attributes
