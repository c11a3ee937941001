"""What a training minimises, and how much each class counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from trainables.errors import RecipeError
from trainables.recipe.checks import above_zero, one_of, within


@dataclass(frozen=True, kw_only=True)
class Loss:
    """The loss of an image, and its weight by class."""

    kind: Literal["cross_entropy", "focal", "ldam", "logit_adjusted"] = "cross_entropy"
    """Cross-entropy; focal loss (arXiv:1708.02002); label-distribution-aware margins (1906.07413); logits shifted by the logarithm of
    class frequency (2007.07314)."""
    label_smoothing: float = 0.0
    """Share of the target spread over all classes, in [0, 1); kinds `cross_entropy` and `logit_adjusted` only."""
    focal_gamma: float = 2.0
    """Kind `focal`: exponent, 0 to 10; 0 is cross-entropy."""
    ldam_margin: float = 0.5
    """Kind `ldam`: margin of the rarest class, in (0, 2]."""
    ldam_scale: float = 30.0
    """Kind `ldam`: what logits are multiplied by, above 0."""
    adjustment: float = 1.0
    """Kind `logit_adjusted`: tau, 0 to 5; 0 is cross-entropy."""
    class_weight_power: float = 0.0
    """Class weight (N / (K n_c)) ** power: 0 none, 1 balanced."""
    effective_beta: float | None = None
    """In place of the power: class weight in proportion to (1 - beta) / (1 - beta ** n_c) (arXiv:1901.05555), in [0, 1); the weights'
    mean over classes is 1."""
    class_weights: Mapping[str, float] | None = None
    """In place of both: a table of weights by class name; every class of the dataset must stand in it."""
    class_weight_cap: float | None = None
    """Highest class weight, above 0; None for no cap."""
    weight_normalisation: Literal["weights", "images"] = "weights"
    """What a batch's sum of weighted losses is divided by: the sum of its weights, as torch does, or its images, as Keras does."""
    weights_from: float = 0.0
    """Share of all epochs after which class weights begin to count, 0 to 1: deferred re-weighting (arXiv:1906.07413)."""

    def __post_init__(self) -> None:
        one_of("loss.kind", self.kind, ("cross_entropy", "focal", "ldam", "logit_adjusted"))
        within("label_smoothing", self.label_smoothing, 0.0, 0.99)
        if self.label_smoothing and self.kind in ("focal", "ldam"):
            raise RecipeError(f"label_smoothing does not go with loss kind {self.kind!r}; set it to 0, or take cross_entropy")
        within("focal_gamma", self.focal_gamma, 0.0, 10.0)
        above_zero("ldam_margin", self.ldam_margin)
        within("ldam_margin", self.ldam_margin, 0.0, 2.0)
        above_zero("ldam_scale", self.ldam_scale)
        within("adjustment", self.adjustment, 0.0, 5.0)
        within("class_weight_power", self.class_weight_power, 0.0, 1.0)
        if self.effective_beta is not None:
            within("effective_beta", self.effective_beta, 0.0, 0.9999999)
        if self.class_weight_cap is not None:
            above_zero("class_weight_cap", self.class_weight_cap)
        for name, weight in (self.class_weights or {}).items():
            above_zero(f"class_weights[{name!r}]", weight)
        _check_one_rule(self)
        one_of("weight_normalisation", self.weight_normalisation, ("weights", "images"))
        within("weights_from", self.weights_from, 0.0, 1.0)


def _check_one_rule(loss: Loss) -> None:
    rules = {
        "class_weight_power": bool(loss.class_weight_power),
        "effective_beta": loss.effective_beta is not None,
        "class_weights": loss.class_weights is not None,
    }
    if sum(rules.values()) > 1:
        given = " and ".join(name for name, is_given in rules.items() if is_given)
        raise RecipeError(f"{given} exclude each other: keep one, leave class_weight_power at 0 and the others out")
