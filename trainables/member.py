"""One of several processes that train one network together: what they tell each other."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

MEETING_FILE = "meeting"
PATIENCE = timedelta(hours=1)
"""The others wait while the first one validates and writes its state."""


class Member:
    """This process's place among those that share every batch and take every step alike, so that their weights stay equal.

    The process is in one such group at a time (`torch.distributed`): `nccl` between GPUs, `gloo` between CPUs.
    """

    def __init__(self, rank: int, size: int, device: torch.device, folder: Path) -> None:
        """Joins the group of `size` processes that meet in `folder`, and waits for all of them."""
        self.rank = rank
        self.size = size
        self._device = device
        if device.type == "cuda":
            torch.cuda.set_device(device)
        store = distributed.FileStore(str(folder / MEETING_FILE), size)
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)

    def add_gradients(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Puts the sums over all members in the place of this one's gradients, and returns the sum of their losses (scalars).

        One message carries all of it. Every member has gradients of the same parameters.
        """
        moved = [parameter.grad for parameter in parameters if parameter.grad is not None]
        message = torch.cat([loss.reshape(1), *(gradient.reshape(-1) for gradient in moved)])
        distributed.all_reduce(message)
        total, *summed = message.split([1, *(gradient.numel() for gradient in moved)])
        for gradient, its_sum in zip(moved, summed, strict=True):
            gradient.copy_(its_sum.view(gradient.shape))
        return total[0]

    def told_by_first(self, value: float) -> float:
        """The first member's value; that of the others does not matter."""
        told = torch.tensor(value, dtype=torch.float64, device=self._device)
        distributed.broadcast(told, src=0)
        return told.item()

    def leave(self) -> None:
        """Ends the group for this process."""
        distributed.destroy_process_group()
