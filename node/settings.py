"""The sections of config.yaml. Every field's description is what the settings reference says of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    model_validator,
)

from node.config_faults import Allowed

ALL = "*"


def _in_folder(path: Path, info: ValidationInfo) -> Path:
    """Paths are relative to the file they are written in."""
    folder: Path | None = (info.context or {}).get("folder")
    return folder / path if folder else path


def _database_in_folder(url: str, info: ValidationInfo) -> str:
    prefix = "sqlite:///"
    if url.startswith(prefix) and url not in (prefix, f"{prefix}:memory:"):
        return f"{prefix}{_in_folder(Path(url.removeprefix(prefix)), info)}"
    return url


def _bundle_in_folder(bundle: str, info: ValidationInfo) -> str:
    """A bundle with a slash or an ending is a path; a bare word is one that is shipped."""
    return str(_in_folder(Path(bundle), info)) if "/" in bundle or "." in bundle else bundle


def _address(address: str | None) -> str | None:
    if address is not None:
        ipaddress.ip_network(address, strict=False)
    return address


def _with_host(url: str) -> str:
    parts = urlsplit(url)
    if not parts.hostname or parts.port == 0:
        raise ValueError("no host, or no port that can be called")
    return url


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


AETitle = Annotated[
    # PS3.5 6.2, VR AE: 16 bytes of the default repertoire, no backslash, not only spaces
    str,
    Field(min_length=1, max_length=16, pattern=r"^[!-\[\]-~]([ -\[\]-~]*[!-\[\]-~])?$"),
    Allowed("1 to 16 printable ASCII characters, no backslash, no space at either end"),
]
Address = Annotated[
    str | None, AfterValidator(_address), Allowed("an IP address, a network such as 10.1.2.0/24, or null")
]
Name = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"),
    Allowed("letters, digits, '_', '-' and '.', at most 64, beginning with a letter or digit"),
]
Port = Annotated[int, Field(ge=1, le=65535)]
ListenPort = Annotated[int, Field(ge=0, le=65535), Allowed("an integer from 1 to 65535, or 0 for any free port")]
Seconds = Annotated[float, Field(gt=0, le=86400)]
Percentile = Annotated[float, Field(gt=0, lt=100)]
FilePath = Annotated[Path, AfterValidator(_in_folder)]
Patterns = Annotated[
    tuple[str, ...], BeforeValidator(_listed), Allowed("a text or a list of texts; * stands for any characters")
]


class Settings(BaseModel):
    """Base of every section."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class NodeSettings(Settings):
    """This node on the network."""

    ae_title: AETitle = Field(
        default="MAMMO_NODE", description="This node's AE title, called by senders and calling peers."
    )
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. Other than loopback needs allow_non_loopback.",
    )
    port: ListenPort = Field(default=11112, description="Port to listen on for DICOM associations.")
    institution_name: str = Field(
        default="", max_length=64, description="Institution Name (0008,0080) of the result objects."
    )
    station_name: str = Field(default="", max_length=16, description="Station Name (0008,1010) of the result objects.")
    allow_non_loopback: bool = Field(
        default=False, description="A person's consent to listen beyond this machine; callers must then be named."
    )


class NetworkSettings(Settings):
    """Limits on every DICOM connection."""

    maximum_pdu_bytes: int = Field(default=131072, ge=4096, le=1048576, description="Largest PDU received (PS3.8 D.1).")
    maximum_associations: int = Field(
        default=20, ge=1, le=1000, description="Associations served at the same time, in all."
    )
    maximum_associations_per_caller: int = Field(
        default=8, ge=1, le=1000, description="Associations served at the same time for one calling AE title."
    )
    association_timeout_s: Seconds = Field(default=30.0, description="Time to wait for association messages (ACSE).")
    dimse_timeout_s: Seconds = Field(default=30.0, description="Time to wait for the rest of a DIMSE message.")
    network_timeout_s: Seconds = Field(default=60.0, description="An association that is idle for longer is aborted.")
    max_object_bytes: int = Field(
        default=4_000_000_000, ge=1024, description="Largest data set received; larger is refused."
    )


class Caller(Settings):
    """Who may open an association to this node."""

    ae_title: AETitle = Field(description="Calling AE title.")
    address: Address = Field(default=None, description="Where the caller may come from; null for anywhere.")

    def admits(self, ae_title: str, address: str) -> bool:
        """Is this the caller `ae_title`, coming from the IP `address`?"""
        if ae_title.strip() != self.ae_title:
            return False
        return self.address is None or ipaddress.ip_address(address) in ipaddress.ip_network(self.address, strict=False)


