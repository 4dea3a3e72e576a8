"""Alembic runs this file to learn which connection to walk on; see the package."""

from __future__ import annotations

from alembic import context

from storage.schema import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=False
)
with context.begin_transaction():
    context.run_migrations()
