"""Settings of storage commitment as provider."""

from __future__ import annotations

from pydantic import Field

from node.settings import Seconds, Settings


class CommitmentSettings(Settings):
    """Answers to those who ask this node for storage commitment. A caller is answered by the peer of its AE title."""

    first_retry_s: Seconds = Field(
        default=10.0, description="Wait after an answer could not be sent; it doubles each time."
    )
    max_retry_s: Seconds = Field(default=3600.0, description="Longest wait between two attempts.")
    max_attempts: int = Field(default=100, ge=1, description="Attempts before an answer is given up, visibly.")
