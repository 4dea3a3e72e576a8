"""What a node keeps, looked at from outside: beside a node that runs, or when none does. Nothing is changed."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from node.config import Config
from node.errors import ConfigError, NodeError, NotFound
from storage.database import Database, DatabaseUnavailable, SchemaMismatch
from storage.index import Index
from storage.outbox import Outbox
from storage.refusals import Refusals
from storage.schema import make_engine
from storage.worklist import Worklist

_SQLITE = "sqlite:///"


class NothingKept(NotFound):
    """No node has run with this configuration yet."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """The index, the outbox, the refusals in them, and the worklist."""

    index: Index
    outbox: Outbox
    refusals: Refusals
    worklist: Worklist


@contextmanager
def opened(config: Config) -> Iterator[Holdings]:
    """The node's records, for the length of the block.

    Raises NothingKept, ConfigError (the database is of another version), NodeError (it cannot be reached).
    """
    file = database_file(config)
    if file is not None and not file.is_file():
        raise NothingKept(f"{file} is not there: no node has run with this configuration yet (mammo-node serve)")
    engine = make_engine(config.storage.database_url)
    try:
        database = Database(engine)
        database.create_schema()
        yield Holdings(Index(database), Outbox(database), Refusals(database), Worklist(database))
    except SchemaMismatch as error:
        raise ConfigError(str(error)) from error
    except DatabaseUnavailable as error:
        raise NodeError(f"the database cannot be used: {error}; see storage.database_url") from error
    finally:
        engine.dispose()


def database_file(config: Config) -> Path | None:
    """The database's file, where it is one."""
    url = config.storage.database_url
    return Path(url.removeprefix(_SQLITE)) if url.startswith(_SQLITE) else None


def free_bytes(folder: Path) -> int:
    """Free space where `folder` is, or will be made."""
    return shutil.disk_usage(existing(folder)).free


def existing(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that is there."""
    return next(each for each in (folder, *folder.absolute().parents) if each.is_dir())


def node_runs(config: Config) -> bool:
    """Whether a node works on this configuration's data, told by its lock."""
    lock = config.storage.lock_file
    if not lock.is_file():
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
