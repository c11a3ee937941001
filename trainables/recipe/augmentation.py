"""Random changes of each training image, and of pairs of them."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from trainables.recipe.fields import AboveZero, Continuation, Within, check_fields


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Images mixed with others of their batch, and their labels in the same proportion."""

    kind: Literal["none", "mixup", "cutmix"] = "none"
    """Blended (arXiv:1710.09412), or a rectangle of one in the other (1905.04899)."""
    alpha: Annotated[float, AboveZero()] = 1.0
    """The share is drawn from Beta(alpha, alpha), above 0."""
    probability: Annotated[float, Within(0.0, 1.0)] = 1.0
    """Chance that a batch is mixed, 0 to 1."""
    off_fraction: Annotated[float, Within(0.0, 1.0), Continuation.LASTS] = 0.0
    """Share of all epochs, at the end, without mixing, 0 to 1."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of each training image; ranges are those at strength 1 and shrink in proportion to it."""

    policy: Literal["affine", "trivial", "rand"] = "affine"
    """The changes below, all at once; or torchvision's TrivialAugmentWide (arXiv:2103.10158) or RandAugment (1909.13719) in place of
    those that `strength` multiplies."""
    strength: Annotated[float, Within(0.0, 1.0)] = 0.0
    """Policy `affine`: master strength in [0, 1] that multiplies the ranges below, flips excepted; 0 changes nothing but flips."""
    rare_class_power: Annotated[float, Within(0.0, 1.0)] = 0.0
    """Images of a class of n have their strength multiplied by (most / n) ** power, up to strength 1; 0 to 1, 0 treats all alike."""
    rotation_degrees: Annotated[float, Within(0.0, 180.0)] = 35.0
    """Rotation drawn from [-r, r], 0 to 180."""
    shift_fraction: Annotated[float, Within(0.0, 1.0)] = 0.25
    """Shift along each axis drawn from [-s, s] of the side, 0 to 1."""
    shear_degrees: Annotated[float, Within(0.0, 60.0)] = 10.0
    """Horizontal shear drawn from [-s, s], 0 to 60."""
    zoom_fraction: Annotated[float, Within(0.0, 0.9)] = 0.4
    """Zoom drawn from [1 - z, 1 + z], 0 to 0.9."""
    zoom_axes: Literal["together", "apart"] = "together"
    """Whether both axes zoom by one draw, or each by its own."""
    brightness_fraction: Annotated[float, Within(0.0, 1.0)] = 0.5
    """Brightness factor drawn from [1 - b, 1 + b], 0 to 1."""
    contrast_fraction: Annotated[float, Within(0.0, 1.0)] = 0.0
    """Contrast factor, about the image's mean, drawn from [1 - c, 1 + c], 0 to 1."""
    erase_probability: Annotated[float, Within(0.0, 1.0)] = 0.0
    """Chance that a rectangle of 2 to 33 % of the image is set to 0, black (arXiv:1708.04896), 0 to 1."""
    flip_probability: Annotated[float, Within(0.0, 1.0)] = 0.0
    """Chance of a mirror image (left to right), 0 to 1; at any strength and policy."""
    fill: Literal["zeros", "border", "reflection"] = "zeros"
    """Policy `affine`: what stands where the image was moved away; the others leave it black."""
    rand_operations: Annotated[int, Within(1, 5), Continuation.MAY_CHANGE] = 2
    """Policy `rand`: changes one after another, 1 to 5."""
    rand_magnitude: Annotated[int, Within(0, 30), Continuation.MAY_CHANGE] = 9
    """Policy `rand`: their magnitude, 0 to 30."""
    mixing: Mixing = field(default_factory=Mixing)

    def __post_init__(self) -> None:
        check_fields(self)
