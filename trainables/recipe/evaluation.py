"""How a trained network is asked: the same in validation, on the test split and in the registered model."""

from dataclasses import dataclass
from typing import Annotated, Literal

from trainables.recipe.fields import Within, check_fields


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """How a trained network is asked for the class of an image."""

    views: Literal["one", "flip", "ten_crop", "three_sizes"] = "one"
    """The views of an image whose probabilities are averaged: `one`, the image; `flip`, it and its mirror
    image; `ten_crop`, its four corners, its middle and their mirror images; `three_sizes`, its middle, all of
    it, and what lies halfway between them, each resized to what the network sees (arXiv:1409.1556). The last
    two need a `crop_margin`."""
    dropout_samples: Annotated[int, Within(0, 256)] = 0
    """Passes with dropout left on whose probabilities are averaged (arXiv:1506.02142), 0 to 256; 0 for one
    pass without dropout."""
    calibration: Literal["none", "temperature"] = "none"
    """`temperature` divides the logits by a temperature that is fitted to the validation split after training
    (arXiv:1706.04599); the most probable class stays the same."""

    def __post_init__(self) -> None:
        check_fields(self)
