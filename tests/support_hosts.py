"""Hosts as network namespaces on one switch, each with an address of its own; cut off and joined again at will."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support import REPOSITORY, absent, require_tool, running

_counter = itertools.count()


@dataclass(frozen=True)
class Host:
    """One host. Programs run on it with `prefix` before their command."""

    name: str
    namespace: str
    address: str
    switch: str
    port: str

    @property
    def prefix(self) -> tuple[str, ...]:
        return ("ip", "netns", "exec", self.namespace)

    def cut_off(self) -> None:
        """Pull the cable out: nothing arrives any more, and nobody is told."""
        _ip("-n", self.switch, "link", "set", self.port, "down")

    def join(self) -> None:
        """Put it in again."""
        _ip("-n", self.switch, "link", "set", self.port, "up")

    def python(self, code: str, *arguments: str) -> str:
        """What a short program prints that runs on this host."""
        command = [*self.prefix, sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60, cwd=REPOSITORY).stdout

    def serve(self, config: Path, *roles: str):
        """`mammo-node serve` with these roles, until the block ends."""
        options = [part for role in roles for part in ("--role", role)]
        command = [*self.prefix, sys.executable, "-m", "node.cli", "serve", "--config", config, *options]
        return running(*command, until="ready: ", timeout_s=90)


def _ip(*arguments: str) -> None:
    done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"


@contextmanager
def hosts(*names: str) -> Iterator[dict[str, Host]]:
    """Hosts of these names on one switch; they are gone after the block, with whatever still ran on them."""
    require_tool("ip")
    if os.geteuid() != 0:
        absent("network namespaces can only be made by root")
    mark = f"mn{os.getpid()}x{next(_counter)}"
    switch, made = f"{mark}-switch", []
    try:
        _ip("netns", "add", switch)
        made.append(switch)
        _ip("-n", switch, "link", "add", "switch", "type", "bridge")
        _ip("-n", switch, "link", "set", "switch", "up")
        found = {}
        for number, name in enumerate(names, start=1):
            host = Host(name, f"{mark}-{name}", f"10.77.0.{number}", switch, f"to{number}")
            _ip("netns", "add", host.namespace)
            made.append(host.namespace)
            _plug_in(host)
            found[name] = host
        yield found
    finally:
        for namespace in made:
            subprocess.run(["ip", "netns", "delete", namespace], check=False, timeout=20)


def _plug_in(host: Host) -> None:
    peer = ("peer", "name", "eth0", "netns", host.namespace)
    _ip("link", "add", host.port, "netns", host.switch, "type", "veth", *peer)
    _ip("-n", host.switch, "link", "set", host.port, "master", "switch", "up")
    _ip("-n", host.namespace, "address", "add", f"{host.address}/24", "dev", "eth0")
    for link in ("lo", "eth0"):
        _ip("-n", host.namespace, "link", "set", link, "up")
