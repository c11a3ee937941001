"""Several trained models as one: the mean of their probabilities."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.split import StoredImages
from trainables.inference.classifier import Classifier, ClassifierConfig

# N images, H height, W width, C channels, K classes


class Ensemble:
    """Gives images the mean of its members' class probabilities (arXiv:1612.01474).

    Not for several threads at once.
    """

    def __init__(self, members: Sequence[Classifier]) -> None:
        """`members` know the same classes in the same order, of the same dataset."""
        assert members, "an ensemble has members"
        self.members = tuple(members)

    @property
    def config(self) -> ClassifierConfig:
        """Of the first member: all were trained by one recipe, but for its seed."""
        return self.members[0].config

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

    def _mean(self, probabilities: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        mean_NK: NDArray[np.float32] = np.stack(probabilities).mean(0, dtype=np.float64).astype(np.float32)
        return mean_NK


def members_of(classifier: Classifier | Ensemble) -> tuple[Classifier, ...]:
    """The networks of a model: those of an ensemble, or the one that it is."""
    return classifier.members if isinstance(classifier, Ensemble) else (classifier,)


def load_classifier(folder: Path) -> Classifier | Ensemble:
    """The classifier or the ensemble that `save` wrote into `folder`.

    Raises FileNotFoundError where there is neither.
    """
    members = sorted(folder.glob("member-*"))
    return Ensemble([Classifier.load(member) for member in members]) if members else Classifier.load(folder)
