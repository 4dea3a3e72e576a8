"""One process or several: what `torchrun` says of it in the environment."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class World:
    """rank: of this process among `size`. device: where it computes."""

    rank: int
    size: int
    device: torch.device

    @classmethod
    def joined(cls, device: str) -> World:
        """This process's place; of several, they are connected (NCCL on GPUs, else Gloo). Ended by `leave`.

        device: cpu, cuda or cuda:N; with several processes cuda means one GPU each.
        """
        size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
        if size > 1 and device == "cuda":
            device = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
        chosen = torch.device(device)
        if chosen.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"device '{device}' is not available; there is: cpu")
        if size > 1:
            distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
        return cls(rank, size, chosen)

    @property
    def is_first(self) -> bool:
        """Whether this process writes files and reports."""
        return self.rank == 0

    def gathered(self, own: _T) -> list[_T]:
        """What every process gave, by rank."""
        if self.size == 1:
            return [own]
        everything: list[_T] = [own] * self.size
        distributed.all_gather_object(everything, own)
        return everything

    def from_first(self, own: _T) -> _T:
        """What the first process gave."""
        return self.gathered(own)[0]

    def leave(self) -> None:
        """End the connection."""
        if self.size > 1:
            distributed.destroy_process_group()
