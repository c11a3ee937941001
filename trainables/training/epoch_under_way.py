"""An epoch between its first step and its last."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.training.training_images import Batch
from trainables.training.training_state import Partway


@dataclass(kw_only=True)
class EpochUnderWay:
    """An epoch that has begun."""

    loss_sum: Tensor
    """Over the images of the steps so far."""
    batches: Iterator[Batch] | None = None
    """Those that are left; None before the first step that this training takes of it."""
    num_steps: int = 0
    seconds: float = 0.0
    generators: tuple[Tensor, ...] | None = None
    """Where they stood after the last step; None before the first."""
    learning_rate: float = 0.0
    """Of the last step."""

    @classmethod
    def of(cls, partway: Partway, device: torch.device) -> "EpochUnderWay":
        """The epoch that another training had begun."""
        return cls(
            loss_sum=torch.tensor(partway.loss_sum, dtype=torch.float64, device=device),
            num_steps=partway.num_steps,
            seconds=partway.seconds,
            generators=partway.generators,
        )

    def partway(self, spans: Mapping[str, float]) -> Partway | None:
        """What another training goes on from; None before the first step. `spans` is what the epoch took."""
        if self.generators is None:
            return None
        return Partway(
            num_steps=self.num_steps,
            loss_sum=self.loss_sum.item(),
            seconds=self.seconds,
            generators=self.generators,
            spans=dict(spans),
        )
