"""Is everything that the configuration names there, and does it answer? One check each, with what to do if not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from node import address, holdings
from node.config import Config
from node.dicomweb import Connection
from node.dimse import scu
from node.errors import ConfigError, DeliveryError, NodeError
from node.hl7 import mllp
from node.holdings import NothingKept
from node.reader import Reader
from node.settings import Peer, WebSettings
from node.settings_destinations import Destination, DicomwebServer
from node.settings_hl7 import Hl7Receiver, Hl7Settings

#: Destination type → what its server is asked for: a search for nothing in particular; what the server can do.
_ASKED = {
    "dicomweb_store": ("/studies?limit=1", "application/dicom+json"),
    "fhir": ("/metadata", "application/fhir+json"),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. advice: what to do, when it is wrong."""

    what: str
    ok: bool
    told: str
    advice: str = ""


def every(config: Config) -> Iterator[Check]:
    """All checks, in the order in which a start would meet them; the slow ones last."""
    yield Check("configuration", True, f"{len(config.routing)} rules, {len(config.destinations)} destinations")
    yield _address(config)
    yield _other_address(config, "web", config.web)
    yield _other_address(config, "hl7", config.hl7)
    yield _disk(config)
    yield _database(config)
    for name, destination in config.destinations.items():
        yield _destination(name, destination)
    for name, peer in config.peers.items():
        yield _peer(name, peer, config.node.ae_title)
    yield _models(config)


def _address(config: Config) -> Check:
    at = config.node
    what, where = "address", f"{at.host}:{at.port}"
    if holdings.node_runs(config):
        return _running(config, what, where)
    if at.port == 0:
        return Check(what, True, "any free port is taken at the start")
    problem = address.problem(at.host, at.port)
    if problem:
        advice = "stop what listens there, or choose another node.host or node.port"
        return Check(what, False, f"{where} cannot be listened on: {problem}", advice)
    return Check(what, True, f"{where} is free")


def _other_address(config: Config, section: str, at: WebSettings | Hl7Settings) -> Check:
    what, where = f"{section} address", f"{at.host}:{at.port}"
    if at.port is None:
        return Check(what, True, f"off: {section}.port is null")
    if at.port == 0:
        return Check(what, True, "any free port is taken at the start")
    problem = address.problem(at.host, at.port)
    if holdings.node_runs(config):
        if problem:
            return Check(what, True, f"the node runs, and {where} is listened on")
        return Check(what, False, f"the node runs, but nothing listens on {where}", "start it again with this config")
    if problem:
        advice = f"choose another {section}.host or {section}.port"
        return Check(what, False, f"{where} cannot be listened on: {problem}", advice)
    return Check(what, True, f"{where} is free")


def _running(config: Config, what: str, where: str) -> Check:
    at = config.node
    if at.port == 0:
        return Check(what, True, "the node runs, on a port it chose at its start")
    try:
        scu.echo(Peer(ae_title=at.ae_title, host=at.host, port=at.port, connection_timeout_s=3), at.ae_title)
    except DeliveryError as error:
        if "rejected" in str(error):
            return Check(what, True, f"the node runs at {where} (it is not among its own callers)")
        return Check(what, False, f"the node runs, but: {error}", "was it started with this configuration? See its log")
    return Check(what, True, f"the node runs and answers at {where}")


def _disk(config: Config) -> Check:
    storage = config.storage
    free, folder = holdings.free_bytes(storage.object_folder), holdings.existing(storage.object_folder)
    if not os.access(folder, os.W_OK):
        return Check("disk", False, f"{folder} cannot be written to", "give this user the right to write there")
    told = f"{free / 1e9:.1f} GB free at {folder}, {storage.minimum_free_bytes / 1e9:.1f} GB are asked for"
    enough = free >= storage.minimum_free_bytes
    return Check("disk", enough, told, "" if enough else "make room, or lower storage.minimum_free_bytes")


def _database(config: Config) -> Check:
    what, advice = "database", "see storage.database_url"
    file = holdings.database_file(config)
    try:
        with holdings.opened(config) as held:
            count = sum(count for count, _ in held.tallies.studies().values())
    except NothingKept:
        parent = holdings.existing(file.parent) if file else Path()
        if os.access(parent, os.W_OK):
            return Check(what, True, f"{file} will be made at the first start")
        return Check(what, False, f"{file} cannot be made", f"give this user the right to write to {parent}")
    except NodeError as error:
        return Check(what, False, str(error), advice)
    return Check(what, True, f"answers; {count} studies")


def _destination(name: str, destination: Destination) -> Check:
    what = f"destination {name}"
    kinds = ", ".join(choice.kind for choice in destination.results)
    if destination.type in _ASKED and destination.server is not None:
        return _server(what, kinds, destination.server, *_ASKED[destination.type])
    if destination.hl7 is not None:
        return _receiver(what, kinds, destination.hl7)
    if destination.folder is None:
        return Check(what, True, f"{kinds} to peer {destination.peer}")
    folder = holdings.existing(destination.folder)
    if not os.access(folder, os.W_OK):
        return Check(what, False, f"{folder} cannot be written to", "give this user the right to write there")
    return Check(what, True, f"{kinds} to {destination.folder}")


def _server(what: str, kinds: str, server: DicomwebServer, path: str, accept: str) -> Check:
    """Whether it answers to something harmless, as what is sent goes the same way."""
    try:
        with Connection(server) as connection:
            status = connection.ask("GET", path, {"Accept": accept}).status
    except NodeError as error:
        return Check(what, False, str(error), "is it running, and are its url, headers_file and ca_file right?")
    if status in (401, 403, 404):
        advice = "see its url" if status == 404 else "see headers_file, and what the server lets this node do"
        return Check(what, False, f"{server.url} answers {status}", advice)
    return Check(what, True, f"{kinds} to {server.url}, which answers {status}")


def _receiver(what: str, kinds: str, receiver: Hl7Receiver) -> Check:
    where = f"{receiver.host}:{receiver.port}"
    try:
        mllp.line(receiver).look()
    except DeliveryError as error:
        return Check(what, False, str(error), "does it listen, and is its tls right?")
    return Check(what, True, f"{kinds} as ORU^R01 to {where}, which takes connections")


def _peer(name: str, peer: Peer, calling_ae_title: str) -> Check:
    what = f"peer {name}"
    try:
        scu.echo(peer, calling_ae_title)
    except DeliveryError as error:
        advice = f"is it running, and does it know {calling_ae_title} and this machine's address?"
        return Check(what, False, str(error), advice)
    return Check(what, True, f"{peer.ae_title} at {peer.host}:{peer.port} answers")


def _models(config: Config) -> Check:
    reader = Reader(config.reading)
    try:
        reader.start()
    except ConfigError as error:
        return Check("models", False, str(error), "see reading.bundles, and mammo-node model list")
    finally:
        reader.stop()
    algorithm = reader.algorithm
    return Check("models", True, f"{algorithm.name} {algorithm.version}: self-check passed")
