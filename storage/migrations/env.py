"""Alembic runs this file to learn which connection to walk on; see the package."""

from __future__ import annotations

from typing import Literal

from alembic import context

from storage.schema import Base, UTCDateTime


def _frozen(kind: str, thing: object, _autogenerate: object) -> str | Literal[False]:
    """A step stands by itself: it names SQLAlchemy's types, not those of today's code."""
    return "sa.DateTime(timezone=True)" if kind == "type" and isinstance(thing, UTCDateTime) else False


context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_item=_frozen
)
with context.begin_transaction():
    context.run_migrations()
