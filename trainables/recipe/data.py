"""How stored images reach the model."""

from dataclasses import dataclass
from typing import Annotated, Literal

from trainables.errors import RecipeError
from trainables.recipe.fields import AboveZero, Continuation, Within, check_fields


@dataclass(frozen=True, kw_only=True)
class Data:
    """How stored images reach the model, and how often each of them does."""

    image_size: Annotated[int, Within(4, 1024)]
    """Side in pixels of the square image the model sees, 4 to 1024; stored images are resized to it."""
    crop_margin: Annotated[int, Within(0, 512)] = 0
    """Pixels, 0 to 512, by which images are first resized to more than `image_size`: training sees a random crop, evaluation the
    middle one."""
    normalisation: Literal["dataset", "architecture", "zero_one", "per_image", "given"] = "dataset"
    """Pixels in [0, 1] minus mean over deviation: of the dataset's training split, of the pretrained weights, left alone, of each
    image's own pixels, or as `pixel_mean` and `pixel_std` say."""
    pixel_mean: Annotated[float | None, Continuation.LASTS] = None
    """Normalisation `given`, and only there: subtracted from pixels in [0, 1]."""
    pixel_std: Annotated[float | None, AboveZero(), Continuation.LASTS] = None
    """Normalisation `given`, and only there: what is left is divided by, above 0."""
    train_images: Annotated[int | None, Within(2, 10**9)] = None
    """Train on this many images only, at least 2: a fixed draw that keeps the shares of classes; None for all."""
    sampler_power: Annotated[float, Within(0.0, 1.0)] = 0.0
    """Images of a class of n are drawn with a chance in proportion to n ** -power, 0 to 1: at 0 each image comes once an epoch, at 1
    all classes come equally often, with repeats."""

    def __post_init__(self) -> None:
        check_fields(self)
        if (self.normalisation == "given") != (self.pixel_mean is not None and self.pixel_std is not None) or (
            self.normalisation != "given" and (self.pixel_mean is not None or self.pixel_std is not None)
        ):
            raise RecipeError(
                "pixel_mean and pixel_std belong to normalisation 'given', and it needs both; "
                f"got {self.normalisation!r} with {self.pixel_mean} and {self.pixel_std}"
            )
