"""How stored images reach the model."""

from dataclasses import dataclass
from typing import Literal

from trainables.errors import RecipeError
from trainables.recipe.checks import above_zero, one_of, within


@dataclass(frozen=True, kw_only=True)
class Data:
    """How stored images reach the model, and how often each of them does."""

    image_size: int
    """Side in pixels of the square image the model sees, 4 to 1024; stored images are resized to it."""
    crop_margin: int = 0
    """Pixels, 0 to 512, by which images are first resized to more than `image_size`: training sees a random crop, evaluation the
    middle one."""
    normalisation: Literal["dataset", "architecture", "zero_one", "per_image", "given"] = "dataset"
    """Pixels in [0, 1] minus mean over deviation: of the dataset's training split, of the pretrained weights, left alone, of each
    image's own pixels, or as `pixel_mean` and `pixel_std` say."""
    pixel_mean: float | None = None
    """Normalisation `given`, and only there: subtracted from pixels in [0, 1]."""
    pixel_std: float | None = None
    """Normalisation `given`, and only there: what is left is divided by, above 0."""
    train_images: int | None = None
    """Train on this many images only, at least 2: a fixed draw that keeps the shares of classes; None for all."""
    sampler_power: float = 0.0
    """Images of a class of n are drawn with a chance in proportion to n ** -power, 0 to 1: at 0 each image comes once an epoch, at 1
    all classes come equally often, with repeats."""

    def __post_init__(self) -> None:
        within("image_size", self.image_size, 4, 1024)
        within("crop_margin", self.crop_margin, 0, 512)
        one_of("normalisation", self.normalisation, ("dataset", "architecture", "zero_one", "per_image", "given"))
        if (self.normalisation == "given") != (self.pixel_mean is not None and self.pixel_std is not None) or (
            self.normalisation != "given" and (self.pixel_mean is not None or self.pixel_std is not None)
        ):
            raise RecipeError(
                "pixel_mean and pixel_std belong to normalisation 'given', and it needs both; "
                f"got {self.normalisation!r} with {self.pixel_mean} and {self.pixel_std}"
            )
        if self.pixel_std is not None:
            above_zero("pixel_std", self.pixel_std)
        if self.train_images is not None:
            within("train_images", self.train_images, 2, 10**9)
        within("sampler_power", self.sampler_power, 0.0, 1.0)
