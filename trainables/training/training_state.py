"""The state of a training between two steps, as it lies in a file: all that what follows depends on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from trainables.atomic import atomic_file
from trainables.devices.tensor_files import load_plain
from trainables.errors import RecipeError
from trainables.recipe.continuation import lasting
from trainables.recipe.tree import Recipe

STATE_FILE = "training.pt"


@dataclass(frozen=True, kw_only=True, eq=False)
class Partway:
    """How far the training has come within an epoch."""

    num_steps: int
    """Steps taken, at least 1 and fewer than the epoch has."""
    loss_sum: float
    """Over the images of these steps."""
    seconds: float
    generators: tuple[Tensor, ...]
    """As `generator_states` gives them."""
    spans: Mapping[str, float] = field(default_factory=dict)
    """As `Epoch.spans`, up to here."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingState:
    """State dicts share their tensors with the training."""

    recipe: Recipe
    dataset: str
    """The dataset's digest."""
    accuracies: Sequence[float]
    """Of validation, one for each epoch done."""
    network: dict[str, Any]
    average: dict[str, Any] | None
    optimizer: dict[str, Any] | None
    partway: Partway | None = None
    """None between two epochs."""

    def write(self, folder: Path) -> None:
        """Writes it into `folder`, whole or not at all."""
        with atomic_file(folder / STATE_FILE) as unfinished, unfinished.open("wb") as file:
            self.write_to(file)

    def write_to(self, file: IO[bytes]) -> None:
        """Writes it at the place of an open file."""
        torch.save(self.to_dict(), file)

    def to_dict(self) -> dict[str, Any]:
        """Tensors and plain values."""
        partway = None if self.partway is None else vars(self.partway)
        return {**vars(self), "recipe": self.recipe.to_dict(), "partway": partway}

    def copied(self) -> "TrainingState":
        """The same state in memory of its own on the CPU, which further steps leave alone."""
        return replace(
            self,
            accuracies=tuple(self.accuracies),
            network=_copied(self.network),
            average=_copied(self.average),
            optimizer=_copied(self.optimizer),
        )

    @classmethod
    def read(
        cls, folder: Path, recipe: Recipe, dataset: str, device: torch.device, *, with_other_values: bool
    ) -> "TrainingState":
        """What `write` wrote into `folder`, for a training of `recipe` on the dataset with that digest.

        `with_other_values`: or of one that differs from it in no more than what may change on the way
        (`trainables.recipe.continuation`). Raises FileNotFoundError where nothing was written, RecipeError
        where it is of another training, WeightsError where it is damaged.
        """
        state = cls.from_dict(load_plain(folder / STATE_FILE, device))
        state.check(folder, recipe, dataset, with_other_values=with_other_values)
        return state

    @classmethod
    def from_dict(cls, tree: dict[str, Any]) -> "TrainingState":
        """What `to_dict` gave."""
        partway = None if tree["partway"] is None else Partway(**tree["partway"])
        return cls(**{**tree, "recipe": Recipe.from_dict(tree["recipe"]), "partway": partway})

    def check(self, folder: Path, recipe: Recipe, dataset: str, *, with_other_values: bool) -> None:
        """Raises RecipeError where this, which was read from `folder`, is of another training, as `read`
        does.
        """
        is_ours = lasting(self.recipe) == lasting(recipe) if with_other_values else self.recipe == recipe
        if not is_ours or self.dataset != dataset:
            raise RecipeError(
                f"{folder} must hold a training of this recipe on this dataset, and holds another; give "
                "another folder or remove it"
            )


def _copied(tree: Any) -> Any:
    """Dictionaries and lists of tensors, copied to the CPU."""
    if isinstance(tree, Tensor):
        return tree.detach().to("cpu", copy=True)
    if isinstance(tree, dict):
        return {key: _copied(value) for key, value in tree.items()}
    return [_copied(value) for value in tree] if isinstance(tree, list) else tree
