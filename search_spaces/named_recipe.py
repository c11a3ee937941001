"""A named recipe: a published configuration that a person reads, trains and starts studies from."""

from collections.abc import Mapping
from dataclasses import dataclass

from search_spaces.dimensions import Value
from search_spaces.named_dataset import NamedDataset
from search_spaces.space import Point


@dataclass(frozen=True)
class Chosen:
    """A value that the source leaves open, and why it is what it is."""

    value: Value
    why: str


@dataclass(frozen=True, kw_only=True)
class Result:
    """What the source says its system came to."""

    value: float
    metric: str = "accuracy"
    """A metric of `trainables.metrics.classification`."""
    measured_on: str = "its test split"

    def __str__(self) -> str:
        value = f"{self.value:.4g}" if self.metric == "log_loss" else f"{self.value:.2%}"
        return f"{self.metric.replace('_', ' ')} {value} on {self.measured_on}"


@dataclass(frozen=True, kw_only=True)
class NamedRecipe:
    """A published configuration as a point of the dimensions, each value stated by its source or chosen by
    us.
    """

    name: str
    dataset: NamedDataset
    source: str
    """Where it comes from."""
    about: str
    parameters: int
    """Of the network, for the dataset's images and classes."""
    stated: Point
    """What the source states."""
    chosen: Mapping[str, Chosen]
    """What the source leaves open and we decided; what neither names has our default."""
    epochs: int
    epochs_chosen: str | None = None
    """Why the number of epochs is what it is; None where the source states it."""
    result: Result | None = None
    """None where the source gives no number."""
    not_rebuilt: str | None = None
    """What keeps the source's own measurement from being rebuilt; None where nothing does."""
    groups: Mapping[str, tuple[str, ...]] | None = None
    """Classes that are judged together: their probabilities are summed. None for the dataset's own
    classes."""

    @property
    def point(self) -> Point:
        """The whole configuration."""
        return {**self.stated, **{name: chosen.value for name, chosen in self.chosen.items()}}
