"""How stored images reach the model."""

from dataclasses import dataclass
from typing import Annotated, Literal

from trainables.errors import FieldError, RecipeError
from trainables.recipe.fields import AboveZero, Continuation, Within, check_fields


@dataclass(frozen=True, kw_only=True)
class Data:
    """How stored images reach the model, and how often each of them does."""

    image_size: Annotated[int, Within(4, 1024)]
    """Side in pixels of the square image that the network sees, 4 to 1024; stored images are resized to it.
    In a study, the default is the larger side of the dataset's images (at most 224 of images that are stored
    at their own sizes), or the least that the network takes."""
    crop_margin: Annotated[int, Within(0, 512)] = 0
    """Images are first resized to a side that is this many pixels larger than `image_size`, 0 to 512;
    training sees a random crop, evaluation the middle one. At most `image_size`."""
    smallest_crop: Annotated[float | None, AboveZero(1.0)] = None
    """For images that are stored at their own sizes: training sees a random rectangle of each image that has
    at least this share of its area, above 0 and at most 1, and is 3:4 to 4:3 (arXiv:1409.4842), resized to a
    square; evaluation sees the middle. Without it training sees the middle, too."""
    normalisation: Literal["dataset", "architecture", "zero_one", "per_image", "given"] = "dataset"
    """The mean that is subtracted from pixels in [0, 1] and the deviation that they are divided by:
    `dataset`, those of the training split; `architecture`, those of the pretrained weights; `per_image`,
    those of each image; `given`, `pixel_mean` and `pixel_std`; `zero_one` leaves pixels alone."""
    pixel_mean: Annotated[float | None, Within(-1000.0, 1000.0), Continuation.LASTS] = None
    """With `normalisation: given` only: the mean that is subtracted from pixels in [0, 1]."""
    pixel_std: Annotated[float | None, AboveZero(1000.0), Continuation.LASTS] = None
    """With `normalisation: given` only: the deviation that pixels are divided by after that, above 0."""
    train_images: Annotated[int | None, Within(2, 10**9)] = None
    """Train on this many images only, at least 2: a fixed draw that keeps the shares of the classes. All
    images, unless given."""
    epoch_images: Annotated[int | None, Within(2, 10**9)] = None
    """Images of one epoch, at least 2: with fewer than there are, one pass over the training split takes
    several epochs, after each of which a trial is validated, compared and may be stopped. A whole pass,
    unless given, and at most."""
    sampler_power: Annotated[float, Within(0.0, 1.0)] = 0.0
    """Images of a class with n images are drawn with a chance in proportion to n ** -power, 0 to 1. At 0 each
    image comes once an epoch; at 1 all classes come equally often, with repeats."""

    def __post_init__(self) -> None:
        check_fields(self)
        if self.crop_margin > self.image_size:
            raise FieldError(
                "crop_margin",
                f"must be at most image_size, which is {self.image_size}, got {self.crop_margin}",
            )
        if (self.normalisation == "given") != (
            self.pixel_mean is not None and self.pixel_std is not None
        ) or (self.normalisation != "given" and (self.pixel_mean is not None or self.pixel_std is not None)):
            raise RecipeError(
                "pixel_mean and pixel_std belong to normalisation 'given', and it needs both; "
                f"got {self.normalisation!r} with {self.pixel_mean} and {self.pixel_std}"
            )
