"""Why a work item is canceled, in codes of the standard (PS3.16 CID 9300)."""

from __future__ import annotations

from typing import Any

from pydicom.sr.codedict import codes
from pydicom.sr.coding import Code

from node.ups.attributes import code

EQUIPMENT_FAILURE = codes.DCM.EquipmentFailure
INPUT_INCOMPLETE = codes.DCM.ObjectSetIncomplete
UNSPECIFIED = codes.DCM.DiscontinuedForUnspecifiedReason
WRONG_ENTRY = codes.DCM.IncorrectWorklistEntrySelected


def item(reason: Code) -> dict[str, Any]:
    """As an item of a code sequence."""
    return code(reason.value, reason.scheme_designator, reason.meaning)
