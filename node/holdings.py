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
from storage.bucket import Bucket, BucketStore
from storage.cohort import CohortFacts
from storage.commitments import Commitments
from storage.database import Database, DatabaseUnavailable, SchemaMismatch
from storage.drift import Drift
from storage.duties import Duties
from storage.forwards import Forwards
from storage.index import Index
from storage.objects import ObjectStore
from storage.outbox import Outbox
from storage.refusals import Refusals
from storage.schema import make_engine
from storage.shadows import Shadows
from storage.sweeps import Sweeps
from storage.tallies import Tallies
from storage.workers import Worker, Workers
from storage.worklist import Worklist

_SQLITE = "sqlite:///"


class NothingKept(NotFound):
    """No node has run with this configuration yet."""


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is kept, by what it is about, and where all of it is."""

    index: Index
    outbox: Outbox
    refusals: Refusals
    workers: Workers
    sweeps: Sweeps
    cohort: CohortFacts
    commitments: Commitments
    drift: Drift
    shadows: Shadows
    forwards: Forwards
    worklist: Worklist
    tallies: Tallies
    duties: Duties
    database: Database

    @classmethod
    def of(cls, database: Database) -> Holdings:
        """What this database holds."""
        return cls(
            index=Index(database),
            outbox=Outbox(database),
            refusals=Refusals(database),
            workers=Workers(database),
            sweeps=Sweeps(database),
            cohort=CohortFacts(database),
            commitments=Commitments(database),
            drift=Drift(database),
            shadows=Shadows(database),
            forwards=Forwards(database),
            worklist=Worklist(database),
            tallies=Tallies(database),
            duties=Duties(database),
            database=database,
        )


@contextmanager
def opened(config: Config) -> Iterator[Holdings]:
    """The node's records, for the length of the block.

    Raises NothingKept, ConfigError (the database is of another version), NodeError (it cannot be reached).
    """
    file = database_file(config)
    if file is not None and not file.is_file():
        raise NothingKept(f"{file} is not there: no node has run with this configuration yet (mammo-node serve)")
    with database(config) as found:
        found.check_schema()
        yield Holdings.of(found)


@contextmanager
def database(config: Config) -> Iterator[Database]:
    """The database, whatever is in it, for the length of the block. Raises as `opened`."""
    engine = make_engine(config.storage.database_url)
    try:
        yield Database(engine)
    except SchemaMismatch as error:
        raise ConfigError(f"storage.database_url: {error}") from error
    except DatabaseUnavailable as error:
        raise NodeError(f"the database cannot be used: {error}; see storage.database_url") from error
    finally:
        engine.dispose()


def object_store(config: Config) -> ObjectStore:
    """Where the files are: a folder, or a bucket with copies in that folder. Raises OSError."""
    folder, at = config.storage.object_folder, config.storage.bucket
    if at.name is None:
        return ObjectStore(folder)
    bucket = Bucket(name=at.name, endpoint=at.endpoint, region=at.region, copies_bytes=at.copies_bytes)
    return BucketStore(folder, bucket)


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
    """Whether a node works on this configuration's data: by its lock, or by a heartbeat on a shared database."""
    if not config.storage.is_embedded:
        with database(config) as shared:
            shared.check_schema()
            return any(is_alive(each, config) for each in Workers(shared).all())
    lock = config.storage.lock_file
    if not lock.is_file():
        return False
    with lock.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def is_alive(worker: Worker, config: Config) -> bool:
    """Whether a worker was heard of lately."""
    return not worker.ended and worker.silent_s <= config.pipeline.takeover_s
