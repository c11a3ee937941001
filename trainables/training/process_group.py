"""One of several processes that train one network together: what they send each other."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed, nn

RENDEZVOUS_FILE = "rendezvous"
TIMEOUT = timedelta(hours=1)
"""The others wait while the first one validates and writes its state."""


class ProcessGroup:
    """This process's rank among those that share every batch and take every step alike, so that their weights
    stay equal.

    The process is in one such group at a time (`torch.distributed`): `nccl` between GPUs, `gloo` between
    CPUs.
    """

    def __init__(self, rank: int, world_size: int, device: torch.device, folder: Path) -> None:
        """Joins the group of `world_size` processes that meet in `folder`, and waits for all of them."""
        self.rank = rank
        self.world_size = world_size
        self._device = device
        if device.type == "cuda":
            torch.cuda.set_device(device)
        store = distributed.FileStore(  # type: ignore[attr-defined]  # documented, and missing in __all__
            str(folder / RENDEZVOUS_FILE), world_size
        )
        backend = "nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(
            backend, store=store, rank=rank, world_size=world_size, timeout=TIMEOUT
        )

    def all_reduce_gradients(self, parameters: Sequence[nn.Parameter], loss: Tensor) -> Tensor:
        """Puts the sums over all processes in the place of this one's gradients, and returns the sum of their
        losses (scalars).

        One message carries all of it. Every process has gradients of the same parameters.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        message = torch.cat([loss.reshape(1), *(gradient.reshape(-1) for gradient in gradients)])
        distributed.all_reduce(message)
        total, *sums = message.split([1, *(gradient.numel() for gradient in gradients)])
        for gradient, its_sum in zip(gradients, sums, strict=True):
            gradient.copy_(its_sum.view(gradient.shape))
        total_loss: Tensor = total[0]
        return total_loss

    def broadcast(self, value: float) -> float:
        """The value of the process of rank 0; that of the others does not matter."""
        message = torch.tensor(value, dtype=torch.float64, device=self._device)
        distributed.broadcast(message, src=0)
        return message.item()

    def leave(self) -> None:
        """Ends the group for this process."""
        distributed.destroy_process_group()
