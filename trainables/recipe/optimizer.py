"""The rule that turns gradients into steps."""

from dataclasses import dataclass
from typing import Literal

from trainables.recipe.checks import above_zero, one_of, within


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """The rule that turns gradients into steps, and the average over steps that is kept."""

    kind: Literal["adam", "adamw", "sgd"] = "adamw"
    """Adam, AdamW (decoupled weight decay), or SGD with Nesterov momentum."""
    weight_decay: float = 0.0
    """Pull of weights towards 0, at least 0; biases and normalisation parameters are left out."""
    momentum: float = 0.9
    """SGD: momentum; Adam and AdamW: the first moment's decay (beta 1). In [0, 1)."""
    second_moment: float = 0.999
    """Adam and AdamW only: the second moment's decay (beta 2), in [0, 1)."""
    gradient_clip: Literal["none", "value", "norm"] = "none"
    """Whether gradients are cut: not, each value at `clip_at`, or all of them together at the norm `clip_at`."""
    clip_at: float = 1.0
    """Above 0."""
    average_halflife: float | None = None
    """Epochs, above 0, after which a step's share in an exponential moving average of the weights has halved; the average is what is
    validated and kept. None for the weights themselves."""

    def __post_init__(self) -> None:
        one_of("kind", self.kind, ("adam", "adamw", "sgd"))
        within("weight_decay", self.weight_decay, 0.0, 10.0)
        within("momentum", self.momentum, 0.0, 0.9999)
        within("second_moment", self.second_moment, 0.0, 0.999999)
        one_of("gradient_clip", self.gradient_clip, ("none", "value", "norm"))
        above_zero("clip_at", self.clip_at)
        if self.average_halflife is not None:
            above_zero("average_halflife", self.average_halflife)
