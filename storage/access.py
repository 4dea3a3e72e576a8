"""Local accounts and the tokens issued for them. Neither a password nor a token is kept, only what proves one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import ForeignKey, String, Text, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Mapped, mapped_column

from storage.database import Database
from storage.rows import plain
from storage.schema import Base


class AccountRow(Base):
    """See `Account`."""

    __tablename__ = "account"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    role: Mapped[str] = mapped_column(String(16))
    password_hash: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime]


class AccountTokenRow(Base):
    """See `Token`."""

    __tablename__ = "account_token"
    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(ForeignKey("account.name"), index=True)
    purpose: Mapped[str] = mapped_column(Text)
    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A person or a program with a role. password_hash: "" where no password signs it in, only tokens."""

    name: str
    role: str
    password_hash: str
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A bearer token of an account, until it expires or is removed. id: how a person names it."""

    id: int
    account: str
    purpose: str
    created_at: datetime
    expires_at: datetime


class Accounts:
    """The accounts of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, account: Account) -> bool:
        """Keep a new one; False when there is one of that name."""
        try:
            with self._database.transaction() as session:
                session.execute(insert(AccountRow).values(**asdict(account)))
        except IntegrityError:
            return False
        return True

    def named(self, name: str) -> Account | None:
        """The account of this name."""
        with self._database.transaction() as session:
            row = session.get(AccountRow, name)
            return Account(**plain(row, Account)) if row is not None else None

    def all(self) -> list[Account]:
        """Every account, by name."""
        with self._database.transaction() as session:
            rows = session.scalars(select(AccountRow).order_by(AccountRow.name))
            return [Account(**plain(row, Account)) for row in rows]

    def set_password(self, name: str, password_hash: str) -> bool:
        """Another password from now on; its tokens end too. False when there is no such account."""
        row = AccountRow
        with self._database.transaction() as session:
            session.execute(delete(AccountTokenRow).where(AccountTokenRow.account == name))
            changed = update(row).where(row.name == name).values(password_hash=password_hash).returning(row.name)
            return session.scalar(changed) is not None

    def remove(self, name: str) -> bool:
        """End an account and its tokens. False when there is none."""
        with self._database.transaction() as session:
            session.execute(delete(AccountTokenRow).where(AccountTokenRow.account == name))
            removed = delete(AccountRow).where(AccountRow.name == name).returning(AccountRow.name)
            return session.scalar(removed) is not None

    def add_token(self, token: Token, sha256: str) -> int:
        """Keep a token by its hash; its id, which `token` does not yet have."""
        values = {key: value for key, value in asdict(token).items() if key != "id"}
        with self._database.transaction() as session:
            made = insert(AccountTokenRow).values(**values, sha256=sha256).returning(AccountTokenRow.id)
            return session.scalars(made).one()

    def tokens(self) -> Sequence[Token]:
        """Every token, those that expired as well, oldest first."""
        with self._database.transaction() as session:
            rows = session.scalars(select(AccountTokenRow).order_by(AccountTokenRow.id))
            return [Token(**plain(row, Token)) for row in rows]

    def remove_token(self, number: int) -> bool:
        """Revoke a token. False when there is none of this id."""
        row = AccountTokenRow
        with self._database.transaction() as session:
            return session.scalar(delete(row).where(row.id == number).returning(row.id)) is not None

    def of_token(self, sha256: str, now: datetime) -> Account | None:
        """Whose token this is, unless it has expired."""
        row = AccountTokenRow
        query = select(AccountRow).join(row, row.account == AccountRow.name)
        with self._database.transaction() as session:
            found = session.scalar(query.where(row.sha256 == sha256, row.expires_at > now))
            return Account(**plain(found, Account)) if found is not None else None
