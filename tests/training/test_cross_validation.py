"""A recipe trained once for each fold: one training to those who iterate, resume and keep weights."""

import dataclasses
from statistics import fmean, stdev

import numpy as np
import pytest
import torch
from epochs import in_parts, timeless
from sklearn.metrics import confusion_matrix

from trainables.datasets.dataset import Dataset
from trainables.datasets.folds import FoldedDataset, images_at
from trainables.errors import DivergedError, RecipeError
from trainables.inference.ensemble import Ensemble, load_classifier
from trainables.inference.fold_models import fold_ensemble, fold_recipe, validation_of
from trainables.metrics.classification import METRICS
from trainables.metrics.from_logits import metrics_of
from trainables.recipe.data import Data
from trainables.recipe.evaluation import Evaluation
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.cross_validation import CrossValidation
from trainables.training.epoch import Epoch
from trainables.training.loop import Training

CPU = torch.device("cpu")
RECIPE = Recipe(
    data=Data(image_size=8),
    model=Model(architecture="cnn2-32x64", dropout=0.3),
    phases=(Phase(epochs=2, learning_rate=1e-3, freeze_depth=1), Phase(epochs=3, learning_rate=3e-3)),
    batch_size=16,
)


@pytest.fixture(scope="module")
def dataset(make_dataset) -> Dataset:
    """Every fifth label is wrong, so that networks differ and none is perfect."""
    right = make_dataset()
    splits = [
        dataclasses.replace(split, labels=np.where(np.arange(len(split)) % 5, split.labels, 0))
        for split in (right.train, right.validation)
    ]
    return dataclasses.replace(right, train=splits[0], validation=splits[1])


@pytest.fixture(scope="module")
def folded(dataset) -> FoldedDataset:
    return FoldedDataset.of(dataset, 3)


@pytest.fixture(scope="module")
def impatient(folded) -> Recipe:
    """A recipe under which some folds end before others."""
    for seed in range(20):
        recipe = dataclasses.replace(
            RECIPE, patience=3, seed=seed, phases=(Phase(epochs=8, learning_rate=3e-3),)
        )
        if len(set(lengths(recipe, folded))) > 1:
            return recipe
    raise AssertionError("the folds of all seeds end together")


def lengths(recipe: Recipe, folded: FoldedDataset) -> list[int]:
    """How many epochs each fold takes."""
    trainings = [
        Training(fold_recipe(recipe, fold), part, device=CPU) for fold, part in enumerate(folded.datasets)
    ]
    return [len(list(training)) for training in trainings]


def test_an_epoch_is_the_mean_over_folds(folded):
    epochs = list(CrossValidation(RECIPE, folded, device=CPU))
    of_folds = [
        list(Training(fold_recipe(RECIPE, fold), part, device=CPU))
        for fold, part in enumerate(folded.datasets)
    ]
    assert [(epoch.number, epoch.phase) for epoch in epochs] == [(1, 1), (2, 1), (3, 2), (4, 2), (5, 2)]
    for epoch, one, two, three in zip(epochs, *of_folds, strict=True):
        parts = (one, two, three)
        for name in METRICS:
            values = [getattr(part.metrics, name) for part in parts]
            assert getattr(epoch.metrics, name) == pytest.approx(fmean(values))
            assert epoch.deviations[name] == pytest.approx(stdev(values))
        assert epoch.train_loss == pytest.approx(fmean(part.train_loss for part in parts))
        assert epoch.metrics.num_images == 80, "every image is held out once"
        assert epoch.num_train_images == sum(part.num_train_images for part in parts)
        assert epoch.train_seconds > 0
        assert sum(epoch.spans.values()) > 0.99 * (epoch.train_seconds + epoch.validation_seconds)
    assert Epoch.from_dict(epochs[-1].to_dict()) == epochs[-1]


@pytest.mark.parametrize("num_before", [1, 2, 4])
def test_continues_bit_for_bit_after_load(folded, tmp_path, num_before):
    check_that_it_continues(RECIPE, folded, tmp_path, num_before)


def test_continues_bit_for_bit_where_some_folds_have_ended(folded, impatient, tmp_path):
    check_that_it_continues(impatient, folded, tmp_path, min(lengths(impatient, folded)))


def check_that_it_continues(recipe, folded, tmp_path, num_before):
    whole = CrossValidation(recipe, folded, device=CPU)
    expected = list(whole)
    interrupted = CrossValidation(recipe, folded, device=CPU)
    for epoch in interrupted:
        if epoch.number == num_before:
            interrupted.save(tmp_path)
            break
    resumed = CrossValidation(recipe, folded, device=CPU)
    resumed.load(tmp_path)
    assert resumed.num_epochs_done == num_before
    np.testing.assert_array_equal(resumed.inspection().confusion_KK, interrupted.inspection().confusion_KK)
    assert timeless(list(resumed)) == timeless(expected[num_before:])
    assert all(torch.equal(tensor, resumed.weights()[key]) for key, tensor in whole.weights().items())
    assert [path.name for path in tmp_path.iterdir()] == ["folds.pt"], "one file, whole or not at all"


