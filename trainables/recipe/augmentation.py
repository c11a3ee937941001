"""Random changes of each training image, and of pairs of them."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from trainables.errors import FieldError
from trainables.recipe.fields import AboveZero, Continuation, Within, check_fields


@dataclass(frozen=True, kw_only=True)
class Mixing:
    """Images mixed with others of their batch, and their labels in the same proportion."""

    kind: Literal["none", "mixup", "cutmix"] = "none"
    """How pairs of images are mixed: `mixup` blends them (arXiv:1710.09412), `cutmix` puts a rectangle of one
    into the other (1905.04899), `none`."""
    alpha: Annotated[float, AboveZero(1000.0)] = 1.0
    """The share of each image of a pair is drawn from Beta(alpha, alpha); above 0."""
    probability: Annotated[float, Within(0.0, 1.0)] = 1.0
    """Chance that a batch is mixed, 0 to 1."""
    off_fraction: Annotated[float, Within(0.0, 1.0), Continuation.LASTS] = 0.0
    """Share of all epochs, at the end, that are trained without mixing, 0 to 1."""

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """Random changes of each training image; ranges are those at strength 1 and shrink in proportion to
    it.
    """

    policy: Literal["affine", "trivial", "rand"] = "affine"
    """The random changes of training images: `affine`, all the changes below at the same time; `trivial`,
    torchvision's TrivialAugmentWide (arXiv:2103.10158); `rand`, torchvision's RandAugment (1909.13719)."""
    strength: Annotated[float, Within(0.0, 1.0)] = 0.0
    """`affine` only: a factor in [0, 1] of the ranges below, except for flips; at 0 images are only
    flipped."""
    rare_class_power: Annotated[float, Within(0.0, 1.0)] = 0.0
    """`affine` only: images of a class with n images have their strength multiplied by (most / n) ** power,
    up to strength 1; `most` is the size of the largest class. 0 to 1; 0 treats all classes alike."""
    rotation_degrees: Annotated[float, Within(0.0, 180.0)] = 35.0
    """`affine` only: the rotation in degrees is drawn from [-r, r]; r is 0 to 180."""
    shift_fraction: Annotated[float, Within(0.0, 1.0)] = 0.25
    """`affine` only: the shift along each axis is drawn from [-s, s], as a share of the side; s is 0 to 1."""
    shear_degrees: Annotated[float, Within(0.0, 60.0)] = 10.0
    """`affine` only: the horizontal shear in degrees is drawn from [-s, s]; s is 0 to 60."""
    zoom_fraction: Annotated[float, Within(0.0, 0.9)] = 0.4
    """`affine` only: the zoom is drawn from [1 - z, 1 + z]; z is 0 to 0.9."""
    zoom_axes: Literal["together", "apart"] = "together"
    """`affine` only: whether both axes zoom by one draw, or each axis by its own."""
    brightness_fraction: Annotated[float, Within(0.0, 1.0)] = 0.5
    """`affine` only: the factor of brightness is drawn from [1 - b, 1 + b]; b is 0 to 1."""
    contrast_fraction: Annotated[float, Within(0.0, 1.0)] = 0.0
    """`affine` only: the factor of contrast, about the image's mean, is drawn from [1 - c, 1 + c]; c is 0 to
    1."""
    erase_probability: Annotated[float, Within(0.0, 1.0)] = 0.0
    """`affine` only: chance that a rectangle of 2 to 33 % of the image is set to black (arXiv:1708.04896), 0
    to 1."""
    flip_probability: Annotated[float, Within(0.0, 1.0)] = 0.0
    """Chance that an image is mirrored (left to right), 0 to 1, under every policy and at every strength."""
    fill: Literal["zeros", "border", "reflection"] = "zeros"
    """`affine` only: the pixels that appear where the image was moved away; the other policies leave them
    black."""
    rand_operations: Annotated[int, Within(1, 5), Continuation.MAY_CHANGE] = 2
    """`rand` only: the number of changes, one after another, 1 to 5."""
    rand_magnitude: Annotated[int, Within(0, 30), Continuation.MAY_CHANGE] = 9
    """`rand` only: the magnitude of the changes, 0 to 30."""
    fixed_views: Annotated[int | None, Within(1, 64)] = None
    """In place of a fresh change of each image at each epoch: this many changed versions of each, 1 to 64,
    drawn once, of which each epoch shows the next. What frozen layers make of them is computed once. A fresh
    change at each epoch, unless given; `affine` only, and without `smallest_crop`."""
    mixing: Mixing = field(default_factory=Mixing)

    def __post_init__(self) -> None:
        check_fields(self)
        if self.fixed_views is not None and self.policy != "affine":
            raise FieldError(
                "fixed_views",
                f"needs augmentation_policy affine, got {self.fixed_views} with {self.policy!r}",
            )

    @property
    def is_active(self) -> bool:
        """Whether anything but a crop can happen to an image."""
        ranges = (self.brightness_fraction, self.contrast_fraction, self.erase_probability)
        has_changes = self.moves_pixels or (self.has_strength and any(ranges))
        return self.policy != "affine" or self.flip_probability > 0 or has_changes

    @property
    def moves_pixels(self) -> bool:
        """Whether pixels come to lie between others."""
        ranges = (self.rotation_degrees, self.shift_fraction, self.shear_degrees, self.zoom_fraction)
        return self.has_strength and any(ranges)

    @property
    def has_strength(self) -> bool:
        """Whether the changes of `affine` are on."""
        return self.policy == "affine" and self.strength > 0
