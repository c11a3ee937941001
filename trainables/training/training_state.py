"""The state of a training between two epochs, as it lies in a file: all that the following epochs depend
on.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from trainables.atomic import atomic_file
from trainables.devices.tensor_files import load_plain
from trainables.errors import RecipeError
from trainables.recipe.continuation import lasting
from trainables.recipe.tree import Recipe

STATE_FILE = "training.pt"


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

    def write(self, folder: Path) -> None:
        """Writes it into `folder`, whole or not at all."""
        with atomic_file(folder / STATE_FILE) as file:
            torch.save({**vars(self), "recipe": self.recipe.to_dict()}, file)

    @classmethod
    def read(
        cls, folder: Path, recipe: Recipe, dataset: str, device: torch.device, *, with_other_values: bool
    ) -> "TrainingState":
        """What `write` wrote into `folder`, for a training of `recipe` on the dataset with that digest.

        `with_other_values`: or of one that differs from it in no more than what may change on the way
        (`trainables.recipe.continuation`). Raises FileNotFoundError where nothing was written, RecipeError
        where it is of another training, WeightsError where it is damaged.
        """
        tree = load_plain(folder / STATE_FILE, device)
        state = cls(**{**tree, "recipe": Recipe.from_dict(tree["recipe"])})
        is_ours = lasting(state.recipe) == lasting(recipe) if with_other_values else state.recipe == recipe
        if not is_ours or state.dataset != dataset:
            raise RecipeError(
                f"{folder} must hold a training of this recipe on this dataset, and holds another; give "
                "another folder or remove it"
            )
        return state
