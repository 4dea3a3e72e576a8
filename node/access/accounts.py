"""Local accounts: made and ended by commands, proved by a password or by a token the node issued."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from collections import OrderedDict
from datetime import UTC, datetime, timedelta

from node.access import passwords
from node.access.people import AccountRole, Person
from node.errors import ConfigError, NotFound
from storage import access
from storage.access import Account, Token
from storage.database import Database

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_REMEMBERED = 1000  # passwords known to be right
PREFIX = "mammo_"  # of tokens; scanners for secrets find them by it


class Accounts:
    """The accounts of this node's database, for commands that keep them and for those that ask who somebody is."""

    def __init__(self, database: Database) -> None:
        self._kept = access.Accounts(database)
        self._key = secrets.token_bytes(32)
        self._nobody = passwords.hashed(secrets.token_hex())  # unknown names take as long as wrong passwords
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._lock = threading.Lock()

    # ---------------------------------------------------------------- for commands

    def add(self, name: str, role: AccountRole, password: str | None) -> None:
        """A new account; without a password only tokens sign it in. Raises ConfigError."""
        if not _NAME.fullmatch(name):
            raise ConfigError(
                f"name: value {name!r} is not allowed; allowed: letters, digits and '_.@-', at most 64, "
                "beginning with a letter or digit"
            )
        kept = passwords.hashed(passwords.checked(password, name)) if password is not None else ""
        account = Account(name=name, role=role.value, password_hash=kept, created_at=datetime.now(UTC))
        if not self._kept.add(account):
            raise ConfigError(f"name: there is an account {name!r} already; allowed: a new name")

    def all(self) -> list[Account]:
        """Every account, by name."""
        return self._kept.all()

    def set_password(self, name: str, password: str) -> None:
        """Another password; all its tokens end. Raises NotFound, ConfigError."""
        if not self._kept.set_password(name, passwords.hashed(passwords.checked(password, name))):
            raise _no_account(name)

    def remove(self, name: str) -> None:
        """End an account and its tokens, at once. Raises NotFound."""
        if not self._kept.remove(name):
            raise _no_account(name)

    def issue(self, name: str, purpose: str, days: int) -> str:
        """A token of an account, told this once. Raises NotFound."""
        if self._kept.named(name) is None:
            raise _no_account(name)
        text, now = PREFIX + secrets.token_urlsafe(32), datetime.now(UTC)
        expires = now + timedelta(days=days)
        self._kept.add_token(Token(id=0, account=name, purpose=purpose, created_at=now, expires_at=expires), _sha(text))
        return text

    def tokens(self) -> list[Token]:
        """Every token, oldest first."""
        return list(self._kept.tokens())

    def revoke(self, number: int) -> None:
        """End a token, at once. Raises NotFound."""
        if not self._kept.remove_token(number):
            raise NotFound(f"there is no token {number}")

    # ---------------------------------------------------------------- who is it?

    def by_password(self, name: str, password: str) -> Person | None:
        """Whose name and password these are."""
        account = self._kept.named(name) if _NAME.fullmatch(name) else None
        kept = account.password_hash if account is not None else ""
        right = self._is_right(password, kept or self._nobody)
        return Person(account.name, AccountRole(account.role), "password") if account and kept and right else None

    def by_token(self, token: str) -> Person | None:
        """Whose token this is."""
        account = self._kept.of_token(_sha(token), datetime.now(UTC))
        return Person(account.name, AccountRole(account.role), "token") if account is not None else None

    def _is_right(self, password: str, kept: str) -> bool:
        """Remembered, as a viewer asks a hundred times for one exam; another password has another `kept`."""
        proof = hmac.digest(self._key, f"{kept}\0{password}".encode(), "sha256")
        with self._lock:
            if proof in self._right:
                return True
        right = passwords.is_right(password, kept)
        if right:
            with self._lock:
                self._right[proof] = None
                if len(self._right) > _REMEMBERED:
                    self._right.popitem(last=False)
        return right


def _sha(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _no_account(name: str) -> NotFound:
    return NotFound(f"there is no account {name!r}; see mammo-node account list")
