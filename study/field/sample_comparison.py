"""Two samples of images as a model sees them, compared in several respects at one level."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from study.evaluation.paired_tests import holm_rejected
from study.field.appearance import MEASURES, appearance
from study.field.two_samples import between_features, between_shares, between_values, p_values
from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble, members_of
from trainables.inference.features import features_of_stored

# N images, M images of both samples, D features, K classes, H height, W width, C channels

FEATURES, CLASSES = "what the network sees", "predicted classes"
NEIGHBOURS = 5
_TIE_BREAK, _LEAST_DEVIATION = 1e-6, 1e-3


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Images in numbers."""

    measures: dict[str, NDArray[np.float64]]
    """(N,) each, by the names of `study.field.appearance.MEASURES`."""
    features_ND: NDArray[np.float32]
    """Of length 1 each; of an ensemble, of its first network."""
    probabilities_NK: NDArray[np.float32]

    def rows(self, rows: NDArray[np.int64]) -> "Sample":
        """Some of the images."""
        return Sample(
            measures={name: values_N[rows] for name, values_N in self.measures.items()},
            features_ND=self.features_ND[rows],
            probabilities_NK=self.probabilities_NK[rows],
        )

    def __len__(self) -> int:
        return len(self.features_ND)


@dataclass(frozen=True, kw_only=True)
class DriftPart:
    """One respect in which images are compared."""

    name: str
    known: float | None
    """The mean of the known images; None for what is no number."""
    new: float | None
    distance: float
    """Of the two samples, 0 where they are alike (`study.field.two_samples`)."""
    p_value: float
    is_beyond_chance: bool
    """Whether the samples differ in this, at the level of all parts together (Holm)."""


def describe(model: Classifier | Ensemble, pixels_NHWC: NDArray[np.uint8]) -> Sample:
    """The sample of images that a model takes, as the dataset stores them."""
    return Sample(
        measures=appearance(pixels_NHWC),
        features_ND=features_of_stored(members_of(model)[0], pixels_NHWC),
        probabilities_NK=model.probabilities_of_stored(pixels_NHWC),
    )


def compare(
    known: Sample, new: Sample, level: float, unit_M: NDArray[np.int64] | None = None
) -> tuple[DriftPart, ...]:
    """The parts: brightness, contrast, sharpness, what the network sees, predicted classes.

    `unit_M` numbers the groups of the known and then of the new images; without it each image is for itself.
    Where all units come from one source, any part is beyond chance with probability `level` at most.
    """
    is_new_M = np.arange(len(known) + len(new)) >= len(known)
    values = {name: np.concatenate([known.measures[name], new.measures[name]]) for name in MEASURES}
    classes_M = np.concatenate([known.probabilities_NK, new.probabilities_NK]).argmax(1)
    found = p_values(
        {
            **{name: between_values(values_M) for name, values_M in values.items()},
            FEATURES: between_features(np.concatenate([known.features_ND, new.features_ND])),
            CLASSES: between_shares(classes_M, known.probabilities_NK.shape[1]),
        },
        is_new_M,
        unit_M,
    )
    rejected = holm_rejected([p_value for _, p_value in found.values()], level)
    return tuple(
        DriftPart(
            name=name,
            known=float(known.measures[name].mean()) if name in known.measures else None,
            new=float(new.measures[name].mean()) if name in new.measures else None,
            distance=distance,
            p_value=p_value,
            is_beyond_chance=is_rejected,
        )
        for (name, (distance, p_value)), is_rejected in zip(found.items(), rejected, strict=True)
    )


def strangeness(known: Sample, new: Sample) -> NDArray[np.float64]:
    """Of each new image (N,): the share of known images that lie nearer to the others of them, in what the
    network sees or in how they look, whichever is more; above 1 by next to nothing for images that lie beyond
    all known ones, the more the farther.

    Near is the distance to the fifth nearest known image (deep nearest neighbours, arXiv:2204.06507). A
    network may take noise for something common, so the looks count, too.
    """
    looks = [np.stack([one.measures[name] for name in MEASURES], 1) for one in (known, new)]
    deviation_3 = np.maximum(looks[0].std(0), _LEAST_DEVIATION)
    return np.maximum(
        _outlying(known.features_ND, new.features_ND),
        _outlying(looks[0] / deviation_3, looks[1] / deviation_3),
    )


def _outlying(known_ND: NDArray[np.floating], new_ND: NDArray[np.floating]) -> NDArray[np.float64]:
    nearest = min(NEIGHBOURS, len(known_ND) - 1)
    among_NN = _distances(known_ND, known_ND)
    np.fill_diagonal(among_NN, np.inf)
    known_N = np.sort(np.partition(among_NN, nearest - 1, axis=1)[:, nearest - 1])
    new_N = np.partition(_distances(new_ND, known_ND), nearest - 1, axis=1)[:, nearest - 1]
    shares_N: NDArray[np.float64] = np.searchsorted(known_N, new_N, side="left") / len(known_N)
    return shares_N + np.where(shares_N == 1, _TIE_BREAK * new_N / max(known_N[-1], 1e-12), 0)


def _distances(one_ND: NDArray[np.floating], other_ND: NDArray[np.floating]) -> NDArray[np.float64]:
    one_ND, other_ND = one_ND.astype(np.float64), other_ND.astype(np.float64)
    squares_NN = np.square(one_ND).sum(1)[:, None] + np.square(other_ND).sum(1) - 2 * one_ND @ other_ND.T
    distances_NN: NDArray[np.float64] = np.sqrt(np.maximum(squares_NN, 0))
    return distances_NN
