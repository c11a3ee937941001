"""How much each class counts in the loss."""

from collections.abc import Mapping, Sequence

from trainables.errors import RecipeError
from trainables.recipe.loss import Loss


def class_weights(
    loss: Loss, classes: Sequence[str], num_by_class: Sequence[int]
) -> tuple[float, ...] | None:
    """The weight of each class, in the order of `classes`; None where the recipe gives no rule and all weigh
    the same.

    A class without images weighs 1: no image of the training split can use it. Raises RecipeError if a table
    of weights does not name exactly the dataset's classes.
    """
    if loss.class_weights is not None:
        _check_names(loss.class_weights, classes)
        weights = [loss.class_weights[name] for name in classes]
    elif loss.effective_beta is not None:
        weights = _effective(loss.effective_beta, num_by_class)
    elif loss.class_weight_power:
        num_images, num_classes = sum(num_by_class), len(classes)
        weights = [
            (num_images / (num_classes * num)) ** loss.class_weight_power if num else 1.0
            for num in num_by_class
        ]
    else:
        return None
    cap = loss.class_weight_cap
    return tuple(weights if cap is None else (min(weight, cap) for weight in weights))


def _effective(beta: float, num_by_class: Sequence[int]) -> list[float]:
    """One over the effective number of images (arXiv:1901.05555), scaled to a mean of 1 over the classes that
    have images.
    """
    inverse = [(1 - beta) / (1 - beta**num) if num else None for num in num_by_class]
    present = [value for value in inverse if value is not None]
    mean = sum(present) / len(present)
    return [1.0 if value is None else value / mean for value in inverse]


def _check_names(table: Mapping[str, float], classes: Sequence[str]) -> None:
    named = set(table)
    if missing := [name for name in classes if name not in named]:
        raise RecipeError(
            f"class_weights must name every class of the dataset, and lacks {missing[0]!r}; classes: "
            f"{', '.join(classes)}"
        )
    if unknown := sorted(named - set(classes)):
        raise RecipeError(
            f"class_weights names {unknown[0]!r}, which is no class of the dataset; classes: "
            f"{', '.join(classes)}"
        )
