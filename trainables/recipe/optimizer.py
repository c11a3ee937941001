"""The rule that turns gradients into steps."""

from dataclasses import dataclass
from typing import Annotated, Literal

from trainables.recipe.fields import AboveZero, Within, check_fields


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The rule that turns gradients into steps, and the average over steps that is kept."""

    kind: Literal["adam", "adamw", "sgd"] = "adamw"
    """Adam, AdamW (decoupled weight decay), or SGD with Nesterov momentum."""
    weight_decay: Annotated[float, Within(0.0, 10.0)] = 0.0
    """Pull of weights towards 0, at least 0; biases and normalisation parameters are left out."""
    momentum: Annotated[float, Within(0.0, 0.9999)] = 0.9
    """SGD: momentum; Adam and AdamW: the first moment's decay (beta 1). In [0, 1)."""
    second_moment: Annotated[float, Within(0.0, 0.999999)] = 0.999
    """Adam and AdamW only: the second moment's decay (beta 2), in [0, 1)."""
    gradient_clip: Literal["none", "value", "norm"] = "none"
    """Whether gradients are cut: not, each value at `clip_at`, or all of them together at the norm `clip_at`."""
    clip_at: Annotated[float, AboveZero()] = 1.0
    """Above 0."""
    average_halflife: Annotated[float | None, AboveZero()] = None
    """Epochs, above 0, after which a step's share in an exponential moving average of the weights has halved; the average is what is
    validated and kept. None for the weights themselves."""

    def __post_init__(self) -> None:
        check_fields(self)
