"""The database: one engine, transactions of its own or joined to somebody else's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, select
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session, sessionmaker

from storage import schema, schema_cohort, schema_watch

#: Each adds its own tables to the one metadata.
SCHEMA_MODULES = (schema, schema_cohort, schema_watch)


class SchemaMismatch(RuntimeError):
    """The database was made by another version of this software."""


class DatabaseUnavailable(RuntimeError):
    """The database is locked, full or gone; what was asked did not happen."""


class Database:
    """`transaction()` opens one per block; of a `joining(session)` it is the session somebody else commits,

    so that a row and the job that follows from it exist together or not at all.
    """

    def __init__(self, engine: Engine, joined: Session | None = None) -> None:
        self.engine = engine
        self._sessions = sessionmaker(engine, expire_on_commit=False)
        self._joined = joined

    def create_schema(self) -> None:
        """Create missing tables.

        Raises SchemaMismatch when the database is of another version, DatabaseUnavailable when it is none.
        """
        try:
            schema.Base.metadata.create_all(self.engine)
        except DBAPIError as error:
            raise DatabaseUnavailable(str(error.orig)) from error
        with self.transaction() as session:
            found = session.scalar(select(schema.SchemaVersionRow.version))
            if found is None:
                session.add(schema.SchemaVersionRow(version=schema.SCHEMA_VERSION))
            elif found != schema.SCHEMA_VERSION:
                raise SchemaMismatch(
                    f"the database has schema version {found}, this software needs {schema.SCHEMA_VERSION}; "
                    "start it with the version that made it, or give storage.database_url a new database"
                )

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """The joined session, or one of its own that commits at the end of the block."""
        if self._joined is not None:
            yield self._joined
        else:
            try:
                with self._sessions.begin() as session:
                    yield session
            except OperationalError as error:
                raise DatabaseUnavailable(str(error.orig)) from error

    def joining(self, session: Session) -> Database:
        """This database, working inside `session`'s transaction."""
        return Database(self.engine, session)
