"""Settings of HL7 version 2: a receiver of results, and the listener for orders and corrections."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from node.config_faults import Allowed
from node.settings import PeerTls, Port, Seconds, Settings

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
