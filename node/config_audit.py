"""What the section `audit` must agree with: nothing of it leaves this machine unencrypted, unsaid."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic_core import InitErrorDetails

from node.address import is_loopback
from node.config_access import faults_of_client
from node.config_faults import fault
from node.settings_audit import AuditSettings


def faults(audit: AuditSettings) -> Iterator[InitErrorDetails]:
    """Everything that does not fit."""
    syslog = audit.syslog
    if syslog.host is None:
        return
    if syslog.transport == "tls":
        yield from faults_of_client(("audit", "syslog", "tls"), syslog.tls)
    elif not is_loopback(syslog.host) and not syslog.allow_unencrypted:
        text = "tls, or set allow_unencrypted: true beside it; who did what would leave this machine unencrypted"
        yield fault(("audit", "syslog", "transport"), syslog.transport, text)
