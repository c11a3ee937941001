"""A moving average of a network's weights over the optimizer's steps."""

from copy import deepcopy
from itertools import chain
from typing import Any

from torch import Tensor, nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


class WeightAverage:
    """An exponential moving average of a module's parameters and buffers, where a step's share halves every
    `halflife_epochs`.

    Over the first steps the average is shorter: of n + 1 updates, the last keeps at most (1 + n) / (10 + n)
    of what was there, so that the weights it began with do not linger; the half-life is reached after about
    13 half-lives. `torch.optim.swa_utils.AveragedModel` would do the same and wait for the GPU at every step.
    """

    def __init__(self, module: nn.Module, halflife_epochs: float, steps_per_epoch: int) -> None:
        self.module = deepcopy(module)
        """The average, on the module's device and in its memory format; BatchNorm's statistics are averaged
        too, counts are the last."""
        self._decay: float = 0.5 ** (1 / (halflife_epochs * steps_per_epoch))
        self._num_updates = 0

    def update(self, module: nn.Module) -> None:
        """Takes the weights of now into the average; call it after each optimizer step."""
        decay = min(self._decay, (1 + self._num_updates) / (10 + self._num_updates))
        pairs = [
            (average.detach(), now.detach())
            for average, now in zip(_tensors(self.module), _tensors(module), strict=True)
        ]
        averages, weights = zip(*(pair for pair in pairs if pair[0].is_floating_point()), strict=True)
        get_ema_multi_avg_fn(decay)(averages, weights, self._num_updates)
        for average, now in pairs:
            if not average.is_floating_point():
                average.copy_(now)
        self._num_updates += 1

    def state_dict(self) -> dict[str, Any]:
        """All that further updates depend on; it shares its tensors with `module`."""
        return {"module": self.module.state_dict(), "num_updates": self._num_updates}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continues where `state_dict` was taken."""
        self.module.load_state_dict(state["module"])
        self._num_updates = state["num_updates"]


def _tensors(module: nn.Module) -> chain[Tensor]:
    return chain(module.parameters(), module.buffers())