class Peer(Settings):
    """A DICOM application this node calls (C-ECHO, C-STORE)."""

    ae_title: AETitle = Field(description="The peer's AE title.")
    host: str = Field(min_length=1, description="The peer's host name or address.")
    port: Port = Field(description="The peer's port.")
    connection_timeout_s: Seconds = Field(default=10.0, description="Time to wait for the TCP connection.")
    association_timeout_s: Seconds = Field(default=30.0, description="Time to wait for association messages (ACSE).")
    dimse_timeout_s: Seconds = Field(default=60.0, description="Time to wait for the answer to a DIMSE request.")
    network_timeout_s: Seconds = Field(
        default=60.0, description="Time without any traffic before the association is aborted."
    )
    maximum_pdu_bytes: int = Field(
        default=131072, ge=4096, le=1048576, description="Largest PDU received from the peer."
    )


class DicomwebServer(Settings):
    """A DICOMweb server this node calls (STOW-RS)."""

    url: Annotated[
        str,
        Field(pattern=r"^https?://[^\s/@?#]+(/[^\s?#]*[^\s/?#])?$"),
        AfterValidator(_with_host),
        Allowed("a URL without user, query or slash at its end, such as https://pacs.example/dicom-web"),
    ] = Field(description="Base URL, before /studies. Beyond loopback it is https, or allow_plain_http is set.")
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
        description="Way of delivery: dicom_store (C-STORE to a peer), dicomweb_store (STOW-RS) or folder (files).",
    )
    peer: Name | None = Field(default=None, description="dicom_store: name of the peer.")
    server: DicomwebServer | None = Field(default=None, description="dicomweb_store: the server.")
    folder: FilePath | None = Field(default=None, description="folder: where the files are put.")
    results: tuple[ResultChoice, ...] = Field(
        default=(), description="Result objects to deliver: names, or mappings of `kind` and its options."
    )
    max_attempts: int = Field(default=500, ge=1, description="Attempts before a delivery is given up, visibly.")
    first_retry_s: Seconds = Field(
        default=5.0, description="Wait after the first failed attempt; it doubles each time."
    )
    max_retry_s: Seconds = Field(default=600.0, description="Longest wait between two attempts.")
    concurrency: int = Field(default=1, ge=1, le=32, description="Deliveries to this destination at the same time.")


class When(Settings):
    """What an instance must be for a rule to apply: every key that is given must match, by any of its patterns."""

    calling_ae_title: Patterns = Field(default=(), description="Calling AE title of the sender.")
    sop_class_uid: Patterns = Field(default=(), description="SOP Class UID (0008,0016).")
    modality: Patterns = Field(default=(), description="Modality (0008,0060).")
    manufacturer: Patterns = Field(default=(), description="Manufacturer (0008,0070).")
    manufacturer_model_name: Patterns = Field(default=(), description="Manufacturer's Model Name (0008,1090).")
    institution_name: Patterns = Field(default=(), description="Institution Name (0008,0080).")
    station_name: Patterns = Field(default=(), description="Station Name (0008,1010).")


class Rule(Settings):
    """What happens to an instance. Rules are tried in order and the first that matches decides."""

    name: Name = Field(description="The rule's name, as logs and pages show it.")
    when: When = Field(default=When(), description="What the instance must be; empty matches everything.")
    action: Literal["read", "store", "refuse"] = Field(
        default="read", description="read: store, and read the exam; store: keep it only; refuse: do not accept it."
    )
    destinations: Patterns = Field(
        default=(ALL,), description='Destinations of the results of a read exam; "*" is all.'
    )
    priority: Literal["urgent", "routine", "archive"] = Field(
        default="routine",
        description="Of a read exam: an urgent one goes before those of the last hour, one of the archive after those "
        "of the next day.",
    )


class CompletenessSettings(Settings):
    """When an exam is whole."""

    standard_views_grace_s: float = Field(
        default=1.5, ge=0, le=3600, description="Wait for repeats once all four standard views are there."
    )
    quiet_s: Seconds = Field(
        default=60.0, description="Without all four, the exam is whole when nothing came for this long."
    )


class WorklistSettings(Settings):
    """The modality worklist (MWL) that says what is to come."""

    peer: Name | None = Field(default=None, description="Name of the peer that has the worklist; null: none is asked.")
    every_s: Seconds = Field(default=300.0, description="Time between two queries for today's list.")
    modality: str = Field(default="MG", min_length=1, max_length=16, description="Modality (0008,0060) asked for.")
    station_ae_titles: tuple[AETitle, ...] = Field(
        default=(), description="Scheduled Station AE Titles (0040,0001) asked for; none: all."
    )
    urgent_priorities: tuple[str, ...] = Field(
        default=("STAT", "HIGH"), description="Requested Procedure Priorities (0040,1003) that make an exam urgent."
    )
    missing_after_s: Seconds = Field(
        default=7200.0, description="A scheduled exam of which nothing came for this long is told as missing."
    )


class OperatingPoints(Settings):
    """Percentiles that divide exams into NEGATIVE, INDETERMINATE and SUSPICIOUS."""

    rule_out_percentile: Percentile = Field(default=70.0, description="Exams below this percentile are NEGATIVE.")
    flag_percentile: Percentile = Field(default=97.0, description="Exams at or above this percentile are SUSPICIOUS.")


