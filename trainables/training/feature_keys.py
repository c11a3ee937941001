"""All that features depend on, as plain JSON values: where two are equal, so are the features."""

import dataclasses
import hashlib
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
import torch

from trainables.datasets.dataset import Dataset
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.split import Split
from trainables.devices.device import device_name
from trainables.feature_cache.feature_file import Layout
from trainables.recipe.serialization import plain
from trainables.recipe.tree import Recipe
from trainables.training.training_images import TrainingImages
from trainables.transforms.fixed_views import FixedViews
from trainables.transforms.preprocessing import Preprocessing

FORMAT = 1
"""Raised where the same key would come to other numbers."""


def of_prefix(
    recipe: Recipe,
    cut: str,
    weights: str,
    layout: Layout,
    preprocessing: Preprocessing,
    device: torch.device,
) -> dict[str, Any]:
    """What computes them, and on what; `weights` is the digest of the frozen layers."""
    return {
        "format": FORMAT,
        "version": _own_version(),
        "torch": torch.__version__,
        "device": device_name(device),
        "dtype": str(layout.dtype),
        "shape": list(layout.shape),
        "architecture": recipe.model.architecture,
        "cut": cut,
        "weights": weights,
        "preprocessing": plain(preprocessing),
    }


def of_training_images(
    recipe: Recipe, dataset: Dataset, images: TrainingImages, views: FixedViews | None
) -> dict[str, Any]:
    """Which images, and how they are changed; the number of the view stands in the file's name."""
    # How many views there are does not matter to each of them.
    augmentation = dataclasses.replace(recipe.augmentation, fixed_views=1)
    return {
        **_of_split(dataset, "train", dataset.train),
        "rows": images.rows_digest,
        "augmentation": None if views is None else plain(augmentation),
        "images_by_class": images.num_by_class if recipe.augmentation.rare_class_power else None,
    }


def of_validation_images(recipe: Recipe, dataset: Dataset) -> dict[str, Any]:
    """Which images, and in which views they are evaluated."""
    return {
        **_of_split(dataset, "validation", dataset.validation),
        "views": recipe.evaluation.views,
    }


def _of_split(dataset: Dataset, name: str, split: Split) -> dict[str, Any]:
    # No stored dataset's digest stands for images in memory, folds among them.
    content = None if dataset.folder is not None else _content_digest(split)
    return {"dataset": dataset.manifest.digest, "split": name, "content": content}


def _content_digest(split: Split) -> str:
    digest = hashlib.sha256(split.labels.tobytes())
    if isinstance(split.images, EncodedImages):
        digest.update(split.images.lengths.tobytes())
        for row in range(len(split)):
            digest.update(split.images[row])
    else:
        digest.update(str(split.images.shape).encode())
        digest.update(np.ascontiguousarray(split.images).data)
    return digest.hexdigest()


def _own_version() -> str:
    try:
        return version("study")
    except PackageNotFoundError:  # a copy of the code that is not installed
        return ""
