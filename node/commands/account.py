"""Accounts of the web side: add, list, remove, change the password, issue and revoke tokens."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import typer

from node import console, holdings
from node.access.accounts import Accounts
from node.access.people import AccountRole
from node.audit import codes, decided
from node.config import Config
from node.console import ConfigOption, JsonOption

NameArgument = Annotated[str, typer.Argument(help="Name of the account.")]


def register(app: typer.Typer) -> None:
    """See `node.commands`."""
    group = typer.Typer(help="Accounts of the web side. Each change counts at once, also in a node that runs.")
    for command in (add, password, token, revoke, remove):
        group.command(command.__name__)(command)
    group.command("list")(list_)
    app.add_typer(group, name="account", no_args_is_help=True)


def add(
    name: NameArgument,
    role: Annotated[AccountRole, typer.Option("--role", help="What it may do.")],
    no_password: Annotated[
        bool, typer.Option("--no-password", help="For a program: only tokens sign it in (account token).")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Add an account. The password is asked for; in a script it is the first line of standard input."""
    settings = console.configuration(config)
    with _accounts(settings) as accounts:
        accounts.add(name, role, None if no_password else _typed())
        _told(settings, name, f"account added, {role}")
    console.say(f"{name}: added, {role}")


def password(name: NameArgument, config: ConfigOption = None) -> None:
    """Change an account's password, asked for as by add. Its tokens end."""
    settings = console.configuration(config)
    with _accounts(settings) as accounts:
        accounts.set_password(name, _typed())
        _told(settings, name, "password changed, tokens ended")
    console.say(f"{name}: the password is changed, and its tokens have ended")


def token(
    name: NameArgument,
    purpose: Annotated[str, typer.Option("--for", help="What it is for, as the list shows it.")],
    days: Annotated[int, typer.Option("--days", min=1, max=3650, help="How long it is valid.")] = 90,
    config: ConfigOption = None,
) -> None:
    """Issue a bearer token, printed this once; the node keeps only its hash."""
    settings = console.configuration(config)
    with _accounts(settings) as accounts:
        secret = accounts.issue(name, purpose, days)
        _told(settings, name, f"token issued for {days} days: {purpose}")
    console.say(secret)


def revoke(
    number: Annotated[int, typer.Argument(help="The token's number, as account list shows it.")],
    config: ConfigOption = None,
) -> None:
    """End a token at once."""
    settings = console.configuration(config)
    with _accounts(settings) as accounts:
        accounts.revoke(number)
        _told(settings, f"token {number}", "token revoked")
    console.say(f"token {number}: revoked")


def remove(name: NameArgument, config: ConfigOption = None) -> None:
    """Remove an account and its tokens."""
    settings = console.configuration(config)
    with _accounts(settings) as accounts:
        accounts.remove(name)
        _told(settings, name, "account removed, with its tokens")
    console.say(f"{name}: removed, with its tokens")


def list_(config: ConfigOption = None, json: JsonOption = False) -> None:
    """Every account with its role and tokens; nothing secret is shown."""
    settings = console.configuration(config)
    with _accounts(settings) as accounts:
        everyone, tokens = accounts.all(), accounts.tokens()
    if json:
        shown = [{"name": each.name, "role": each.role, "password": bool(each.password_hash)} for each in everyone]
        console.print_json({"accounts": shown, "tokens": tokens})
        return
    table = console.table("account", "role", "password", "since", right=())
    lines = [
        (a.name, a.role, "yes" if a.password_hash else "tokens only", console.moment(a.created_at)) for a in everyone
    ]
    console.out().print(console.rows(table, lines))
    if tokens:
        table, now = console.table("token", "account", "for", "expires", right=("token",)), datetime.now(UTC)
        ends = {t.id: console.moment(t.expires_at) + (" (expired)" if t.expires_at <= now else "") for t in tokens}
        console.out().print(console.rows(table, [(t.id, t.account, t.purpose, ends[t.id]) for t in tokens]))


def _told(settings: Config, name: str, text: str) -> None:
    decided.decided(settings, f"account/{quote(name)}", f"{name}: {text}", "", codes.USER_ATTRIBUTES_CHANGED)


@contextmanager
def _accounts(settings: Config) -> Iterator[Accounts]:
    """Those of the configuration's database, which is made where no node has run yet."""
    file = holdings.database_file(settings)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    with holdings.database(settings) as database:
        if settings.storage.is_embedded and database.schema_revision() is None:
            database.create_schema()
        database.check_schema()
        yield Accounts(database)


def _typed() -> str:
    if sys.stdin.isatty():
        return str(typer.prompt("Password", hide_input=True, confirmation_prompt=True))
    return sys.stdin.readline().rstrip("\r\n")
