"""A PostgreSQL server of the test run's own: on loopback, in a temporary folder, ended with the run."""

from __future__ import annotations

import getpass
import shutil
import subprocess
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
    """A running server; its superuser needs no password."""

    port: int
    host: str = "127.0.0.1"

    def url(self, name: str, host: str = "") -> str:
        """SQLAlchemy's URL of a database."""
        return f"postgresql+psycopg://mammo@{host or self.host}:{self.port}/{name}"

    def new_database(self, name: str) -> str:
        """Make an empty database; returns its URL."""
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def execute(self, statement: str) -> None:
        with psycopg.connect(host=self.host, port=self.port, user="mammo", dbname="postgres", autocommit=True) as open_:
            open_.execute(statement)  # type: ignore[call-overload]


def _program(name: str) -> str:
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    found = next((str(each / name) for each in folders if (each / name).is_file()), None) or shutil.which(name)
    if found is None:
        absent("PostgreSQL is not installed: apt-get install postgresql")
    return str(found)


@contextmanager
def postgres(folder: Path, *, host: str = "127.0.0.1", prefix: tuple[str, ...] = ()) -> Iterator[Postgres]:
    """A server listening on `host`. prefix: a command that runs it, as within a network namespace."""
    data, port = folder / "postgres", free_port()
    # the server refuses to run as root
    user = ("runuser", "-u", "nobody", "--") if getpass.getuser() == "root" else ()
    data.mkdir()
    if user:
        shutil.chown(data, "nobody")
        for each in (folder, *folder.parents[:2]):
            each.chmod(each.stat().st_mode | 0o011)
    made = [
        *user,
        _program("initdb"),
        "-D",
        data,
        "-U",
        "mammo",
        "-A",
        "trust",
        "--no-sync",
        "--no-locale",
        "-E",
        "UTF8",
    ]
    done = subprocess.run(made, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    assert done.returncode == 0, done.stderr
    with (data / "pg_hba.conf").open("a") as file:
        file.write("host all all 10.0.0.0/8 trust\n")
    settings = [part for each in _QUICK for part in ("-c", each)]
    command = [*prefix, *user, _program("postgres"), "-D", data, "-p", str(port), "-h", host, "-k", "", *settings]
    with running(*command, until="ready to accept connections"):
        yield Postgres(port, host)