def test_within_epochs_too_it_continues_bit_for_bit(folded, impatient, tmp_path):
    whole = list(CrossValidation(impatient, folded, device=CPU))
    epochs, num_pauses = in_parts(
        lambda: CrossValidation(impatient, folded, device=CPU), tmp_path, saved_every=1
    )
    assert num_pauses > 3 * len(whole), "within folds, and between them"
    assert timeless(epochs) == timeless(whole)


def test_a_fold_that_has_ended_waits_for_the_others(folded, impatient):
    training = CrossValidation(impatient, folded, device=CPU)
    epochs = list(training)
    assert len(epochs) == training.num_epochs_done == max(lengths(impatient, folded))
    assert epochs[-1].metrics.num_images == 80
    assert epochs[-1].num_train_images < epochs[0].num_train_images, "ended folds train no more"


def test_another_number_of_folds_or_recipe_is_refused(folded, dataset, tmp_path):
    CrossValidation(RECIPE, folded, device=CPU).save(tmp_path)
    for recipe, other in (
        (dataclasses.replace(RECIPE, seed=1), folded),
        (RECIPE, FoldedDataset.of(dataset, 4)),
        (RECIPE, FoldedDataset.of(dataset, 2)),
    ):
        with pytest.raises(RecipeError, match="holds another"):
            CrossValidation(recipe, other, device=CPU).load(tmp_path)
    with pytest.raises(FileNotFoundError):
        CrossValidation(RECIPE, folded, device=CPU).load(tmp_path / "elsewhere")


def test_the_inspection_is_of_every_image_by_the_network_that_has_not_seen_it(folded):
    training = CrossValidation(RECIPE, folded, device=CPU)
    *_, last = training
    inspection = training.inspection()
    assert inspection.confusion_KK.tolist() == [list(row) for row in last.metrics.confusion]
    shown = images_at(folded.dataset, inspection.image_M)
    np.testing.assert_array_equal(shown.labels, inspection.true_M)


@pytest.mark.parametrize("calibration", ["none", "temperature"])
def test_the_weights_are_an_ensemble_whose_held_out_metrics_are_those_of_the_epoch(
    folded, tmp_path, calibration
):
    recipe = dataclasses.replace(RECIPE, evaluation=Evaluation(calibration=calibration))
    training = CrossValidation(recipe, folded, device=CPU)
    *_, last = training
    model = fold_ensemble(recipe, folded, training.weights())
    assert training.num_parameters == sum(
        tensor.numel() for member in model.members for tensor in member.module.parameters()
    )
    assert training.latency_seconds() > 0
    model.save(tmp_path)
    loaded = load_classifier(tmp_path)
    assert isinstance(loaded, Ensemble)
    assert [member.config.held_out_fold for member in loaded.members] == [0, 1, 2]
    assert len({member.config.recipe.seed for member in loaded.members}) == 3
    probabilities_NK, labels_N = validation_of(loaded, folded.dataset)
    assert len(labels_N) == 80
    assert confusion_matrix(labels_N, probabilities_NK.argmax(1)).tolist() == [
        list(row) for row in last.metrics.confusion
    ]
    of_folds = []
    for fold, member in enumerate(loaded.members):
        split = folded.held_out(fold)
        of_folds.append(metrics_of(member.probabilities_of_stored(split.images), np.array(split.labels)))
    assert fmean(one.macro_f1 for one in of_folds) == pytest.approx(last.metrics.macro_f1)
    (temperature,) = {member.config.temperature for member in loaded.members}
    assert (temperature != 1) == (calibration == "temperature"), "fitted once, to all images together"
    # The mean of all three has seen every image: its figures would flatter.
    whole = images_at(folded.dataset, np.arange(80))
    seen = metrics_of(loaded.probabilities_of_stored(whole.images), np.array(whole.labels))
    assert seen.log_loss < last.metrics.log_loss


def test_a_fold_that_diverges_is_named(folded):
    recipe = dataclasses.replace(RECIPE, phases=(Phase(epochs=3, learning_rate=1e30),))
    with pytest.raises(DivergedError, match=r"in fold 1 of 3, the .* loss became"):
        list(CrossValidation(recipe, folded, device=CPU))


def test_micro_batches_are_those_of_a_training(folded):
    assert CrossValidation(RECIPE, folded, device=CPU).micro_batch == 16
    assert CrossValidation(RECIPE, folded, device=CPU, micro_batch=4).micro_batch == 4
