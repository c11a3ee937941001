"""The rule that turns gradients into steps."""

from dataclasses import dataclass
from typing import Annotated, Literal

from trainables.recipe.fields import AboveZero, Within, check_fields


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The rule that turns gradients into steps, and the average over steps that is kept."""

    kind: Literal["adam", "adamw", "sgd"] = "adamw"
    """The optimizer: `adam`, `adamw` (decoupled weight decay), or `sgd` with Nesterov momentum."""
    weight_decay: Annotated[float, Within(0.0, 10.0)] = 0.0
    """The pull of weights towards 0, at least 0; biases and normalisation parameters are left out."""
    momentum: Annotated[float, Within(0.0, 0.9999)] = 0.9
    """With `sgd` the momentum; with `adam` and `adamw` the decay of the first moment (beta 1). In [0, 1)."""
    second_moment: Annotated[float, Within(0.0, 0.999999)] = 0.999
    """With `adam` and `adamw` only: the decay of the second moment (beta 2), in [0, 1)."""
    gradient_clip: Literal["none", "value", "norm"] = "none"
    """How gradients are cut: `none`; `value`, each value at `clip_at`; `norm`, all values together at the
    norm `clip_at`."""
    clip_at: Annotated[float, AboveZero(1e9)] = 1.0
    """The value or norm at which gradients are cut, above 0."""
    average_halflife: Annotated[float | None, AboveZero(1e6)] = None
    """Keep an exponential moving average of the weights, in which the share of a step has halved after this
    many epochs, above 0. The average is validated and kept. Without a value, the weights themselves are."""

    def __post_init__(self) -> None:
        check_fields(self)
