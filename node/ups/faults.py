"""What may be wrong with a request about a work item: its DIMSE status (PS3.4 CC.2) and its HTTP code (PS3.18 11)."""

from __future__ import annotations

from node.errors import NodeError

_INCONSISTENT = "The submitted request is inconsistent with the state of the UPS Instance."


class WorkitemRefused(NodeError):
    """A request about a work item is refused. warning: what the HTTP answer's Warning says, "" nothing."""

    dimse_status = 0x0110
    http_status = 400
    warning = ""


class InvalidValue(WorkitemRefused):
    """An attribute's value is not allowed (0x0106)."""

    dimse_status = 0x0106


class DuplicateWorkitem(WorkitemRefused):
    """There is a work item of this UID (0x0111)."""

    dimse_status = 0x0111
    http_status = 409


class MissingAttribute(WorkitemRefused):
    """An attribute that is required is not there (0x0120)."""

    dimse_status = 0x0120


class MissingValue(WorkitemRefused):
    """An attribute that must have a value has none (0x0121)."""

    dimse_status = 0x0121


class NoSuchAction(WorkitemRefused):
    """There is no such action (0x0123)."""

    dimse_status = 0x0123


class NoLongerUpdated(WorkitemRefused):
    """The work item is completed or canceled and may no longer be updated (0xC300)."""

    dimse_status = 0xC300
    http_status = 409
    warning = _INCONSISTENT


class MissingTransaction(WorkitemRefused):
    """The Transaction UID was not given (0xC301)."""

    dimse_status = 0xC301
    warning = "The Transaction UID is missing."


class WrongTransaction(WorkitemRefused):
    """The Transaction UID is not that of whoever performs the work item (0xC301)."""

    dimse_status = 0xC301
    http_status = 409
    warning = "The Transaction UID is incorrect."


class AlreadyInProgress(WorkitemRefused):
    """The work item is IN PROGRESS already (0xC302)."""

    dimse_status = 0xC302
    http_status = 409
    warning = _INCONSISTENT


class OnlyByCreation(WorkitemRefused):
    """A work item becomes SCHEDULED by being created, and never again (0xC303)."""

    dimse_status = 0xC303
    http_status = 409
    warning = _INCONSISTENT


class FinalStateNotMet(WorkitemRefused):
    """What a final state requires of the work item is not there yet (0xC304)."""

    dimse_status = 0xC304
    http_status = 409
    warning = _INCONSISTENT


class NoSuchWorkitem(WorkitemRefused):
    """There is no work item of this UID (0xC307)."""

    dimse_status = 0xC307
    http_status = 404


class UnknownReceiver(WorkitemRefused):
    """The AE that is to be told is not known here, or has no such subscription (0xC308)."""

    dimse_status = 0xC308
    http_status = 404


class NotScheduled(WorkitemRefused):
    """A work item was to be created in another state than SCHEDULED (0xC309)."""

    dimse_status = 0xC309


class NotInProgress(WorkitemRefused):
    """The work item is not IN PROGRESS yet (0xC310)."""

    dimse_status = 0xC310
    http_status = 409
    warning = "The target URI did not reference a claimed Workitem."


class AlreadyCompleted(WorkitemRefused):
    """The work item is completed and cannot be canceled (0xC311)."""

    dimse_status = 0xC311
    http_status = 409
    warning = "The UPS is already COMPLETED."


class PerformerUnreachable(WorkitemRefused):
    """Nobody who is told of the work item could be its performer (0xC312)."""

    dimse_status = 0xC312
    http_status = 409
    warning = "The performer cannot be contacted."


class NotAppropriate(WorkitemRefused):
    """The action does not fit what it is asked of (0xC314)."""

    dimse_status = 0xC314
