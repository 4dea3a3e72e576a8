"""The states of a work item and who may change them (PS3.4 Table CC.1.1-2). Pure."""

from __future__ import annotations

from node.ups import faults
from storage.ups import State

SUCCESS = 0x0000
CREATED_WITH_MODIFICATIONS = 0xB300
ALREADY_CANCELED = 0xB304
ALREADY_COMPLETED = 0xB306

#: What the Warning header of an HTTP answer says of a status that is not plain success.
WARNINGS = {
    CREATED_WITH_MODIFICATIONS: "The Workitem was created with modifications.",
    ALREADY_CANCELED: "The UPS is already in the requested state of CANCELED.",
    ALREADY_COMPLETED: "The UPS is already in the requested state of COMPLETED.",
}


def check_change(state: State, wanted: State, given: str, held: str) -> int:
    """May an item in `state` become `wanted`? The status to answer with: SUCCESS, or a warning that nothing changes.

    given: the Transaction UID of the request; held: that of whoever performs the item. Raises WorkitemRefused.
    """
    if wanted is State.SCHEDULED:
        raise faults.OnlyByCreation(f"ProcedureStepState: the item is {state}; SCHEDULED is only for new ones")
    if not given:
        raise faults.MissingTransaction("TransactionUID: it is missing")
    if state is State.SCHEDULED:
        if wanted is not State.IN_PROGRESS:
            raise faults.NotInProgress(f"the item is SCHEDULED; it must be IN PROGRESS before it is {wanted}")
        return SUCCESS
    if given != held:
        raise faults.WrongTransaction("TransactionUID: it is not that of the item's performer")
    return _check_claimed(state, wanted)


def _check_claimed(state: State, wanted: State) -> int:
    if wanted is State.IN_PROGRESS and state is State.IN_PROGRESS:
        raise faults.AlreadyInProgress("the item is IN PROGRESS already")
    if state is State.IN_PROGRESS:
        return SUCCESS
    if state is not wanted:
        raise faults.NoLongerUpdated(f"the item is {state} and no longer changes")
    return ALREADY_CANCELED if wanted is State.CANCELED else ALREADY_COMPLETED


def check_update(state: State, given: str, held: str) -> None:
    """May an item in `state` be updated by a request with this Transaction UID ("": none)? Raises WorkitemRefused."""
    if state.is_final:
        raise faults.NoLongerUpdated(f"the item is {state} and may no longer be updated")
    if state is State.SCHEDULED:
        if given:
            raise faults.NotInProgress("the item is SCHEDULED: nobody has claimed it, so no Transaction UID is its own")
        return
    if not given:
        raise faults.MissingTransaction("TransactionUID: it is missing")
    if given != held:
        raise faults.WrongTransaction("TransactionUID: it is not that of the item's performer")
