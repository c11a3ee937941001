"""A registered version in memory, ready to answer."""

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study.home import Home
from study.registry.predictions import opened
from study.registry.versions import Version
from trainables.inference.classifier import Classifier, ClassifierConfig
from trainables.inference.ensemble import Ensemble
from trainables.inference.frozen import frozen

# N images, H height, W width, C channels, K classes

WARMING_SECONDS = 2.0
"""After which no larger batch is tried."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LoadedVersion:
    """A version and its classifier; two that were loaded are two."""

    version: Version
    classifier: Classifier | Ensemble

    @property
    def config(self) -> ClassifierConfig:
        """How images become what the network sees, and the classes in order."""
        return self.classifier.config

    def probabilities(self, images_NHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class probabilities (N, K) of images as the dataset stores them; one thread at a time."""
        return self.classifier.probabilities_of_stored(images_NHWC)

    def warm(self, images_per_batch: int) -> None:
        """Lets the network answer batches of 1, 2, 4, ... images: the first ones of a size take longest."""
        pixels, start = self.config.preprocessing, time.monotonic()
        size = 1
        while size < 2 * images_per_batch and time.monotonic() - start < WARMING_SECONDS:
            num_images = min(size, images_per_batch)
            self.probabilities(np.zeros((num_images, pixels.height, pixels.width, pixels.channels), np.uint8))
            size *= 2


def load_version(home: Home, wanted: str, *, images_per_batch: int) -> LoadedVersion:
    """The version that a person means, warmed up. No code that lies with it is run.

    Raises what `study.registry.predictions.opened` raises.
    """
    with opened(home, wanted) as (version, classifier):
        loaded = LoadedVersion(version=version, classifier=frozen(classifier))
    loaded.warm(images_per_batch)
    return loaded
