"""Where a trial began that went on from another trial's checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from search_spaces.space import Point
from study.names import trial_name


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """Epochs that weights spent in one trial, under its values."""

    trial: int
    first_epoch: int
    last_epoch: int
    point: Point


@dataclass(frozen=True, kw_only=True)
class Continues:
    """Where a trial began that did not begin at epoch 1."""

    trial: int
    """The one whose checkpoint it began with."""
    epoch: int
    """The last that the checkpoint had; its own first is the next."""
    replaces: int
    """The one whose place in the population it took."""
    before: tuple[Stretch, ...]
    """What the weights went through before, the first first; it ends with `epoch` of `trial`."""

    def __str__(self) -> str:
        return f"{trial_name(self.trial)} from epoch {self.epoch}"

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Continues":
        """What `asdict` wrote."""
        return cls(**{**tree, "before": tuple(Stretch(**stretch) for stretch in tree["before"])})
