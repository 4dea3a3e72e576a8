"""The codes of audit messages (PS3.16 CID 400 to 404; PS3.15 A.5.1.2 for those of RFC 3881)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


@dataclass(frozen=True, slots=True)
class Code:
    """A coded value: `csd-code`, `originalText` (the code meaning) and `codeSystemName` of the schema."""

    value: str
    meaning: str
    scheme: str = "DCM"


# Audit Event ID (CID 400)
APPLICATION_ACTIVITY = Code("110100", "Application Activity")
AUDIT_LOG_USED = Code("110101", "Audit Log Used")
BEGIN_TRANSFERRING = Code("110102", "Begin Transferring DICOM Instances")
INSTANCES_ACCESSED = Code("110103", "DICOM Instances Accessed")
INSTANCES_TRANSFERRED = Code("110104", "DICOM Instances Transferred")
STUDY_DELETED = Code("110105", "DICOM Study Deleted")
QUERY = Code("110112", "Query")
SECURITY_ALERT = Code("110113", "Security Alert")
USER_AUTHENTICATION = Code("110114", "User Authentication")

# Audit Event Type (CID 401, and of security alerts CID 403)
APPLICATION_START = Code("110120", "Application Start")
APPLICATION_STOP = Code("110121", "Application Stop")
LOGIN = Code("110122", "Login")
NODE_AUTHENTICATION = Code("110126", "Node Authentication")
SECURITY_CONFIGURATION = Code("110129", "Security Configuration")
SOFTWARE_CONFIGURATION = Code("110131", "Software Configuration")
RESTRICTED_FUNCTION = Code("110132", "Use of Restricted Function")
RECORDING_STOPPED = Code("110133", "Audit Recording Stopped")
USER_ATTRIBUTES_CHANGED = Code("110137", "User Security Attributes Changed")

# Role ID of active participants (CID 402)
APPLICATION = Code("110150", "Application")
LAUNCHER = Code("110151", "Application Launcher")
DESTINATION = Code("110152", "Destination Role ID")
SOURCE = Code("110153", "Source Role ID")

# Participant Object ID Type (CID 404 and PS3.15 A.5.1.2.4)
STUDY_UID = Code("110180", "Study Instance UID")
SOP_CLASS_UID = Code("110181", "SOP Class UID")
NODE_ID = Code("110182", "Node ID")
PATIENT_NUMBER = Code("2", "Patient Number", "RFC-3881")
URI = Code("12", "URI", "RFC-3881")


class Outcome(IntEnum):
    """EventOutcomeIndicator (PS3.15 A.5.2). Of an alert, minor and serious mean that what was tried was kept off."""

    SUCCESS = 0
    MINOR = 4
    SERIOUS = 8
    MAJOR = 12
