"""Settings of queries: those that others make here, and those that this node makes elsewhere."""

from __future__ import annotations

from pydantic import Field

from node.settings import Settings


class QuerySettings(Settings):
    """Queries and retrievals of others (C-FIND, C-MOVE, C-GET). C-MOVE sends to nobody but those under peers."""

    maximum_results: int = Field(
        default=1000, ge=1, le=100_000, description="Most matches of a C-FIND; beyond them it ends with 0xA700."
    )
