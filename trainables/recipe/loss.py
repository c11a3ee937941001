"""What a training minimises, and how much each class counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from trainables.errors import FieldError, RecipeError
from trainables.recipe.fields import AboveZero, Continuation, Within, check_fields

WITH_SMOOTHING = ("cross_entropy", "logit_adjusted")
"""The kinds of loss that `label_smoothing` goes with."""
LARGEST_WEIGHT = 1e6
"""Of a class."""


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The loss of an image, and its weight by class."""

    kind: Literal["cross_entropy", "focal", "ldam", "logit_adjusted"] = "cross_entropy"
    """The loss: `cross_entropy`; `focal` (arXiv:1708.02002); `ldam`, label-distribution-aware margins
    (1906.07413); `logit_adjusted`, logits shifted by the logarithm of class frequency (2007.07314)."""
    label_smoothing: Annotated[float, Within(0.0, 0.99)] = 0.0
    """With `cross_entropy` and `logit_adjusted` only: share of the target that is spread over all classes, in
    [0, 1)."""
    focal_gamma: Annotated[float, Within(0.0, 10.0)] = 2.0
    """With `focal` only: the exponent, 0 to 10; 0 is cross-entropy."""
    ldam_margin: Annotated[float, AboveZero(2.0)] = 0.5
    """With `ldam` only: the margin of the rarest class, in (0, 2]."""
    ldam_scale: Annotated[float, AboveZero(10_000.0)] = 30.0
    """With `ldam` only: the factor of the logits, above 0."""
    adjustment: Annotated[float, Within(0.0, 5.0)] = 1.0
    """With `logit_adjusted` only: the factor tau of the shift, 0 to 5; 0 is cross-entropy."""
    class_weight_power: Annotated[float, Within(0.0, 1.0)] = 0.0
    """The weight of a class is (N / (K n_c)) ** power, for N images, K classes and n_c images of the class: 0
    no weights, 1 balanced."""
    effective_beta: Annotated[float | None, Within(0.0, 0.9999999)] = None
    """In place of `class_weight_power`: the weight of a class is in proportion to (1 - beta) / (1 - beta **
    n_c) (arXiv:1901.05555), in [0, 1); the mean over classes is 1."""
    class_weights: Annotated[Mapping[str, float] | None, Continuation.MAY_CHANGE] = None
    """In place of both: a table of weights by class name, with every class of the dataset."""
    class_weight_cap: Annotated[float | None, AboveZero(LARGEST_WEIGHT)] = None
    """The highest class weight, above 0; no cap, unless given."""
    weight_normalisation: Literal["weights", "images"] = "weights"
    """The number that a batch's sum of weighted losses is divided by: the sum of its `weights`, as in torch,
    or the number of its `images`, as in Keras."""
    weights_from: Annotated[float, Within(0.0, 1.0), Continuation.LASTS] = 0.0
    """Share of all epochs after which class weights begin to count, 0 to 1: deferred re-weighting
    (arXiv:1906.07413)."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.label_smoothing and self.kind not in WITH_SMOOTHING:
            raise RecipeError(
                f"label_smoothing does not go with loss {self.kind!r}; set it to 0, or take "
                f"{' or '.join(WITH_SMOOTHING)}"
            )
        for name, weight in (self.class_weights or {}).items():
            if not (rule := AboveZero(LARGEST_WEIGHT)).holds(weight):
                raise FieldError(f"class_weights[{name!r}]", f"{rule}, got {weight!r}")
        _check_one_rule(self)


def _check_one_rule(loss: Loss) -> None:
    rules = {
        "class_weight_power": bool(loss.class_weight_power),
        "effective_beta": loss.effective_beta is not None,
        "class_weights": loss.class_weights is not None,
    }
    if sum(rules.values()) > 1:
        given = " and ".join(name for name, is_given in rules.items() if is_given)
        raise RecipeError(
            f"{given} exclude each other: keep one, leave class_weight_power at 0 and the others out"
        )
