"""Several trained models as one: the mean of their probabilities."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.split import StoredImages
from trainables.inference.classifier import Classifier, ClassifierConfig

# N images, H height, W width, C channels, K classes


TIMES_FILE = "times.json"


class Ensemble:
    """Gives images the mean of its members' class probabilities (arXiv:1612.01474).

    Not for several threads at once.
    """

    def __init__(self, members: Sequence[Classifier], times: Sequence[int] | None = None) -> None:
        """`members` know the same classes in the same order, of the same dataset, whose images all of them
        take in one size. `times` says how often each counts in the mean; once, unless given.
        """
        assert members, "an ensemble has members"
        self.members = tuple(members)
        self.times = (1,) * len(self.members) if times is None else tuple(times)
        assert len(self.times) == len(self.members), "each member counts so often"

    @property
    def config(self) -> ClassifierConfig:
        """Of the first member; that of another one may have another recipe, for the same images."""
        return self.members[0].config

    def with_members(self, members: Sequence[Classifier]) -> "Ensemble":
        """The same mean of others in their place, such as faster ones."""
        return Ensemble(members, self.times)

    def probabilities(
        self, images: NDArray[np.uint8] | Sequence[NDArray[np.uint8] | bytes]
    ) -> NDArray[np.float32]:
        """Class probabilities (N, K), as `Classifier.probabilities` has them."""
        return self._mean([member.probabilities(images) for member in self.members])

    def probabilities_of_stored(self, images: StoredImages) -> NDArray[np.float32]:
        """Class probabilities (N, K) of images as the dataset stores them."""
        return self._mean([member.probabilities_of_stored(images) for member in self.members])

    def save(self, folder: Path) -> None:
        """Writes each member into a folder of its own."""
        for number, member in enumerate(self.members):
            member.save(folder / f"member-{number:02d}")
        if set(self.times) != {1}:
            (folder / TIMES_FILE).write_text(json.dumps(self.times) + "\n", encoding="utf-8")

    def _mean(self, probabilities: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        mean_NK = np.average(np.stack(probabilities).astype(np.float64), axis=0, weights=self.times)
        as_probabilities_NK: NDArray[np.float32] = mean_NK.astype(np.float32)
        return as_probabilities_NK


def members_of(classifier: Classifier | Ensemble) -> tuple[Classifier, ...]:
    """The networks of a model: those of an ensemble, or the one that it is."""
    return classifier.members if isinstance(classifier, Ensemble) else (classifier,)


def load_classifier(folder: Path) -> Classifier | Ensemble:
    """The classifier or the ensemble that `save` wrote into `folder`.

    Raises FileNotFoundError where there is neither.
    """
    members, counted = sorted(folder.glob("member-*")), folder / TIMES_FILE
    if not members:
        return Classifier.load(folder)
    times = json.loads(counted.read_text(encoding="utf-8")) if counted.exists() else None
    return Ensemble([Classifier.load(member) for member in members], times)
