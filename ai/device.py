"""Where networks compute: the processor, or one of the machine's CUDA devices."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

CPU = torch.device("cpu")

#: What torch, its libraries and Python say in a RuntimeError when the memory they asked for was not given.
_REFUSED_MEMORY = ("can't allocate memory", "not enough memory", "bad_alloc", "can't start new thread")


def at_hand() -> tuple[str, ...]:
    """The devices of this machine, as `chosen` takes them."""
    return ("cpu", *(f"cuda:{number}" for number in range(torch.cuda.device_count())))


def chosen(name: str) -> torch.device:
    """The device `name`: cpu, cuda (the first) or cuda:N. Raises ValueError, naming what there is."""
    wanted = "cuda:0" if name == "cuda" else name
    if wanted not in at_hand():
        raise ValueError(f"device '{name}' is not available; there is: {', '.join(at_hand())}")
    return torch.device(wanted)


def make_exact() -> None:
    """Full float32 also on CUDA, where convolutions are otherwise rounded to 10 bits (TF32), a difference of 1e-3."""
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False


def staged(values: NDArray[np.float32] | NDArray[np.bool_], device: torch.device) -> Tensor:
    """The values where they are taken to `device` from: for CUDA in pinned memory, so that the copy need not wait."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory() if device.type == "cuda" else tensor


def together(staged_values: list[Tensor], device: torch.device) -> Tensor:
    """Staged values of one shape as a batch on `device`, (n, …)."""
    if len(staged_values) == 1:
        return staged_values[0][None].to(device, non_blocking=True)
    return torch.stack([each.to(device, non_blocking=True) for each in staged_values])


def out_of_memory(error: BaseException) -> bool:
    """Whether the error says that memory ran out, of the machine or of the device."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error) for said in _REFUSED_MEMORY)


def relieve(device: torch.device) -> None:
    """Give back what torch keeps of the device's memory for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
