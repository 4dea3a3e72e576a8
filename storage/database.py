"""The database: one engine, transactions of its own or joined to somebody else's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.orm import Session

from storage import migrations

_TURN_S = 30.0  # as long as a connection waits for SQLite's own lock


class SchemaMismatch(RuntimeError):
    """The database was made by another version of this software."""


class DatabaseUnavailable(RuntimeError):
    """The database is locked, full or gone; what was asked did not happen."""


@contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        raise DatabaseUnavailable(str(error.orig)) from error


class Database:
    """`transaction()` opens one per block; of a `joining(session)` it is the session somebody else commits,

    so that a row and the job that follows from it exist together or not at all.
    """

    def __init__(self, engine: Engine, joined: Session | None = None) -> None:
        self.engine = engine
        self._joined = joined
        self._turn = threading.Lock()

    def create_schema(self) -> None:
        """Bring the database to the present schema, from nothing or from an earlier one; every row is kept.

        Raises SchemaMismatch when the database is of a later version, DatabaseUnavailable when it is none.
        """
        if self.schema_revision() != migrations.latest():
            with _unavailable():
                migrations.upgrade(self.engine)

    def check_schema(self) -> None:
        """Raises SchemaMismatch unless the database has the present schema, DatabaseUnavailable when it is none."""
        found = self.schema_revision()
        if found != migrations.latest():
            has = f"schema {found}, and this software needs {migrations.latest()}" if found else "no tables yet"
            raise SchemaMismatch(f"the database has {has}: stop every node, make a backup, mammo-node database upgrade")

    def schema_revision(self) -> str | None:
        """The revision of the database's schema, None when it is empty. Raises as `create_schema`."""
        with _unavailable(), self.engine.connect() as connection:
            found = migrations.current(connection)
        if found is not None and not migrations.is_known(found):
            raise SchemaMismatch(
                f"the database has schema {found}, which is newer than this software knows ({migrations.latest()}): "
                "start the newer mammo-node that made it, or restore the backup from before that upgrade"
            )
        return found

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """The joined session, or one of its own that commits at the end of the block."""
        if self._joined is not None:
            yield self._joined
        else:
            try:
                with Session(self.engine, expire_on_commit=False) as session, session.begin():
                    yield session
            except DBAPIError as error:
                if error.connection_invalidated or isinstance(error, OperationalError | InterfaceError):
                    raise DatabaseUnavailable(str(error.orig)) from error
                raise

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """A transaction that writes, and in SQLite waits its turn among those of this process that say so too.

        SQLite itself lets who comes while another writes look again after a sleep, of up to 100 ms.
        """
        waits = self._joined is None and self.engine.dialect.name == "sqlite"
        has_turn = waits and self._turn.acquire(timeout=_TURN_S)  # else SQLite says what is wrong
        try:
            with self.transaction() as session:
                yield session
        finally:
            if has_turn:
                self._turn.release()

    def joining(self, session: Session) -> Database:
        """This database, working inside `session`'s transaction."""
        return Database(self.engine, session)
