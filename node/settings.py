"""The sections of config.yaml. Every field's description is what the settings reference says of it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import time
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
)

from node.config_faults import Allowed

ALL = "*"


def in_folder(path: Path, info: ValidationInfo) -> Path:
    """Paths are relative to the file they are written in."""
    folder: Path | None = (info.context or {}).get("folder")
    return folder / path if folder else path


def bundle_in_folder(bundle: str, info: ValidationInfo) -> str:
    """A bundle with a slash or an ending is a path; a bare word is one that is shipped."""
    return str(in_folder(Path(bundle), info)) if "/" in bundle or "." in bundle else bundle


def _address(address: str | None) -> str | None:
    if address is not None:
        ipaddress.ip_network(address, strict=False)
    return address


def listed(value: object) -> object:
    """One text as a list of one."""
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
Devices = Annotated[
    tuple[Annotated[str, Field(pattern=r"^(cpu|cuda(:\d+)?)$")], ...],
    BeforeValidator(listed),
    Field(min_length=1),
    Allowed("cpu, cuda (the first GPU) or cuda:N, or a list of these"),
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
FilePath = Annotated[Path, AfterValidator(in_folder)]
BundleName = Annotated[str, AfterValidator(bundle_in_folder)]
Patterns = Annotated[
    tuple[str, ...], BeforeValidator(listed), Allowed("a text or a list of texts; * stands for any characters")
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


class Caller(Settings):
    """Who may open an association to this node."""

    ae_title: AETitle = Field(description="Calling AE title.")
    address: Address = Field(default=None, description="Where the caller may come from; null for anywhere.")
    may: Annotated[
        tuple[Literal["store", "query", "get", "commit", "ups"], ...],
        BeforeValidator(listed),
        Allowed("a list of store, query, get, commit, ups"),
    ] = Field(
        default=("store", "query", "get", "commit", "ups"),
        description="What it may ask for: C-STORE, C-FIND, C-GET, storage commitment, unified procedure steps. "
        "C-ECHO it always may.",
    )
    move_to: Annotated[
        tuple[AETitle, ...] | None, BeforeValidator(listed), Allowed("a list of AE titles, [] for none, or null")
    ] = Field(default=None, description="Peers that it may have images sent to by C-MOVE; null: any.")

    def admits(self, ae_title: str, address: str) -> bool:
        """Is this the caller `ae_title`, coming from the IP `address`?"""
        if ae_title.strip() != self.ae_title:
            return False
        return self.address is None or ipaddress.ip_address(address) in ipaddress.ip_network(self.address, strict=False)


class PriorSource(Settings):
    """A PACS that is asked for a woman's earlier exams when a strategy wants them and too few are held."""

    retrieve: Literal["move", "get"] = Field(
        default="move", description="move: C-MOVE, for which the PACS must know this node; get: C-GET."
    )
    most: int = Field(default=1, ge=1, le=10, description="Most earlier exams fetched for one exam.")
    years: float = Field(default=6.0, gt=0, le=100, description="How far back earlier exams are looked for.")
    hours: Annotated[
        str | None,
        Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$"),
        Allowed("HH:MM-HH:MM, over midnight as well, or null"),
    ] = Field(default=None, description="Time of day, local, in which it may be asked; null: always.")
    concurrency: int = Field(default=1, ge=1, le=32, description="Exams that earlier ones are fetched for at a time.")
    timeout_s: Seconds = Field(default=120.0, description="The exam is read without one that takes longer.")

    def is_open(self, now: time) -> bool:
        """Whether it may be asked at this time of day."""
        if self.hours is None:
            return True
        begin, end = (time.fromisoformat(each) for each in self.hours.split("-"))
        return begin <= now < end if begin <= end else (now >= begin or now < end)


class PeerTls(Settings):
    """TLS to a peer (PS3.15 B.12: BCP 195): from TLS 1.2 on, with forward secrecy; the peer shows a certificate."""

    ca_file: FilePath | None = Field(
        default=None, description="CAs, or the peer's own certificate, PEM; null: the well-known CAs."
    )
    certificate_file: FilePath | None = Field(
        default=None, description="This node's certificate and those up to its CA, for peers that ask; null: none."
    )
    key_file: FilePath | None = Field(default=None, description="The certificate's key, PEM, without a passphrase.")
    certificate_name: str | None = Field(
        default=None, min_length=1, description="Name in the peer's certificate; null: the peer's host."
    )
    check_name: bool = Field(
        default=True, description="false: any certificate of ca_file will do, whatever name is in it."
    )


class Peer(Settings):
    """A DICOM application this node calls (C-ECHO, C-STORE, C-FIND, C-MOVE, C-GET)."""

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
    tls: PeerTls | None = Field(default=None, description="TLS to the peer; null: unencrypted.")
    priors: PriorSource | None = Field(default=None, description="How earlier exams are fetched from it; null: not.")


class CompletenessSettings(Settings):
    """When an exam is whole."""

    standard_views_grace_s: float = Field(
        default=1.5, ge=0, le=3600, description="Wait for repeats once all four standard views are there."
    )
    quiet_s: Seconds = Field(
        default=60.0, description="Without all four, the exam is whole when nothing came for this long."
    )


class OperatingPoints(Settings):
    """Percentiles that divide exams into NEGATIVE, INDETERMINATE and SUSPICIOUS."""

    rule_out_percentile: Percentile = Field(default=70.0, description="Exams below this percentile are NEGATIVE.")
    flag_percentile: Percentile = Field(default=97.0, description="Exams at or above this percentile are SUSPICIOUS.")


class ReadingSettings(Settings):
    """How exams are read."""

    bundles: tuple[BundleName, ...] = Field(
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
    device: Devices = Field(default=("cpu",), description="Where models run: one reading process for each name.")
    threads: int | None = Field(default=None, ge=1, le=1024, description="CPU threads of each; null: a share of them.")
    batch: int | None = Field(
        default=None, ge=1, le=64, description="Exams computed together, at most; null: 1 on cpu, 4 on cuda."
    )
    batch_wait_ms: float = Field(default=5.0, ge=0, le=1000, description="Time for a batch to fill.")
    prefetch: int | None = Field(
        default=None, ge=0, le=256, description="Exams decoded ahead, some 200 MB each; null: 1 on cpu, 8 on cuda."
    )
    max_attempts: int = Field(default=3, ge=1, le=100, description="Failed attempts before an exam is NOT_READ.")
    timeout_s: Seconds = Field(
        default=600.0, description="A reading that takes longer is stopped and counts as failed."
    )


class WebSettings(Settings):
    """DICOMweb (QIDO-RS, WADO-RS, STOW-RS). Who may use it: section access."""

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
        description="A person's consent to listen beyond this machine; who may ask then: section access.",
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
        BeforeValidator(listed),
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
    ready_within_s: Seconds | None = Field(
        default=3600.0,
        description="/health/ready is 503 when an exam waits longer than this to be read or reported; null: never.",
    )
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
