"""Every schema that the database has had, as steps (Alembic); the last is what `storage.schema` says now.

A new database is made by walking all of them, so that there is one way to the present schema. To add a step:
`scripts/new_revision.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, inspect, text

#: The schemas before there were steps kept their number in the table schema_version.
_NUMBERED = {1: "r0001", 2: "r0002"}
_ONE_AT_A_TIME = 0x6D616D6D6F  # PostgreSQL's advisory lock of whoever changes the schema


def latest() -> str:
    """The revision that this software works with."""
    return str(_scripts().get_current_head())


def current(connection: Connection) -> str | None:
    """The database's revision; None for an empty database."""
    return MigrationContext.configure(connection).get_current_revision() or _numbered(connection)


def is_known(revision: str) -> bool:
    """Whether this software knows the way from this revision."""
    return revision in {script.revision for script in _scripts().walk_revisions()}


def upgrade(engine: Engine, to: str = "head") -> None:
    """Walk to the revision `to`, whole or not at all; what is there already is not walked again."""
    with _one_transaction(engine) as connection:
        settings = config()
        settings.attributes["connection"] = connection
        if MigrationContext.configure(connection).get_current_revision() is None:
            begun = _numbered(connection)
            if begun is not None:
                command.stamp(settings, begun)
        command.upgrade(settings, to)


def config() -> Config:
    """Alembic's settings."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(config())


def _numbered(connection: Connection) -> str | None:
    if not inspect(connection).has_table("schema_version"):
        return None
    number = connection.scalar(text("SELECT version FROM schema_version"))
    return _NUMBERED.get(int(number)) if number is not None else None


@contextmanager
def _one_transaction(engine: Engine) -> Iterator[Connection]:
    """SQLite's driver opens a transaction at the first change of rows, which is too late: tables are made before."""
    with engine.connect() as connection:
        sqlite = engine.dialect.name == "sqlite"
        driver: Any = connection.connection.driver_connection
        if sqlite:
            usual, driver.isolation_level = driver.isolation_level, None
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_ONE_AT_A_TIME})"))
        try:
            yield connection
            connection.commit()
        finally:
            connection.rollback()
            if sqlite:
                driver.isolation_level = usual
