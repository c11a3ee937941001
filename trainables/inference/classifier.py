"""A trained model by itself: from images, as arrays or as files' bytes, to class probabilities, as evaluation
computed them.
"""

import copy
import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor, nn

from trainables.atomic import atomic_file
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.manifest import Manifest
from trainables.datasets.options import AddOptions
from trainables.datasets.pixels import MAX_PIXELS, decode, decoded_pixels, fitted_pixels, num_pixels, permute
from trainables.datasets.split import Split, StoredImages
from trainables.devices.device import find_device
from trainables.devices.memory import room_for_images
from trainables.errors import DatasetError
from trainables.inference.logits import logits_of
from trainables.metrics.temperature import fitted_temperature, is_at_bound
from trainables.models.building import build_model
from trainables.models.weights import read_tensors
from trainables.recipe.tree import Recipe
from trainables.transforms.image_stream import on_device
from trainables.transforms.preprocessing import Preprocessing

# N images, H height, W width, C channels, K classes

CONFIG_FILE = "recipe.json"
WEIGHTS_FILE = "weights.pt"
ALWAYS_RESIDENT_BYTES = 2**25
"""Images of no more are on the device, whatever room it has: asking takes longer than a small network."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """All that a model's weights need to be used: how it was trained, its classes in order, what its images
    go through.
    """

    recipe: Recipe
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    permute_seed: int | None
    """Of the permutation of pixels that the dataset was stored with; None for none."""
    dataset: str
    """Name of the dataset it was trained on."""
    dataset_digest: str
    temperature: float = 1.0
    """What logits are divided by before they become probabilities, above 0."""
    earlier: tuple[tuple[int, Recipe], ...] = ()
    """Recipes that trained the weights before this one took over, each with its last epoch: where there are
    some, this one alone does not train them again."""
    held_out_fold: int | None = None
    """The fold of train and validation, from 0, that it was not trained on; None where it was trained on the
    train split."""
    num_folds: int | None = None
    """Beside it: how many folds there are."""

    @classmethod
    def of(
        cls, recipe: Recipe, manifest: Manifest, earlier: tuple[tuple[int, Recipe], ...] = ()
    ) -> "ClassifierConfig":
        """The configuration of a model that this recipe made of this dataset, at temperature 1."""
        return cls(
            recipe=recipe,
            classes=manifest.classes,
            preprocessing=Preprocessing.of(recipe, manifest),
            permute_seed=manifest.options.get("permute_seed"),
            dataset=manifest.name,
            dataset_digest=manifest.digest,
            earlier=earlier,
        )

    def write(self, path: Path) -> None:
        """As JSON that a person may read; `read` turns it back."""
        tree = {
            **vars(self),
            "recipe": self.recipe.to_dict(),
            "preprocessing": dataclasses.asdict(self.preprocessing),
        }
        tree["earlier"] = [(last_epoch, recipe.to_dict()) for last_epoch, recipe in self.earlier]
        path.write_text(json.dumps(tree, indent=2, allow_nan=False) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> "ClassifierConfig":
        """The configuration in the file `path`."""
        tree = json.loads(path.read_text(encoding="utf-8"))
        pixels = tree["preprocessing"]
        preprocessing = Preprocessing(
            **{**pixels, "pixel_mean": tuple(pixels["pixel_mean"]), "pixel_std": tuple(pixels["pixel_std"])}
        )
        known = {
            "recipe": Recipe.from_dict(tree["recipe"]),
            "classes": tuple(tree["classes"]),
            "preprocessing": preprocessing,
        }
        earlier = tuple((last_epoch, Recipe.from_dict(recipe)) for last_epoch, recipe in tree["earlier"])
        return cls(**{**tree, **known, "earlier": earlier})


class Classifier:
    """Gives images class probabilities. Holds one copy of the weights; not for several threads at once."""

    def __init__(
        self, config: ClassifierConfig, weights: Mapping[str, Tensor], *, device: torch.device | None = None
    ) -> None:
        """`weights` is a state dict, such as `Training.weights()`."""
        self.config = config
        self._device = device or find_device()
        # Weights are at hand, so those that the training started from are not looked for.
        model = dataclasses.replace(config.recipe.model, weights="none")
        pixels = config.preprocessing
        network = build_model(
            model,
            num_classes=len(config.classes),
            channels=pixels.channels,
            image_size=pixels.image_size,
            seed=0,
        )
        network.module.load_state_dict(weights)
        self._module = network.module.to(self._device).to(memory_format=torch.channels_last)

    def probabilities(
        self, images: NDArray[np.uint8] | Sequence[NDArray[np.uint8] | bytes]
    ) -> NDArray[np.float32]:
        """Class probabilities (N, K), in the order of `config.classes`, of images as people have them.

        Images are what `as_stored` takes; it raises DatasetError for what is no image.
        """
        if not len(images):
            return np.empty((0, len(self.config.classes)), np.float32)
        return self.probabilities_of_stored(np.stack([as_stored(image, self.config) for image in images]))

    def probabilities_of_stored(self, images: StoredImages) -> NDArray[np.float32]:
        """Class probabilities (N, K) of images as the dataset stores them, such as those of a `Split`."""
        return self.logits_of_stored(images).div_(self.config.temperature).softmax(1).cpu().numpy()

    def calibrated(self, split: Split) -> "Classifier":
        """This classifier at the temperature that fits its probabilities to `split`, best the validation
        split; they share the weights. Where none in the range fits it is 1.
        """
        return calibrated_together([self], [split])[0]

    def at_temperature(self, temperature: float) -> "Classifier":
        """This classifier at a temperature above 0; they share the weights."""
        classifier = copy.copy(self)
        classifier.config = dataclasses.replace(self.config, temperature=temperature)
        return classifier

    def with_module(self, module: nn.Module) -> "Classifier":
        """This classifier with another module that maps the same, such as a faster one."""
        classifier = copy.copy(self)
        vars(classifier).update(_module=module)
        return classifier

    def logits_of_stored(self, images: StoredImages) -> Tensor:
        """What becomes probabilities (N, K) once it is divided by the temperature, on the device."""
        pixels, recipe = self.config.preprocessing, self.config.recipe
        if not isinstance(images, EncodedImages):
            assert images.shape[1:] == _stored_shape(pixels), f"{images.shape} are no stored images"
        num_bytes = len(images) * pixels.resident_bytes
        is_streamed = num_bytes > ALWAYS_RESIDENT_BYTES and num_bytes > room_for_images(self._device)
        split = Split(images=images, labels=np.zeros(len(images), np.int64))
        placed_NHWC = on_device(split, pixels, self._device, is_streamed=is_streamed)
        return logits_of(self._module, pixels, placed_NHWC, recipe.evaluation, seed=recipe.seed)

    def save(self, folder: Path) -> None:
        """Writes `recipe.json` and `weights.pt` into `folder`, each whole or not at all."""
        with atomic_file(folder / WEIGHTS_FILE) as file:
            torch.save({key: tensor.cpu() for key, tensor in self._module.state_dict().items()}, file)
        with atomic_file(folder / CONFIG_FILE) as file:
            self.config.write(file)

    @classmethod
    def load(cls, folder: Path, *, device: torch.device | None = None) -> "Classifier":
        """The classifier that `save` wrote into `folder`, on any device.

        Raises FileNotFoundError where there is none, WeightsError where its weights are not tensors alone; no
        code in them is run.
        """
        return cls(
            ClassifierConfig.read(folder / CONFIG_FILE), read_tensors(folder / WEIGHTS_FILE), device=device
        )

    @property
    def module(self) -> nn.Module:
        """The network, on its device."""
        return self._module


def calibrated_together(classifiers: Sequence[Classifier], splits: Sequence[Split]) -> tuple[Classifier, ...]:
    """The classifiers at the one temperature that fits the probabilities of each to its own split; 1 where
    none fits.
    """
    logits_NK = torch.cat(
        [one.logits_of_stored(split.images) for one, split in zip(classifiers, splits, strict=True)]
    )
    labels_N = torch.tensor(np.concatenate([split.labels for split in splits]))
    temperature = fitted_temperature(logits_NK, labels_N)
    if is_at_bound(temperature):
        temperature = 1.0
    return tuple(classifier.at_temperature(temperature) for classifier in classifiers)


def as_stored(
    image: NDArray[np.uint8] | bytes, config: ClassifierConfig, *, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Pixels (H, W, C) of an image as people have it, of the size and channels that the dataset stores.

    It is a uint8 array (H, W) or (H, W, C) of 1 to 4 channels (gray, gray and alpha, RGB, RGB and alpha), or
    an encoded file (PNG, JPEG, ...). It goes through what the dataset's own images went through when it was
    added: turned upright, made gray or RGB, scaled and cropped, permuted. Raises DatasetError for what is no
    image, and, before it is decoded, for a file of more than `max_pixels`, which is what Pillow takes to be
    harmless. For several threads at once.
    """
    pixels = config.preprocessing
    decoded_HWC = _decoded(_checked(image) if isinstance(image, np.ndarray) else image, pixels, max_pixels)
    if decoded_HWC.shape[:2] != (pixels.height, pixels.width):
        picture = Image.fromarray(decoded_HWC.squeeze(2) if pixels.channels == 1 else decoded_HWC)
        fitted = ImageOps.fit(picture, (pixels.width, pixels.height), Image.Resampling.LANCZOS)
        decoded_HWC = np.asarray(fitted).reshape(_stored_shape(pixels))
    return decoded_HWC if config.permute_seed is None else permute(decoded_HWC, config.permute_seed)


