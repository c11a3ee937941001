"""When what frozen layers make of an image can be used again, as far as the recipe alone says; without
torch.
"""

from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe


def is_frozen_at_input(phase: Phase) -> bool:
    """Whether a phase leaves the network's first layers alone."""
    if phase.trainable_share is not None:
        return phase.trainable_share < 1
    return phase.freeze_depth > 0


def why_not_of_training(recipe: Recipe) -> str | None:
    """Why the training images of a recipe look otherwise at each epoch; None where they come back."""
    augmentation, data = recipe.augmentation, recipe.data
    if data.smallest_crop is not None:
        return "smallest_crop cuts another rectangle out of each image at each epoch"
    if augmentation.mixing.kind != "none" and augmentation.mixing.probability:
        return f"{augmentation.mixing.kind} mixes images before the network sees them"
    if (augmentation.is_active or data.crop_margin) and augmentation.fixed_views is None:
        return (
            "each epoch changes each image anew; with fixed_views: 8 it has 8 changed versions that come back"
        )
    return None


def why_not_at_all(recipe: Recipe) -> str | None:
    """Why no frozen layer's output comes back, of validation images neither; None where it may."""
    if recipe.model.batch_norm == "train":
        return "batch_norm: train changes the statistics of frozen layers at each step"
    return None
