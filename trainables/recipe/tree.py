"""The recipe itself: all its parts, the batch and the seed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from trainables.errors import RecipeError
from trainables.recipe.augmentation import Augmentation
from trainables.recipe.data import Data
from trainables.recipe.evaluation import Evaluation
from trainables.recipe.fields import Within, check_fields
from trainables.recipe.loss import Loss
from trainables.recipe.model import Model
from trainables.recipe.optimizer import Optimizer
from trainables.recipe.phase import Phase
from trainables.recipe.serialization import built, plain

MOST_WEIGHT_POWER_WITH_SAMPLER = 0.5


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One fully specified training configuration."""

    data: Data
    model: Model
    phases: tuple[Phase, ...]
    """At least one; the phases follow each other."""
    optimizer: Optimizer = field(default_factory=Optimizer)
    loss: Loss = field(default_factory=Loss)
    augmentation: Augmentation = field(default_factory=Augmentation)
    evaluation: Evaluation = field(default_factory=Evaluation)
    batch_size: Annotated[int, Within(1, 65_536)] = 64
    """Images per optimizer step, 1 to 65536; the last batch of an epoch may be smaller."""
    patience: Annotated[int | None, Within(1, 100_000)] = None
    """The training ends after this many epochs without a better validation accuracy, at least 1; it goes to
    the end, unless given."""
    seed: Annotated[int, Within(0, 2**63 - 1)] = 0
    """The initial weights, the order of images, augmentation and dropout follow from it; at least 0."""

    def __post_init__(self) -> None:
        if not self.phases:
            raise RecipeError("a recipe needs at least one phase, got none")
        check_fields(self)
        _check_parts_agree(self)

    @property
    def num_epochs(self) -> int:
        """Epochs of all phases together."""
        return sum(phase.epochs for phase in self.phases)

    def to_dict(self) -> dict[str, Any]:
        """The tree as plain JSON values; `Recipe.from_dict` turns it back."""
        tree: dict[str, Any] = plain(self)
        return tree

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> "Recipe":
        """The recipe written by `to_dict`, or by hand.

        Raises RecipeError with the path of the key that does not fit.
        """
        recipe: Recipe = built(cls, tree, "recipe")
        return recipe


def _check_parts_agree(recipe: Recipe) -> None:
    if recipe.data.sampler_power and recipe.loss.class_weight_power > MOST_WEIGHT_POWER_WITH_SAMPLER:
        raise RecipeError(
            f"sampler_power and class_weight_power above {MOST_WEIGHT_POWER_WITH_SAMPLER} correct the same "
            "imbalance twice; "
            f"got {recipe.data.sampler_power:g} and {recipe.loss.class_weight_power:g}: set one of them to 0"
        )
    if recipe.evaluation.views in ("ten_crop", "three_sizes") and not recipe.data.crop_margin:
        raise RecipeError(
            f"evaluation views {recipe.evaluation.views!r} needs a crop_margin above 0: with none, its "
            f"{'five crops' if recipe.evaluation.views == 'ten_crop' else 'three sizes'} are one"
        )
    if recipe.augmentation.fixed_views is not None and recipe.data.smallest_crop is not None:
        raise RecipeError(
            "fixed_views and smallest_crop exclude each other, as smallest_crop cuts another rectangle out "
            f"of each image at each epoch; got {recipe.augmentation.fixed_views} and "
            f"{recipe.data.smallest_crop:g}: leave one of them out"
        )
    if recipe.evaluation.dropout_samples and not recipe.model.dropout:
        raise RecipeError("dropout_samples needs dropout above 0: with none, all samples are one")
