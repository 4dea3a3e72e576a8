"""What a node process does: everything, or some of it beside others that do the rest."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """One part of the work."""

    RECEIVE = "receive"
    READ = "read"
    SEND = "send"
    WEB = "web"


ALL_ROLES = frozenset(Role)


def name_of(roles: Collection[Role]) -> str:
    """Short, as in a slot's name: "all", or e.g. "read+send"."""
    return "all" if set(roles) == ALL_ROLES else "+".join(role for role in Role if role in roles)


class Leader(Protocol):
    """Tells whether this worker is the one that does what only one should do."""

    @property
    def leads(self) -> bool:
        """Whether it is."""
