"""The section `audit` of config.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field

from node.settings import FilePath, PeerTls, Port, Seconds, Settings


class SyslogSettings(Settings):
    """Where audit messages are sent on to (RFC 5424)."""

    host: str | None = Field(
        default=None, min_length=1, description="The syslog server; null: the trail stays in its files."
    )
    port: Port = Field(default=6514, description="Its port; 6514 is that of syslog over TLS, 514 of UDP.")
    transport: Literal["tls", "tcp", "udp"] = Field(
        default="tls",
        description="tls: RFC 5425 (PS3.15 A.6). tcp (RFC 6587) and udp (RFC 5426, PS3.15 A.7) are unencrypted, and "
        "udp loses messages without a word.",
    )
    allow_unencrypted: bool = Field(
        default=False,
        description="A person's consent that who did what with which study leaves this machine unencrypted.",
    )
    tls: PeerTls = Field(default=PeerTls(), description="Whose certificate the server must show, and what we show.")
    timeout_s: Seconds = Field(default=10.0, description="Time for a connection, and for what was sent to be taken.")
    retry_s: Seconds = Field(default=15.0, description="Time between attempts while the server cannot be reached.")


class AuditSettings(Settings):
    """The audit trail: who did what (PS3.15 A.5), in files that are only added to, and on to syslog."""

    folder: FilePath = Field(
        default=Path("mammo-node-data/audit"), description="Folder of the trail, on a disk of this host."
    )
    file_bytes: int = Field(
        default=100_000_000, ge=4096, description="A file with so many bytes is full; the next begins. None is removed."
    )
    patients: Literal["hashed", "plain", "none"] = Field(
        default="hashed",
        description="Patients in it. hashed: a pseudonym, which `audit show --patient` finds again. plain: Patient ID. "
        "none: only studies. Names never are in it.",
    )
    associations: Literal["all", "refused"] = Field(
        default="all", description="all: every association that begins, too; refused: those that were not let in."
    )
    source_id: str | None = Field(
        default=None, min_length=1, max_length=255, description="Audit Source ID; null: AE title and host, as A@B."
    )
    site: str = Field(default="", max_length=255, description="Audit Enterprise Site ID; empty: none.")
    syslog: SyslogSettings = Field(default=SyslogSettings(), description="Where messages are sent on to.")
