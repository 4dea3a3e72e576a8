"""Who asks, and what that one may do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AccountRole(StrEnum):
    """What an account may do; each may also do what those before it may."""

    VIEWER = "viewer"  # search and see
    OPERATOR = "operator"  # and store, and change what happens to exams
    ADMIN = "admin"  # and everything else

    def includes(self, other: AccountRole) -> bool:
        """Whether whoever has this role may do what `other` may."""
        order = list(AccountRole)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Person:
    """Who has signed in. by: "password", "token" or "issuer". Behind an account there may be a program."""

    name: str
    role: AccountRole
    by: str
