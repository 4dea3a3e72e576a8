"""Writes the step from the last migration to what storage/ says now: `python scripts/new_revision.py NAME`.

It is a proposal: read it, run `ruff format` over it, add what becomes of the rows that are there, and run
tests/unit/test_migrations.py. Afterwards it lies in storage/migrations/versions.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import tempfile
from pathlib import Path

from alembic import command
from sqlalchemy.engine import Engine

import storage
from storage import migrations
from storage.schema import make_engine


def main() -> None:
    name = sys.argv[1]
    for module in pkgutil.iter_modules(storage.__path__):
        importlib.import_module(f"storage.{module.name}")
    with tempfile.TemporaryDirectory() as folder:
        engine = make_engine(f"sqlite:///{Path(folder) / 'walked.sqlite'}")
        migrations.upgrade(engine)
        write(engine, name)
        engine.dispose()


def write(engine: Engine, name: str) -> None:
    number = int(migrations.latest().removeprefix("r")) + 1
    with engine.connect() as connection:
        settings = migrations.config()
        settings.set_main_option("file_template", "%%(rev)s_%%(slug)s")
        settings.attributes["connection"] = connection
        command.revision(settings, name.replace("_", " "), autogenerate=True, rev_id=f"r{number:04d}")


if __name__ == "__main__":
    main()