def upright_pixels(image: NDArray[np.uint8] | bytes, *, max_pixels: int = MAX_PIXELS) -> NDArray[np.uint8]:
    """Pixels (H, W, C) of an image as people have it, at its own size, as a person sees it; C is 1 or 3.

    Raises DatasetError as `as_stored` does.
    """
    with _problems_told():
        if isinstance(image, np.ndarray):
            return decoded_pixels(_checked(image))
        _check_size(image, max_pixels)
        return decoded_pixels(image)


def _stored_shape(pixels: Preprocessing) -> tuple[int, int, int]:
    return pixels.height, pixels.width, pixels.channels


def _decoded(image: NDArray[np.uint8] | bytes, pixels: Preprocessing, max_pixels: int) -> NDArray[np.uint8]:
    with _problems_told():
        if not isinstance(image, np.ndarray):
            _check_size(image, max_pixels)
        if pixels.is_encoded:
            return fitted_pixels(image, pixels.channels, pixels.scaled_size)
        return decode(image, AddOptions(channels=pixels.channels))


@contextmanager
def _problems_told() -> Iterator[None]:
    """Raises DatasetError for whatever decoders raise inside."""
    try:
        yield
    except DatasetError:
        raise
    except (
        Exception
    ) as error:  # decoders raise almost anything on foreign bytes (OSError, SyntaxError, struct.error)
        # Pillow names bytes that it cannot identify by their address in memory.
        reason = (
            "its format is not known"
            if isinstance(error, UnidentifiedImageError)
            else str(error) or type(error).__name__
        )
        raise DatasetError(
            f"an image must be an array of pixels or a file that Pillow can read, and is not: {reason}"
        ) from error


def _check_size(encoded: bytes, max_pixels: int) -> None:
    """Raises DatasetError for a file of few bytes that unpacks to gigabytes; reads its header alone."""
    if num_pixels(encoded) > max_pixels:
        raise DatasetError(f"an image may have {max_pixels:,} pixels, and this one has more; scale it down")


def _checked(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    is_image = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 2, 3, 4))
    if image.dtype != np.uint8 or not is_image or not image.size:
        raise DatasetError(
            f"an image must be uint8 (H, W) or (H, W, C) of 1 to 4 channels, got {image.dtype} {image.shape}"
        )
    return image.squeeze(2) if image.ndim == 3 and image.shape[2] == 1 else image
