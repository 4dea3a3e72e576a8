"""The section `network` of config.yaml."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from node.settings import FilePath, Seconds, Settings


class TlsSettings(Settings):
    """TLS on the DICOM port (PS3.15 B.12: BCP 195): from TLS 1.2 on, with forward secrecy."""

    certificate_file: FilePath | None = Field(
        default=None, description="This node's certificate and those up to its CA, PEM; null: unencrypted."
    )
    key_file: FilePath | None = Field(default=None, description="The certificate's key, PEM, without a passphrase.")
    client_ca_file: FilePath | None = Field(
        default=None,
        description="CAs whose certificates callers must show, PEM; null: callers need no certificate.",
    )

    @property
    def is_on(self) -> bool:
        """Whether associations that come in are encrypted."""
        return self.certificate_file is not None


class NetworkSettings(Settings):
    """DICOM connections that come in: limits, and encryption."""

    maximum_pdu_bytes: int = Field(default=131072, ge=4096, le=1048576, description="Largest PDU received (PS3.8 D.1).")
    maximum_associations: int = Field(
        default=20, ge=1, le=1000, description="Associations served at the same time, in all."
    )
    maximum_associations_per_caller: int = Field(
        default=8, ge=1, le=1000, description="Associations served at the same time for one calling AE title."
    )
    reserved_associations: int = Field(
        default=2, ge=0, le=999, description="The last of them are only for addresses that have none open."
    )
    maximum_connections: int = Field(
        default=200, ge=1, le=10_000, description="TCP connections held, also those that asked for nothing yet."
    )
    maximum_connections_per_address: int = Field(
        default=50, ge=1, le=10_000, description="Of those, from one IP address; more are closed at once."
    )
    association_timeout_s: Seconds = Field(default=30.0, description="Time to wait for association messages (ACSE).")
    dimse_timeout_s: Seconds = Field(default=30.0, description="Time to wait for the rest of a DIMSE message.")
    minimum_bytes_per_s: float = Field(
        default=1000.0,
        ge=1,
        description="A DIMSE message may take dimse_timeout_s, and what its bytes take at this speed.",
    )
    network_timeout_s: Seconds = Field(default=60.0, description="An association that is idle for longer is aborted.")
    max_object_bytes: int = Field(
        default=4_000_000_000, ge=1024, description="Largest data set received; larger is refused."
    )
    upper_layer: Literal["fast", "stock"] = Field(
        default="fast",
        description="fast: this node's own reader of associations; stock: pynetdicom's, should the other misbehave.",
    )
    tls: TlsSettings = Field(
        default=TlsSettings(), description="TLS for associations that come in. Renewed files are noticed."
    )
