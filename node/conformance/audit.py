"""Security: the audit trail, as PS3.15 A.5 c to e and A.6 a to d ask a statement to tell of it."""

from __future__ import annotations

from node.audit import codes
from node.audit.codes import Code
from node.conformance.document import Bullets, Section, Table
from node.conformance.facts import Facts

_ALERTS = "Security alerts of type"
_EVENTS: tuple[tuple[Code, str], ...] = (
    (codes.APPLICATION_ACTIVITY, "the node starts or stops"),
    (codes.AUDIT_LOG_USED, "`mammo-node audit show`"),
    (codes.BEGIN_TRANSFERRING, "instances are to go out: results, what is forwarded, C-MOVE, C-GET"),
    (codes.INSTANCES_TRANSFERRED, "they went, or did not; instances came, told when their association has ended"),
    (codes.INSTANCES_ACCESSED, "metadata, frames or pictures of a study were given out over WADO-RS"),
    (codes.STUDY_DELETED, "a study was removed after storage.retention_days"),
    (codes.QUERY, "C-FIND (studies, work items), QIDO-RS and UPS-RS searches of others"),
    (codes.USER_AUTHENTICATION, "a sign-in at the web side, or one that was refused"),
)
_OF_ALERTS: tuple[tuple[Code, str], ...] = (
    (codes.NODE_AUTHENTICATION, "an association began or was refused, or TLS was not agreed on"),
    (codes.RESTRICTED_FUNCTION, "somebody asked for what they may not do; held results were released"),
    (codes.SECURITY_CONFIGURATION, "the configuration changed, in what it lets in or protects"),
    (codes.SOFTWARE_CONFIGURATION, "the configuration changed otherwise; what a person proposed, applied or took back"),
    (codes.USER_ATTRIBUTES_CHANGED, "an account or token was added, changed or ended"),
    (codes.RECORDING_STOPPED, "audit records could not be written for a time"),
)
_TRANSPORTS = {
    "tls": "Audit Trail Message Transmission Profile - SYSLOG-TLS (PS3.15 A.6), with octet counting (RFC 5425)",
    "tcp": "unencrypted TCP with octet counting (RFC 6587), by a person's choice",
    "udp": "Audit Trail Message Transmission Profile - SYSLOG-UDP (PS3.15 A.7), by a person's choice",
}


def section(facts: Facts) -> Section:
    """Of chapter 8."""
    rows = [(each.value, each.meaning, when) for each, when in _EVENTS]
    rows += [(each.value, f"{_ALERTS} {each.meaning}", when) for each, when in _OF_ALERTS]
    return Section(
        "Audit trail",
        (
            "Audit Trail Message Format Profile (PS3.15 A.5): messages are of the schema of A.5.1.1, unextended.",
            Table("Audited events", ("code", "event", "when"), tuple(rows)),
            Bullets(
                (
                    "Participants: this node by its process ID, AE title and host name; a DICOM application by its AE "
                    "title and address; a person at the web side by account and address, at the command line by login "
                    "name and host, with the name given by `--by`. Who is refused is not named: what was typed may be "
                    "a password.",
                    _patients(facts),
                    "Of a query, values that may tell of a patient are left out, its keys are not.",
                    "A study looked at over WADO-RS is told once in 15 minutes of a person and address; refusals of "
                    "one address at most ten a minute, and then how many were not told.",
                    "Messages are kept in files that are only added to, each chained to the one before by SHA-256 "
                    "(`mammo-node audit verify`). What is received from others is not processed.",
                    "The keys of `audit` in the configuration say what is told and where it goes.",
                )
            ),
            _syslog(facts),
        ),
    )


def _patients(facts: Facts) -> str:
    told = {
        "hashed": "a pseudonym (HMAC-SHA256 of the Patient ID)",
        "plain": "the Patient ID",
        "none": "the word withheld",
    }
    return (
        f"ParticipantObjectID of patients is {told[facts.config.audit.patients]} in this configuration "
        "(`audit.patients`); names of patients are never told."
    )


def _syslog(facts: Facts) -> str:
    syslog = facts.config.audit.syslog
    told = (
        "RFC 5424: facility 10, severity 5, of failures 4; MSGID DICOM+RFC3881; STRUCTURED-DATA [meta sequenceId]; "
        "messages of at most 32768 bytes. What is not taken is sent again and may come twice."
    )
    if syslog.host is None:
        return f"In this configuration they are not sent to a syslog server; `audit.syslog` would have them so. {told}"
    return f"They are sent to a syslog server by: {_TRANSPORTS[syslog.transport]}. {told}"