class ReadingSettings(Settings):
    """How exams are read."""

    bundles: tuple[Annotated[str, AfterValidator(_bundle_in_folder)], ...] = Field(
        default=("demo",), description="Model bundles: a shipped one's name, or a path to a folder or .zip."
    )
    strategy: str = Field(default="screening", min_length=1, description="Way of turning model outputs into a reading.")
    strategy_options: Mapping[str, Any] = Field(
        default_factory=dict, description="The strategy's own options; each strategy names its own."
    )
    operating_points: OperatingPoints = Field(default=OperatingPoints(), description="The triage thresholds.")
    negative_without_reference_population: bool = Field(
        default=False,
        description="May an exam be NEGATIVE by thresholds borrowed from other equipment? false: it is INDETERMINATE.",
    )
    calibration_folder: FilePath = Field(
        default=Path("mammo-node-data/calibration"),
        description="Folder of the calibrations that `mammo-node calibrate apply` makes count, with their history.",
    )
    device: Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$"), Allowed("cpu, cuda, or cuda:N for one GPU")] = Field(
        default="cpu", description="Where models run."
    )
    threads: int | None = Field(default=None, ge=1, le=1024, description="CPU threads of a reader; null: one per core.")
    max_attempts: int = Field(default=3, ge=1, le=100, description="Failed attempts before an exam is NOT_READ.")
    timeout_s: Seconds = Field(
        default=600.0, description="A reading that takes longer is stopped and counts as failed."
    )


class StorageSettings(Settings):
    """Where instances and their index are kept."""

    database_url: Annotated[str, AfterValidator(_database_in_folder)] = Field(
        default="sqlite:///./mammo-node-data/node.sqlite",
        min_length=1,
        repr=False,
        description="Index and work queue, as an SQLAlchemy URL: sqlite:///FILE or postgresql+psycopg://….",
    )
    object_folder: FilePath = Field(
        default=Path("mammo-node-data/objects"), description="Folder of the received and made files."
    )
    minimum_free_bytes: int = Field(
        default=2_000_000_000,
        ge=0,
        description="With less free disk, instances are refused (0xA700: out of resources).",
    )
    retention_days: int | None = Field(
        default=None, ge=1, description="Delete studies this many days after their results are delivered; null: never."
    )

    @property
    def lock_file(self) -> Path:
        """Held by the node that works on these objects, for as long as it lives."""
        return self.object_folder / ".lock"


class WebSettings(Settings):
    """DICOMweb (QIDO-RS, WADO-RS, STOW-RS). There is no sign-in: whoever reaches the port sees every patient."""

    port: Annotated[
        int | None, Field(ge=0, le=65535), Allowed("an integer from 1 to 65535, 0 for any free port, or null")
    ] = Field(default=None, description="Port to listen on for HTTP; null: nothing is served.")
    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. Other than loopback needs allow_non_loopback.",
    )
    allow_non_loopback: bool = Field(
        default=False,
        description="A person's consent that anybody who reaches the port may read and store without signing in.",
    )
    path: Annotated[
        str,
        Field(pattern=r"^(/[A-Za-z0-9_.~-]+)+$"),
        Allowed("a path such as /dicom-web, without a slash at its end"),
    ] = Field(default="/dicom-web", description="Where DICOMweb begins in URLs.")
    public_url: Annotated[
        str | None,
        Field(pattern=r"^https?://[^\s]+[^/\s]$"),
        Allowed("a URL without a slash at its end, such as https://pacs.example/dicom-web, or null"),
    ] = Field(default=None, description="Where a proxy shows `path` to others; null: as the request calls it.")
    allowed_origins: Annotated[
        tuple[Annotated[str, Field(pattern=r"^(\*|https?://[^/\s]+)$")], ...],
        BeforeValidator(_listed),
        Allowed('origins such as http://127.0.0.1:3000, or "*" for any'),
    ] = Field(default=(), description="Web pages from elsewhere that a browser lets read the answers (CORS).")
    calling_ae_title: AETitle = Field(
        default="STOW-RS", description="What routing rules see as the sender of what comes in over HTTP."
    )
    maximum_request_bytes: int = Field(
        default=16_000_000_000, ge=1024, description="Largest request body; a part is held to network.max_object_bytes."
    )
    threads: int = Field(default=8, ge=1, le=256, description="Requests worked on at the same time.")
    decoders: int = Field(default=2, ge=1, le=64, description="Processes that decode images for other syntaxes.")
    decoding_timeout_s: Seconds = Field(default=30.0, description="An image that takes longer is not decoded.")
    maximum_results: int = Field(
        default=1000,
        ge=1,
        le=100_000,
        description="Most matches of a search in one answer; more need limit and offset.",
    )


class LoggingSettings(Settings):
    """What is logged, and where to. Names and IDs of patients never are."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least severe level logged."
    )
    format: Literal["json", "text"] = Field(
        default="text", description="json: one object per line; text: for a person."
    )
    file: FilePath | None = Field(default=None, description="Log file; null: standard error.")
