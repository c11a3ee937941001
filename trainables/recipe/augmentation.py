"""Random changes of each training image, and of pairs of them."""

from dataclasses import dataclass, field
from typing import Literal

from trainables.recipe.checks import above_zero, one_of, within


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Images mixed with others of their batch, and their labels in the same proportion."""

    kind: Literal["none", "mixup", "cutmix"] = "none"
    """Blended (arXiv:1710.09412), or a rectangle of one in the other (1905.04899)."""
    alpha: float = 1.0
    """The share is drawn from Beta(alpha, alpha), above 0."""
    probability: float = 1.0
    """Chance that a batch is mixed, 0 to 1."""
    off_fraction: float = 0.0
    """Share of all epochs, at the end, without mixing, 0 to 1."""

    def __post_init__(self) -> None:
        one_of("mixing.kind", self.kind, ("none", "mixup", "cutmix"))
        above_zero("mixing.alpha", self.alpha)
        within("mixing.probability", self.probability, 0.0, 1.0)
        within("mixing.off_fraction", self.off_fraction, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of each training image; ranges are those at strength 1 and shrink in proportion to it."""

    policy: Literal["affine", "trivial", "rand"] = "affine"
    """The changes below, all at once; or torchvision's TrivialAugmentWide (arXiv:2103.10158) or RandAugment (1909.13719) in place of
    those that `strength` multiplies."""
    strength: float = 0.0
    """Policy `affine`: master strength in [0, 1] that multiplies the ranges below, flips excepted; 0 changes nothing but flips."""
    rare_class_power: float = 0.0
    """Images of a class of n have their strength multiplied by (most / n) ** power, up to strength 1; 0 to 1, 0 treats all alike."""
    rotation_degrees: float = 35.0
    """Rotation drawn from [-r, r], 0 to 180."""
    shift_fraction: float = 0.25
    """Shift along each axis drawn from [-s, s] of the side, 0 to 1."""
    shear_degrees: float = 10.0
    """Horizontal shear drawn from [-s, s], 0 to 60."""
    zoom_fraction: float = 0.4
    """Zoom drawn from [1 - z, 1 + z], 0 to 0.9."""
    zoom_axes: Literal["together", "apart"] = "together"
    """Whether both axes zoom by one draw, or each by its own."""
    brightness_fraction: float = 0.5
    """Brightness factor drawn from [1 - b, 1 + b], 0 to 1."""
    contrast_fraction: float = 0.0
    """Contrast factor, about the image's mean, drawn from [1 - c, 1 + c], 0 to 1."""
    erase_probability: float = 0.0
    """Chance that a rectangle of 2 to 33 % of the image is set to 0, black (arXiv:1708.04896), 0 to 1."""
    flip_probability: float = 0.0
    """Chance of a mirror image (left to right), 0 to 1; at any strength and policy."""
    fill: Literal["zeros", "border", "reflection"] = "zeros"
    """Policy `affine`: what stands where the image was moved away; the others leave it black."""
    rand_operations: int = 2
    """Policy `rand`: changes one after another, 1 to 5."""
    rand_magnitude: int = 9
    """Policy `rand`: their magnitude, 0 to 30."""
    mixing: Mixing = field(default_factory=Mixing)

    def __post_init__(self) -> None:
        one_of("policy", self.policy, ("affine", "trivial", "rand"))
        within("strength", self.strength, 0.0, 1.0)
        within("rare_class_power", self.rare_class_power, 0.0, 1.0)
        within("rotation_degrees", self.rotation_degrees, 0.0, 180.0)
        within("shift_fraction", self.shift_fraction, 0.0, 1.0)
        within("shear_degrees", self.shear_degrees, 0.0, 60.0)
        within("zoom_fraction", self.zoom_fraction, 0.0, 0.9)
        one_of("zoom_axes", self.zoom_axes, ("together", "apart"))
        within("brightness_fraction", self.brightness_fraction, 0.0, 1.0)
        within("contrast_fraction", self.contrast_fraction, 0.0, 1.0)
        within("erase_probability", self.erase_probability, 0.0, 1.0)
        within("flip_probability", self.flip_probability, 0.0, 1.0)
        one_of("fill", self.fill, ("zeros", "border", "reflection"))
        within("rand_operations", self.rand_operations, 1, 5)
        within("rand_magnitude", self.rand_magnitude, 0, 30)
