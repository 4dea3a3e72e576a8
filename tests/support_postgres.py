"""A PostgreSQL server of the test run's own: on loopback, in a temporary folder, ended with the run."""

from __future__ import annotations

import getpass
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from node.simulator.pacs import free_port
from tests.support import absent, running

#: Nobody's images are in it: what makes a server slow to be safe is left out, except where a test says otherwise.
_QUICK = ("fsync=off", "full_page_writes=off", "max_connections=300", "shared_buffers=32MB", "logging_collector=off")


@dataclass(frozen=True)
class Postgres:
    """A running server; its superuser needs no password. sockets: folder of its socket, which no network separates."""

    port: int
    host: str
    sockets: Path

    def url(self, name: str) -> str:
        """SQLAlchemy's URL of a database, over the network."""
        return f"postgresql+psycopg://mammo@{self.host}:{self.port}/{name}"

    def local_url(self, name: str) -> str:
        """The same without a network."""
        return f"postgresql+psycopg://mammo@/{name}?host={self.sockets}&port={self.port}"

    def new_database(self, name: str) -> str:
        """Make an empty database; returns its URL."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def execute(self, statement: str) -> None:
        """Run a statement that belongs to no database."""
        at = {"host": str(self.sockets), "port": self.port, "user": "mammo", "dbname": "postgres"}
        with psycopg.connect(autocommit=True, **at) as connection:  # type: ignore[arg-type]
            connection.execute(statement)  # type: ignore[call-overload]


def program(name: str) -> str:
    """Where one of PostgreSQL's programs is."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = next((str(each / name) for each in folders if (each / name).is_file()), None) or shutil.which(name)
    if found is None:
        absent("PostgreSQL is not installed: apt-get install postgresql")
    return str(found)


@contextmanager
def postgres(
    folder: Path, *, host: str = "127.0.0.1", prefix: tuple[str, ...] = (), port: int = 0
) -> Iterator[Postgres]:
    """A server listening on `host`; it ends abruptly. Data that are in the folder already are served again.

    prefix: a command that runs it, as within a network namespace.
    """
    data, port = folder / "postgres", port or free_port()
    # the server refuses to run as root
    user = ("runuser", "-u", "nobody", "--") if getpass.getuser() == "root" else ()
    sockets = Path(tempfile.mkdtemp(prefix="pg"))  # a socket's path has to be short
    try:
        if not data.exists():
            _make(data, user)
        if user:
            shutil.chown(sockets, "nobody")
        settings = [part for each in _QUICK for part in ("-c", each)]
        command = [*prefix, *user, program("postgres"), "-D", data, "-p", str(port), "-h", host, "-k", sockets]
        with running(*command, *settings, until="ready to accept connections"):
            yield Postgres(port, host, sockets)
            # without a goodbye to anybody, and leaving no process behind; what is left after that is killed
            ended = [*user, program("pg_ctl"), "-D", data, "-m", "immediate", "stop"]
            subprocess.run(ended, check=False, capture_output=True, timeout=90, cwd="/")
    finally:
        shutil.rmtree(sockets)


def _make(data: Path, user: tuple[str, ...]) -> None:
    data.mkdir()
    if user:
        shutil.chown(data, "nobody")
        for each in data.parents:
            if each.stat().st_uid == os.getuid() and each != Path("/"):
                each.chmod(each.stat().st_mode | 0o011)
    command = [*user, program("initdb"), "-D", data, "-U", "mammo", "-A", "trust", "--no-sync", "--no-locale"]
    done = subprocess.run([*command, "-E", "UTF8"], capture_output=True, text=True, check=False, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    with (data / "pg_hba.conf").open("a") as file:
        file.write("host all all 10.0.0.0/8 trust\n")
