"""Settings of HL7 version 2: a receiver of results, and the listener for orders and corrections."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from node.config_faults import Allowed
from node.settings import PeerTls, Port, Seconds, Settings, listed
from node.settings_network import TlsSettings

STUDY = "{study_instance_uid}"

#: MSH-3 to MSH-6 (HD): a namespace of at most 20 characters (HL7 v2.5.1, chapter 2A.36), no separators.
Application = Annotated[
    str, Field(max_length=20, pattern=r"^[^|^&~\\\s]*$"), Allowed("at most 20 characters without spaces and |^&~\\")
]


def _with_place(url: str | None) -> str | None:
    if url is not None and STUDY not in url:
        raise ValueError("no place for the study")
    return url


ViewerUrl = Annotated[
    str | None,
    Field(pattern=r"^https?://\S+$"),
    AfterValidator(_with_place),
    Allowed(f"a URL with {STUDY} in it, such as https://viewer.example/viewer?StudyInstanceUIDs={STUDY}"),
]


class Hl7Receiver(Settings):
    """Somebody who takes results as ORU^R01 over MLLP."""

    host: str = Field(min_length=1, description="Its host name or address.")
    port: Port = Field(description="Its port.")
    tls: PeerTls | None = Field(default=None, description="TLS to it; null: unencrypted.")
    sending_application: Application = Field(default="MAMMO_NODE", description="MSH-3.")
    sending_facility: Application = Field(default="", description="MSH-4.")
    receiving_application: Application = Field(default="", description="MSH-5.")
    receiving_facility: Application = Field(default="", description="MSH-6.")
    processing_id: Literal["P", "T", "D"] = Field(default="P", description="MSH-11: production, training or debugging.")
    connection_timeout_s: Seconds = Field(default=10.0, description="Time to wait for the connection.")
    answer_timeout_s: Seconds = Field(default=30.0, description="Time to wait for the acknowledgement.")


def _networks(senders: tuple[str, ...]) -> tuple[str, ...]:
    for each in senders:
        ipaddress.ip_network(each, strict=False)
    return senders


class Hl7Settings(Settings):
    """HL7 v2 messages that come in, over MLLP: orders (ORM^O01, OMI^O23), patients corrected and merged (ADT)."""

    port: Annotated[
        int | None, Field(ge=0, le=65535), Allowed("an integer from 1 to 65535, 0 for any free port, or null")
    ] = Field(default=None, description="Port to listen on; null: nothing is listened for.")
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. Other than loopback needs allow_non_loopback.",
    )
    allow_non_loopback: bool = Field(
        default=False, description="A person's consent to listen beyond this machine; senders must then be named."
    )
    senders: Annotated[
        tuple[str, ...],
        BeforeValidator(listed),
        AfterValidator(_networks),
        Allowed("a list of IP addresses and networks such as 10.1.2.0/24"),
    ] = Field(default=(), description="Where messages may come from; none named: from this machine only.")
    tls: TlsSettings = Field(default=TlsSettings(), description="TLS of what comes in. Renewed files are noticed.")
    processing_id: Literal["P", "T", "D"] = Field(
        default="P", description="MSH-11 of messages that are taken; one with another is rejected."
    )
    urgent_priorities: Annotated[
        tuple[str, ...], BeforeValidator(listed), Allowed("a list of codes of HL70485, such as S and A")
    ] = Field(default=("S", "A", "STAT"), description="Priorities (TQ1-9, ORC-7.6, OBR-27.6) that make an exam urgent.")
    maximum_message_bytes: int = Field(
        default=1_000_000, ge=1024, le=100_000_000, description="A larger message is not read, and its connection ends."
    )
    maximum_connections: int = Field(default=20, ge=1, le=1000, description="Connections at the same time.")
    idle_timeout_s: Seconds = Field(default=600.0, description="A connection is closed when nothing came for so long.")
    kept_days: float = Field(
        default=400.0, gt=0, description="Orders, and what was said of patients, are forgotten after this."
    )
