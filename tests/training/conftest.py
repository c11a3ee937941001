"""Small datasets in memory: a class can be told by where its images are bright."""

from collections.abc import Callable

import numpy as np
import pytest
import torch

from trainables.datasets.dataset import Dataset
from trainables.datasets.manifest import Findings, Manifest
from trainables.datasets.split import Split

MakeDataset = Callable[..., Dataset]


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def make_dataset() -> MakeDataset:
    """A function of size, channels and counts to a dataset with three classes."""
    return _make_dataset


def _make_dataset(
    *,
    height: int = 8,
    width: int = 8,
    channels: int = 1,
    num_train: int = 50,
    num_validation: int = 30,
    permute_seed: int | None = None,
) -> Dataset:
    generator = np.random.default_rng(0)
    train = _split(generator, num_train, height, width, channels)
    pixels = train.images / 255
    manifest = Manifest(
        name="corners",
        digest="0" * 64,
        classes=("left", "middle", "right"),
        height=height,
        width=width,
        channels=channels,
        pixel_mean=tuple(pixels.mean((0, 1, 2)).tolist()),
        pixel_std=tuple(pixels.std((0, 1, 2)).tolist()),
        splits={},
        findings=Findings(
            num_duplicates_within={}, num_duplicates_across={}, num_label_conflicts=0, skipped={}
        ),
        options={"permute_seed": permute_seed},
        source="made up",
        licence=None,
        added="2026-11-21T00:00:00Z",
    )
    return Dataset(
        manifest=manifest, train=train, validation=_split(generator, num_validation, height, width, channels)
    )


def _split(generator: np.random.Generator, num_images: int, height: int, width: int, channels: int) -> Split:
    labels = generator.integers(0, 3, num_images)
    images = generator.integers(0, 120, (num_images, height, width, channels), dtype=np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[:, label * width // 3 : (label + 1) * width // 3] += 120
    images.setflags(write=False)
    return Split(images=images, labels=labels.astype(np.int64))
