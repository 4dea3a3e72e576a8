"""Settings: config.yaml → one frozen `Config`, made once at start-up and handed to those who need it.

Nothing is guessed: an unknown key, a key given twice or a name that leads nowhere stops the start, and the
message says what is allowed. Without a file the defaults work on loopback.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from ai import extensions
from node import config_access, config_audit, config_hl7, config_routing, dicomweb, results
from node import destinations as destination_types
from node.address import is_loopback
from node.config_faults import Location, fault, lines, told
from node.errors import ConfigError
from node.settings import (
    ALL,
    Caller,
    CompletenessSettings,
    LoggingSettings,
    Name,
    NodeSettings,
    Peer,
    ReadingSettings,
    Settings,
    WebSettings,
)
from node.settings_access import AccessSettings
from node.settings_audit import AuditSettings
from node.settings_commitment import CommitmentSettings
from node.settings_destinations import Destination, DicomwebServer, ResultChoice
from node.settings_hl7 import Hl7Settings
from node.settings_network import NetworkSettings
from node.settings_query import QuerySettings
from node.settings_routing import SENDER, OtherReading, Rule, When
from node.settings_shadow import ShadowSettings
from node.settings_storage import PipelineSettings, StorageSettings
from node.settings_ups import UpsSettings
from node.settings_worklist import WorklistSettings

#: Mammograms are read; what a PACS sends along with them is kept, so that its queue goes on.
_DEFAULT_ROUTING = (
    Rule(name="screening", when=When(modality=("MG",))),
    Rule(name="companions", when=When(modality=("SR", "OT", "PR", "KO", "SEG")), action="store", destinations=()),
)


class Config(Settings):
    """All settings."""

    node: NodeSettings = Field(default=NodeSettings(), description="This node on the network.")
    network: NetworkSettings = Field(
        default=NetworkSettings(), description="DICOM connections that come in: limits, and encryption."
    )
    callers: tuple[Caller, ...] = Field(
        default=(), description="Who may call; none named: anybody on this machine, nobody from elsewhere."
    )
    require_called_ae_title: bool = Field(default=True, description="Refuse associations that call another AE title.")
    peers: Mapping[Name, Peer] = Field(default_factory=dict, description="DICOM applications this node calls, by name.")
    destinations: Mapping[Name, Destination] = Field(
        default_factory=dict, description="Where results go, by name; without any: a folder of files."
    )
    routing: tuple[Rule, ...] = Field(
        default=_DEFAULT_ROUTING,
        description="What happens to an instance: the first rule that matches. What no rule takes is refused (0x0122).",
    )
    commitment: CommitmentSettings = Field(
        default=CommitmentSettings(), description="Answers to those who ask this node for storage commitment."
    )
    query: QuerySettings = Field(default=QuerySettings(), description="Queries and retrievals of others, over DIMSE.")
    completeness: CompletenessSettings = Field(default=CompletenessSettings(), description="When an exam is whole.")
    worklist: WorklistSettings = Field(
        default=WorklistSettings(), description="The modality worklist that says what is to come."
    )
    ups: UpsSettings = Field(default=UpsSettings(), description="Unified Procedure Steps: work items of others.")
    hl7: Hl7Settings = Field(default=Hl7Settings(), description="HL7 v2 messages that come in.")
    reading: ReadingSettings = Field(default=ReadingSettings(), description="How exams are read.")
    shadow: ShadowSettings = Field(
        default=ShadowSettings(), description="What reads every exam in the shadow of the live model."
    )
    readings: Mapping[Name, OtherReading] = Field(
        default_factory=dict, description="Other ways to read, by name, for rules that say so."
    )
    storage: StorageSettings = Field(default=StorageSettings(), description="Where instances and their index are kept.")
    pipeline: PipelineSettings = Field(default=PipelineSettings(), description="How several workers share the work.")
    web: WebSettings = Field(default=WebSettings(), description="DICOMweb (QIDO-RS, WADO-RS, STOW-RS) over HTTP.")
    access: AccessSettings = Field(
        default=AccessSettings(), description="Who may use the web side, and how it is encrypted."
    )
    audit: AuditSettings = Field(default=AuditSettings(), description="The audit trail (PS3.15 A.5), and its syslog.")
    logging: LoggingSettings = Field(default=LoggingSettings(), description="What is logged, and where to.")

    def admits(self, calling_ae_title: str, address: str) -> bool:
        """May this AE title call from this IP address? With no callers named: anybody from loopback."""
        if not self.callers:
            return is_loopback(address)
        return any(caller.admits(calling_ae_title, address) for caller in self.callers)

    def is_peer(self, ae_title: str) -> bool:
        """Is there a peer of this AE title?"""
        return any(peer.ae_title == ae_title for peer in self.peers.values())

    def may(self, calling_ae_title: str, address: str, right: str) -> bool:
        """May whoever was admitted do this? right: as `Caller.may`."""
        return not self.callers or any(right in each.may for each in self._admitting(calling_ae_title, address))

    def may_move(self, calling_ae_title: str, address: str, to: str) -> bool:
        """May whoever was admitted have images sent to the AE title `to`?"""
        allowed = [each.move_to for each in self._admitting(calling_ae_title, address)]
        return not self.callers or any(each is None or to in each for each in allowed)

    def _admitting(self, calling_ae_title: str, address: str) -> list[Caller]:
        return [caller for caller in self.callers if caller.admits(calling_ae_title, address)]

    def destinations_of(self, rule: Rule, sender: str | None = None) -> tuple[str, ...]:
        """Names of the rule's destinations: "*" resolved, and "@sender" for the AE title `sender` (None: for any)."""
        if ALL in rule.destinations:
            return tuple(self.destinations)
        if SENDER not in rule.destinations:
            return rule.destinations
        back = config_routing.back_to(sender, self)
        return tuple(dict.fromkeys([*(name for name in rule.destinations if name != SENDER), *back]))

    def with_rules(self, rules: tuple[Rule, ...]) -> Self:
        """The same with other routing rules. Raises ConfigError with one line per fault."""
        found = [*config_routing.faults(rules, self)]
        if found:
            raise ConfigError("\n".join(lines(ValidationError.from_exception_data("Config", found), Config)))
        return self.model_copy(update={"routing": rules})

    def reading_named(self, name: str | None) -> ReadingSettings:
        """How a rule says to read: `reading`, changed by one of `readings`."""
        other = self.readings[name] if name is not None else OtherReading()
        changed = {key: getattr(other, key) for key in type(other).model_fields}
        if other.strategy not in (None, self.reading.strategy) and other.strategy_options is None:
            changed["strategy_options"] = {}
        return self.reading.model_copy(update={key: each for key, each in changed.items() if each is not None})

    @model_validator(mode="before")
    @classmethod
    def _sections(cls, data: object) -> object:
        """Sections left out, or left empty, are their defaults, validated like written ones."""
        if not isinstance(data, Mapping):
            return data
        return {**_default_sections(), **{key: value for key, value in data.items() if value is not None}}

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Self:
        found = [
            *_listening_faults(self),
            *_destination_faults(self),
            *config_hl7.faults(self.hl7, self.destinations),
            *config_routing.faults(self.routing, self),
            *_limit_faults(self),
            *config_audit.faults(self.audit),
            *_sharing_faults(self),
            *_peer_faults(self),
        ]
        if found:
            raise ValidationError.from_exception_data("Config", found)
        return self


