"""Settings of the places that results go to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from node.config_faults import Allowed
from node.settings import FilePath, Name, Patterns, Seconds, Settings
from node.settings_hl7 import STUDY, Hl7Receiver, ViewerUrl


def _with_host(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host, or no port that can be called")
    return url


class DicomwebServer(Settings):
    """A DICOMweb (STOW-RS) or FHIR server this node calls."""

    url: Annotated[
        str,
        Field(pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*[^\s/?#])?$"),
        AfterValidator(_with_host),
        Allowed("a URL without user, query or slash at its end, such as https://pacs.example/dicom-web"),
    ] = Field(
        description="Base URL, before /studies or a resource's name. Beyond loopback https, or allow_plain_http is set."
    )
    allow_plain_http: bool = Field(
        default=False, description="A person's consent that patients' data leave this machine unencrypted."
    )
    headers_file: FilePath | None = Field(
        default=None,
        description='File of "Name: value" lines sent with every request, such as a sign-in; read anew every time.',
    )
    ca_file: FilePath | None = Field(
        default=None, description="Certificates (PEM) that the server's is checked with; null: the well-known ones."
    )
    connection_timeout_s: Seconds = Field(default=10.0, description="Time to wait for the connection.")
    answer_timeout_s: Seconds = Field(default=60.0, description="Time to wait for the answer to an object.")


class ResultChoice(Settings):
    """A result object for a destination: its kind alone, or a mapping of its kind and its options."""

    kind: str = Field(description="Name of the result object.")
    options: Mapping[str, Any] = Field(
        default_factory=dict, description="The kind's own options, written beside `kind`; each kind names its own."
    )

    @model_validator(mode="before")
    @classmethod
    def _options_beside_kind(cls, data: object) -> object:
        if isinstance(data, str):
            return {"kind": data}
        if isinstance(data, Mapping) and "options" not in data:
            options = {key: value for key, value in data.items() if key != "kind"}
            return {"options": options, **{key: value for key, value in data.items() if key == "kind"}}
        return data


class Destination(Settings):
    """Where results go, which ones, and how hard delivery is tried."""

    type: str = Field(
        default="dicom_store",
        description="Way of delivery: dicom_store (C-STORE to a peer), dicomweb_store (STOW-RS), folder (files), "
        "hl7_mllp (ORU^R01) or fhir (a transaction).",
    )
    peer: Name | None = Field(default=None, description="dicom_store: name of the peer.")
    server: DicomwebServer | None = Field(default=None, description="dicomweb_store and fhir: the server.")
    folder: FilePath | None = Field(default=None, description="folder: where the files are put.")
    hl7: Hl7Receiver | None = Field(default=None, description="hl7_mllp: who takes the messages.")
    viewer_url: ViewerUrl = Field(
        default=None,
        description=f"hl7_mllp, fhir: where a viewer shows a study, with {STUDY} in it; null: none is told.",
    )
    patient_id_system: Annotated[
        str | None, Field(pattern=r"^[a-z][a-z0-9+.-]*:\S+$"), Allowed("a URI such as urn:oid:2.16.578.1.12.4.1.4.1")
    ] = Field(default=None, description="fhir: system of the identifiers that Patient IDs are; null: none is told.")
    results: tuple[ResultChoice, ...] = Field(
        default=(),
        description="Result objects to deliver: names, or mappings of `kind` and its options; write it: [] is for a "
        "destination that only gets what rules forward.",
    )
    identity_peer: Name | None = Field(
        default=None,
        description="Peer asked (C-FIND) for the study's patient before results are sent; another one holds them.",
    )
    commitment: bool = Field(
        default=False,
        description="dicom_store: ask the peer for storage commitment. A result has then arrived on its word only.",
    )
    commitment_wait_s: Seconds = Field(
        default=5.0, description="Time the peer may take to answer that on the same association."
    )
    commitment_silence_s: Seconds = Field(
        default=300.0, description="After so long a silence commitment is asked for again; it doubles each time."
    )
    commitment_asks: int = Field(
        default=12, ge=1, le=1000, description="Requests without an answer before it is given up, visibly."
    )
    max_attempts: int = Field(default=500, ge=1, description="Attempts before a delivery is given up, visibly.")
    first_retry_s: Seconds = Field(
        default=5.0, description="Wait after the first failed attempt; it doubles each time."
    )
    max_retry_s: Seconds = Field(default=600.0, description="Longest wait between two attempts.")
    concurrency: int = Field(default=1, ge=1, le=32, description="Deliveries to this destination at the same time.")
    answers: Patterns = Field(
        default=(),
        description='AE titles of senders whose results come here where a rule says "@sender"; the peer\'s own is one.',
    )
