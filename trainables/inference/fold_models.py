"""The networks of a cross-validation as one model: the mean of their probabilities.

Each network was trained on all folds but one, so each image of train and validation has a network that has
not seen it. N images, K classes.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from trainables.datasets.dataset import Dataset
from trainables.datasets.folds import FoldedDataset
from trainables.devices.randomness import derived_seed
from trainables.inference.classifier import Classifier, ClassifierConfig, calibrated_together
from trainables.inference.ensemble import Ensemble
from trainables.recipe.tree import Recipe


def fold_recipe(recipe: Recipe, fold: int) -> Recipe:
    """The recipe of the network that holds out a fold: each has a seed of its own, so that their mean is one
    over seeds, too.
    """
    seed = recipe.seed if fold == 0 else derived_seed(recipe.seed, "fold", fold) % 2**32
    return dataclasses.replace(recipe, seed=seed)


def joined_weights(by_fold: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """State dicts of one architecture as one; `fold_ensemble` takes it apart."""
    return {
        f"{_prefix(fold)}{key}": tensor
        for fold, weights in enumerate(by_fold)
        for key, tensor in weights.items()
    }


def fold_ensemble(recipe: Recipe, folded: FoldedDataset, weights: Mapping[str, Tensor]) -> Ensemble:
    """The model that `weights` of `CrossValidation` are, calibrated if the recipe says so: its networks have
    one temperature, fitted to all images, each by the network that held it out.
    """
    members = [
        Classifier(
            dataclasses.replace(
                ClassifierConfig.of(fold_recipe(recipe, fold), folded.dataset.manifest),
                held_out_fold=fold,
                num_folds=folded.num_folds,
            ),
            _of_fold(weights, fold),
        )
        for fold in range(folded.num_folds)
    ]
    if recipe.evaluation.calibration != "temperature":
        return Ensemble(members)
    held_out = [folded.held_out(fold) for fold in range(folded.num_folds)]
    return Ensemble(calibrated_together(members, held_out))


def num_folds_of(classifier: Classifier | Ensemble) -> int | None:
    """How many folds its networks held out in turn; None where they all were trained on the train split."""
    return classifier.config.num_folds


def validation_of(
    classifier: Classifier | Ensemble, dataset: Dataset
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Class probabilities (N, K) and labels (N,) of images that did not train what gives them.

    Those are the images of the validation split; of the networks of a cross-validation all images of train
    and validation, each by the mean of the networks that held it out.
    """
    num_folds = num_folds_of(classifier)
    if num_folds is None:
        split = dataset.validation
        return classifier.probabilities_of_stored(split.images), np.array(split.labels)
    assert isinstance(classifier, Ensemble), "the networks of all folds are one model"
    folded = FoldedDataset.of(dataset, num_folds)
    by_fold, labels = [], []
    for fold in range(num_folds):
        split = folded.held_out(fold)
        by_fold.append(unaware_of(classifier, fold).probabilities_of_stored(split.images))
        labels.append(split.labels)
    return np.concatenate(by_fold), np.concatenate(labels)


def unaware_of(classifier: Ensemble, fold: int) -> Ensemble:
    """The networks that held a fold out, each as often as it counts."""
    chosen = [
        (member, times)
        for member, times in zip(classifier.members, classifier.times, strict=True)
        if member.config.held_out_fold == fold
    ]
    return Ensemble([member for member, _ in chosen], [times for _, times in chosen])


def groups_of_validation(classifier: Classifier | Ensemble, dataset: Dataset) -> NDArray[np.int64] | None:
    """The group (N,) of each image of `validation_of`; None where images have none."""
    num_folds = num_folds_of(classifier)
    if num_folds is None:
        groups = dataset.validation.groups
        return None if groups is None else np.array(groups)
    folded = FoldedDataset.of(dataset, num_folds)
    by_fold = [folded.held_out(fold).groups for fold in range(num_folds)]
    known = [groups for groups in by_fold if groups is not None]
    return np.concatenate(known) if known else None


def _of_fold(weights: Mapping[str, Tensor], fold: int) -> dict[str, Tensor]:
    prefix = _prefix(fold)
    return {key.removeprefix(prefix): tensor for key, tensor in weights.items() if key.startswith(prefix)}


def _prefix(fold: int) -> str:
    return f"fold-{fold:02d}."
