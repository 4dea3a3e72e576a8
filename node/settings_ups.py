"""Settings of Unified Procedure Steps."""

from __future__ import annotations

from pydantic import Field

from node.settings import Name, Seconds, Settings


class CodeSettings(Settings):
    """A coded concept."""

    value: str = Field(min_length=1, max_length=16, description="Code Value (0008,0100).")
    scheme: str = Field(min_length=1, max_length=16, description="Coding Scheme Designator (0008,0102).")
    meaning: str = Field(default="", max_length=64, description="Code Meaning (0008,0104).")


class UpsSettings(Settings):
    """Unified Procedure Steps: work items that others push to this node, or pull from it."""

    performs: bool = Field(default=True, description="Whether this node performs the items of its codes.")
    workitem_codes: tuple[CodeSettings, ...] = Field(
        default=(CodeSettings(value="110004", scheme="DCM", meaning="Computer Aided Detection"),),
        description="Scheduled Workitem Codes of what this node performs; items of others are kept for others.",
    )
    managers: tuple[Name, ...] = Field(
        default=(), description="Names of peers whose worklists this node works from; their items of its codes."
    )
    every_s: Seconds = Field(default=30.0, description="Time between two looks at each of these worklists.")
    most_claimed: int = Field(default=20, ge=1, le=1000, description="Open items that are claimed from each of them.")
    input_wait_s: Seconds = Field(default=600.0, description="An item whose input is not here by then is canceled.")
    give_up_s: float = Field(
        default=86400.0, gt=0, le=2592000, description="An item whose exam needs a person for so long is canceled."
    )
    concurrency: int = Field(default=2, ge=1, le=16, description="Items whose input is fetched at the same time.")
    kept_days: float = Field(default=30.0, gt=0, le=3650, description="Then a final item without lock is forgotten.")
    told_for_s: float = Field(
        default=86400.0, gt=0, le=2592000, description="A report that a subscriber did not take by then is given up."
    )
