"""Bring the database to the schema of this version, or show which it has."""

from __future__ import annotations

import typer

from node import backfill, console, holdings
from node.console import ConfigOption, ExitCode
from node.pipeline.durable import upgrade_engine
from storage import migrations
from storage.catalogue import Catalogue


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    group = typer.Typer(help="The database's schema: upgrade it, or show which it has.", no_args_is_help=True)
    group.command("upgrade")(upgrade)
    group.command("show")(show)
    app.add_typer(group, name="database")


def upgrade(config: ConfigOption = None) -> None:
    """Bring the database to the schema of this version, from nothing or from an earlier one; every row is kept.

    Stop every node first, and make a backup. Interrupted, it is run again.
    """
    settings = console.configuration(config)
    with holdings.database(settings) as database:
        before = database.schema_revision()
        database.create_schema()
        upgrade_engine(database.engine)
        made = backfill.make_findable(Catalogue(database), holdings.object_store(settings))
    latest = migrations.latest()
    console.say(f"schema {latest}, as it was" if before == latest else f"schema {before or 'none'} → {latest}")
    if made:
        console.say(f"{made} instances of before can now be searched for")


def show(config: ConfigOption = None) -> None:
    """Show which schema the database has. Ends with 1 when it is not the one of this version."""
    with holdings.database(console.configuration(config)) as database:
        found = database.schema_revision()
    console.say(f"the database has schema {found or 'none'}; this version needs {migrations.latest()}")
    if found != migrations.latest():
        console.end(ExitCode.WRONG)
