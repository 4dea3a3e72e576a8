"""Settings of the modality worklist."""

from __future__ import annotations

from pydantic import Field

from node.settings import AETitle, Name, Seconds, Settings


class WorklistSettings(Settings):
    """The modality worklist (MWL) that says what is to come."""

    peer: Name | None = Field(default=None, description="Name of the peer that has the worklist; null: none is asked.")
    every_s: Seconds = Field(default=300.0, description="Time between two queries for today's list.")
    modality: str = Field(default="MG", min_length=1, max_length=16, description="Modality (0008,0060) asked for.")
    station_ae_titles: tuple[AETitle, ...] = Field(
        default=(), description="Scheduled Station AE Titles (0040,0001) asked for; none: all."
    )
    urgent_priorities: tuple[str, ...] = Field(
        default=("STAT", "HIGH"), description="Requested Procedure Priorities (0040,1003) that make an exam urgent."
    )
    days_ahead: int = Field(default=0, ge=0, le=7, description="Further days whose lists are asked for.")
    prefetch_priors: bool = Field(
        default=False,
        description="Have earlier exams of scheduled women sent before their images come, from peers with `priors`.",
    )
    missing_after_s: Seconds = Field(
        default=7200.0, description="A scheduled exam of which nothing came for this long is told as missing."
    )
