"""Run the node until it is stopped (SIGTERM or Ctrl-C)."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Annotated

import typer

from node import address, console, logs
from node.app import Node
from node.audit import configured
from node.config import Config, load_config
from node.console import ConfigOption
from node.errors import ConfigError, NodeError
from node.roles import Role, name_of
from node.settings import NodeSettings, WebSettings
from node.settings_hl7 import Hl7Settings
from storage.database import DatabaseUnavailable, SchemaMismatch

log = logs.get(__name__)

#: A stop that takes longer is cut short; what was under way is run again at the next start.
STOP_WITHIN_S = 10.0
_TELLING_S = 1.0


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    app.command("serve")(serve)


_Listening = NodeSettings | WebSettings | Hl7Settings

RoleOption = Annotated[
    list[Role] | None,
    typer.Option("--role", help="Do only this (may be repeated); others do the rest on the same PostgreSQL database."),
]


def serve(config: ConfigOption = None, role: RoleOption = None) -> None:
    """Run the node until it is stopped (SIGTERM or Ctrl-C).

    Prints "ready" once it listens. Ends with 0 after a stop, with 2 when it cannot start as configured.
    At SIGHUP it takes up the routing rules of its configuration anew; rules that are wrong are refused, and told.
    """
    settings = console.configuration(config)
    logs.configure(settings.logging)
    asked: SimpleQueue[int] = SimpleQueue()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: asked.put(number))
    node = _made(settings, role or list(Role))
    try:
        _start(node)
        _say_ready(node)
        if node.hl7.port is not None:
            console.say(f"HL7 (MLLP) at {settings.hl7.host}:{node.hl7.port}")
        if node.web.port is not None:
            scheme = "https" if settings.access.tls.certificate_file else "http"
            console.say(f"DICOMweb at {address.url(settings.web.host, node.web.port, scheme)}{settings.web.path}")
        while asked.get() == signal.SIGHUP:
            _reload(node, config)
    finally:
        _stop(node)


def _say_ready(node: Node) -> None:
    at = node.config.node
    if Role.RECEIVE in node.roles:
        console.say(f"ready: {at.ae_title} listens on {at.host}:{node.receiver.port}")
    else:
        console.say(f"ready: {name_of(node.roles)}")


def _reload(node: Node, config: Path | None) -> None:
    """Other routing rules from now on, or the old ones where they are wrong; either is told."""
    try:
        elsewhere = node.reload(load_config(console.config_file(config)))
    except ConfigError as error:
        log.error("routing rules refused; the old ones go on", faults=str(error).splitlines())
        configured.record(node.audit, ["routing"], "reload refused: the rules are wrong; the old ones go on")
        return
    text = f"routing rules taken up: {', '.join(rule.name for rule in node.router.config.routing)}"
    waits = f"; changed, and counts after a restart: {', '.join(elsewhere)}" if elsewhere else ""
    configured.record(node.audit, ["routing", *elsewhere], text + waits)
    log.info("routing rules taken up", rules=[rule.name for rule in node.router.config.routing])
    if elsewhere:
        log.warning("these sections changed too; they count after a restart", sections=elsewhere)


def _made(settings: Config, roles: list[Role]) -> Node:
    try:
        return Node(settings, roles)
    except OSError as error:
        raise ConfigError(f"storage.object_folder: {error}") from error


def _start(node: Node) -> None:
    listening: list[tuple[str, _Listening, Role]] = [
        ("node", node.config.node, Role.RECEIVE),
        ("hl7", node.config.hl7, Role.RECEIVE),
        ("web", node.config.web, Role.WEB),
    ]
    for name, at, role in listening:
        busy = "" if at.port is None or role not in node.roles else address.problem(at.host, at.port)
        if busy:  # before the models are loaded, which takes seconds
            raise _cannot_listen(name, at, busy)
    try:
        node.start()
    except SchemaMismatch as error:
        raise ConfigError(f"storage.database_url: {error}") from error
    except DatabaseUnavailable as error:
        raise NodeError(f"storage.database_url: the database cannot be used: {error}") from error
    except OSError as error:
        raise _cannot_listen("node", node.config.node, error.strerror or str(error)) from error


def _cannot_listen(section: str, at: _Listening, why: str) -> ConfigError:
    advice = "stop what listens there, or choose another port"
    return ConfigError(f"{section}.port: cannot listen on {at.host}:{at.port}: {why}; {advice}")


def _stop(node: Node) -> None:
    watchdog = threading.Timer(STOP_WITHIN_S, _give_up, [node])
    watchdog.daemon = True
    watchdog.start()
    node.stop()
    watchdog.cancel()


def _give_up(node: Node) -> None:
    late = [f"not everything ended within {STOP_WITHIN_S:g} s"]
    telling = threading.Thread(target=node.stopped, args=late, daemon=True)
    telling.start()
    telling.join(_TELLING_S)  # the trail may be what hangs
    with suppress(OSError):
        console.complain(f"not everything ended within {STOP_WITHIN_S:g} s; it is run again at the next start")
    os._exit(0)