def load_config(path: Path | None) -> Config:
    """The settings in the YAML file `path`; with None, the defaults.

    Relative paths in the file are relative to the file's folder (defaults: to the working folder).
    Raises ConfigError with one line per fault.
    """
    if path is None:
        return config_from({}, Path.cwd())
    return config_from(_parsed(path), path.resolve().parent)


def config_from(settings: Mapping[str, Any], folder: Path) -> Config:
    """The settings of a mapping shaped like config.yaml. Raises ConfigError with one line per fault."""
    try:
        return Config.model_validate(settings, context={"folder": folder})
    except ValidationError as error:
        raise ConfigError("\n".join(lines(error, Config))) from error


def _default_sections() -> dict[str, Any]:
    usual = ("mammography_cad_sr", "measurement_sr", "summary_sc")
    folder = {"type": "folder", "folder": "mammo-node-data/results"}
    kinds = [kind for kind in usual if kind in results.offered()]
    sections = (
        "node", "network", "commitment", "query", "completeness", "hl7", "reading", "shadow", "storage", "pipeline",
        "web", "access", "audit", "logging",
    )  # fmt: skip
    return {**{name: {} for name in sections}, "destinations": {"results": {**folder, "results": kinds}}}


class _Loader(yaml.SafeLoader):
    """YAML, but a key given twice is an error and not silently the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for index, key in enumerate(keys):
            if key in keys[:index]:
                raise yaml.MarkedYAMLError(
                    problem=f"key {key!r} is given twice", problem_mark=node.value[index][0].start_mark
                )
        return super().construct_mapping(node, deep)


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ConfigError(f"{path}: {where}not valid YAML: {error.problem}") from error
    if not isinstance(content, Mapping | None):
        raise ConfigError(f"{path}: value {content!r} is not allowed; allowed: a mapping of settings")
    return content or {}


def _listening_faults(config: Config) -> Iterator[InitErrorDetails]:
    node, web = config.node, config.web
    yield from config_access.faults(web, config.access)
    yield from config_access.faults_of_listener(("network", "tls"), config.network.tls)
    yield from config_access.faults_of_peers(config.peers)
    if is_loopback(node.host):
        return
    if not node.allow_non_loopback:
        yield fault(("node", "host"), node.host, "127.0.0.1, or set node.allow_non_loopback: true and name the callers")
    elif not config.callers:
        yield fault(("callers",), [], "at least one caller when node.host is not loopback")


def _limit_faults(config: Config) -> Iterator[InitErrorDetails]:
    network, points = config.network, config.reading.operating_points
    if network.maximum_associations_per_caller > network.maximum_associations:
        value = network.maximum_associations_per_caller
        limit = f"at most network.maximum_associations, {network.maximum_associations}"
        yield fault(("network", "maximum_associations_per_caller"), value, limit)
    answers = config.commitment
    if answers.first_retry_s > answers.max_retry_s:
        limit = f"at most commitment.max_retry_s, {answers.max_retry_s:g}"
        yield fault(("commitment", "first_retry_s"), answers.first_retry_s, limit)
    if network.reserved_associations >= network.maximum_associations:
        limit = f"less than network.maximum_associations, {network.maximum_associations}"
        yield fault(("network", "reserved_associations"), network.reserved_associations, limit)
    if not config.reading.bundles:
        yield fault(("reading", "bundles"), [], "at least one bundle")
    if points.rule_out_percentile >= points.flag_percentile:
        location = ("reading", "operating_points", "rule_out_percentile")
        yield fault(location, points.rule_out_percentile, f"less than flag_percentile, {points.flag_percentile:g}")


def _sharing_faults(config: Config) -> Iterator[InitErrorDetails]:
    pipeline = config.pipeline
    if pipeline.takeover_s < 3 * pipeline.heartbeat_s:
        limit = f"at least three times heartbeat_s, {3 * pipeline.heartbeat_s:g}"
        yield fault(("pipeline", "takeover_s"), pipeline.takeover_s, limit)
    endpoint = urlsplit(config.storage.bucket.endpoint)
    if endpoint.scheme == "http" and not is_loopback(endpoint.hostname or ""):
        text = "https; patients' data would leave this machine unencrypted"
        yield fault(("storage", "bucket", "endpoint"), config.storage.bucket.endpoint, text)


def _peer_faults(config: Config) -> Iterator[InitErrorDetails]:
    """Names that are not under peers."""
    yield from _no_peer(config, ("worklist", "peer"), config.worklist.peer)
    for number, name in enumerate(config.ups.managers):
        yield from _no_peer(config, ("ups", "managers", number), name)


def _no_peer(config: Config, at: Location, name: str | None) -> Iterator[InitErrorDetails]:
    if name is not None and name not in config.peers:
        yield fault(at, name, ", ".join(config.peers) or "a name under peers; there is none")


def _destination_faults(config: Config) -> Iterator[InitErrorDetails]:
    types = extensions.offered(destination_types) or ("dicom_store", "dicomweb_store", "fhir", "folder", "hl7_mllp")
    for name, destination in config.destinations.items():
        at: Location = ("destinations", name)
        if destination.type not in types:
            yield fault((*at, "type"), destination.type, ", ".join(types))
        if destination.type == "dicom_store" and destination.peer not in config.peers:
            yield fault((*at, "peer"), destination.peer, ", ".join(config.peers) or "a name under peers; there is none")
        if destination.type == "folder" and destination.folder is None:
            yield fault((*at, "folder"), None, "a path")
        if destination.type in ("dicomweb_store", "fhir"):
            yield from _server_faults(destination.server, (*at, "server"))
        if "results" not in destination.model_fields_set:
            offered = ", ".join(results.offered())
            yield told((*at, "results"), f"a value is required; allowed: {offered}; [] where rules only forward there")
        if destination.first_retry_s > destination.max_retry_s:
            limit = f"at most max_retry_s, {destination.max_retry_s:g}"
            yield fault((*at, "first_retry_s"), destination.first_retry_s, limit)
        if destination.identity_peer not in (None, *config.peers):
            told_peers = ", ".join(config.peers) or "a name under peers; there is none"
            yield fault((*at, "identity_peer"), destination.identity_peer, f"{told_peers}, or null")
        if destination.commitment and destination.type != "dicom_store":
            yield fault((*at, "commitment"), True, "false; only a dicom_store's peer can be asked for it")
        for index, choice in enumerate(destination.results):
            yield from _result_faults(choice, (*at, "results", index))


def _server_faults(server: DicomwebServer | None, at: Location) -> Iterator[InitErrorDetails]:
    if server is None:
        yield fault(at, None, "a mapping with the server's url")
        return
    parts = urlsplit(server.url)
    if parts.scheme == "http" and not server.allow_plain_http and not is_loopback(parts.hostname or ""):
        text = "https, or set allow_plain_http: true beside it; patients' data would leave this machine unencrypted"
        yield fault((*at, "url"), server.url, text)
    for key, check in (("headers_file", dicomweb.headers), ("ca_file", dicomweb.trusted)):
        path = getattr(server, key)
        try:
            if path is not None:
                check(path)
        except ConfigError as error:
            yield told((*at, key), str(error))


def _result_faults(choice: ResultChoice, at: Location) -> Iterator[InitErrorDetails]:
    if choice.kind not in results.offered():
        yield fault((*at, "kind"), choice.kind, ", ".join(results.offered()) or "nothing yet: no result is offered")
        return
    options = results.load(choice.kind).OPTIONS
    try:
        options.model_validate(choice.options)
    except ValidationError as error:
        for line in lines(error, options):
            key, _, text = line.partition(": ")
            yield told((*at, key), text)
