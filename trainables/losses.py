"""Cross-entropy weighted by class."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from trainables.errors import RecipeError
from trainables.recipe.loss import Loss

# B batch, K classes


def build_loss(loss: Loss, classes: Sequence[str], num_by_class: Sequence[int], device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
    """A function of logits (B, K) and labels (B,) to a scalar: the batch's mean, each image counting by its class weight.

    Raises RecipeError if a table of weights does not name exactly the dataset's classes.
    """
    weights = class_weights(loss, classes, num_by_class)
    weights_K = None if weights is None else torch.tensor(weights, dtype=torch.float32, device=device)
    return partial(functional.cross_entropy, weight=weights_K, label_smoothing=loss.label_smoothing)


def class_weights(loss: Loss, classes: Sequence[str], num_by_class: Sequence[int]) -> tuple[float, ...] | None:
    """The weight of each class, in the order of `classes`; None where all weigh the same. Raises as `build_loss` does.

    A class without images weighs 1: no image of the training split can use it.
    """
    if loss.class_weights is not None:
        _check_names(loss.class_weights, classes)
        weights = [loss.class_weights[name] for name in classes]
    elif loss.class_weight_power:
        num_images, num_classes = sum(num_by_class), len(classes)
        weights = [(num_images / (num_classes * num)) ** loss.class_weight_power if num else 1.0 for num in num_by_class]
    else:
        return None
    cap = loss.class_weight_cap
    return tuple(weights if cap is None else (min(weight, cap) for weight in weights))


def _check_names(table: Mapping[str, float], classes: Sequence[str]) -> None:
    named = set(table)
    if missing := [name for name in classes if name not in named]:
        raise RecipeError(f"class_weights must name every class of the dataset, and lacks {missing[0]!r}; classes: {', '.join(classes)}")
    if unknown := sorted(named - set(classes)):
        raise RecipeError(f"class_weights names {unknown[0]!r}, which is no class of the dataset; classes: {', '.join(classes)}")
