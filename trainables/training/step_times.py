"""What a step of a training takes on its device: a few steps, taken and timed."""

import statistics
import time
from dataclasses import replace

import torch

from trainables.datasets.dataset import Dataset
from trainables.datasets.split import Split
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.frozen_times import time_frozen
from trainables.training.loop import Training
from trainables.training.probe_result import StepTime

_TRIED_SIZES = (4, 16)
"""Images of the steps that are taken first; BatchNorm needs two."""
FEWEST_VALIDATED, MOST_VALIDATED = 16, 1024
"""Images on which a timed epoch validates; few of them fit into caches, and look faster than many."""
_NUM_EPOCHS, _STEPS_AN_EPOCH = 2, 2
_NUM_STEPS = _NUM_EPOCHS * _STEPS_AN_EPOCH
"""That are taken at least, those of the first epoch included."""
_LEARNING_RATE = 1e-9
"""No step shall lead anywhere, least of all to a loss that is no number."""


def time_steps(recipe: Recipe, dataset: Dataset, device: torch.device, seconds: float) -> StepTime:
    """Trains the whole network on a few images for about `seconds`, and times its steps and its validation;
    then, for as long, those of what is left of it behind frozen stages.

    Where a step of the recipe's batch would take long, smaller steps stand for it. What comes before the
    first measured step is left out. Weights are random, whatever the recipe says. Raises RecipeError where
    recipe and dataset do not fit, MemoryExhaustedError.
    """
    random = replace(recipe, model=replace(recipe.model, weights="none"))
    whole = _time_whole(random, dataset, device, seconds)
    frozen = time_frozen(random, dataset, device, num_images=whole.num_images, seconds=seconds)
    return replace(whole, frozen=frozen)


def _time_whole(recipe: Recipe, dataset: Dataset, device: torch.device, seconds: float) -> StepTime:
    """With as many images as time allows, by what two smaller steps took."""
    sizes = sorted({min(size, recipe.batch_size, len(dataset.train)) for size in _TRIED_SIZES})
    tried = [
        _timed(recipe, dataset, device, num_images=size, num_validated=FEWEST_VALIDATED, seconds=0.0)
        for size in sizes
    ]
    first, last = tried[0], tried[-1]
    of_image = max((last.seconds - first.seconds) / max(last.num_images - first.num_images, 1), 1e-9)
    fixed = min(max(first.seconds - of_image * first.num_images, 0.0), first.seconds)
    affordable = int((seconds / _NUM_STEPS - fixed) / of_image)
    num_images = min(affordable, recipe.batch_size, len(dataset.train))
    if num_images >= last.num_images:
        num_validated = min(int(seconds / 2 / _NUM_EPOCHS / last.evaluation_seconds), MOST_VALIDATED)
        last = _timed(
            recipe,
            dataset,
            device,
            num_images=num_images,
            num_validated=max(num_validated, FEWEST_VALIDATED),
            seconds=seconds,
        )
    return replace(last, fixed_seconds=_fixed(first, last))


def _fixed(first: StepTime, last: StepTime) -> float:
    """Of the larger of two steps, what does not grow with its images; all of it does where there is one."""
    if last.num_images == first.num_images:
        return 0.0
    of_image = (last.seconds - first.seconds) / (last.num_images - first.num_images)
    return min(max(last.seconds - of_image * last.num_images, 0.0), last.seconds)


def _timed(
    recipe: Recipe,
    dataset: Dataset,
    device: torch.device,
    *,
    num_images: int,
    num_validated: int,
    seconds: float,
) -> StepTime:
    """Steps of so many images for `seconds`, at least two after the first ones, in which libraries load and
    choose their ways.
    """
    few = _validating_on(dataset, num_validated)
    num_train = min(_STEPS_AN_EPOCH * num_images, len(dataset.train))
    begun = time.perf_counter()
    training = Training(_short(recipe, num_images, num_train), few, device=device)
    build_seconds = time.perf_counter() - begun
    steps, validations = [], []
    deadline = time.perf_counter() + seconds
    for epoch in training:
        if epoch.number > 1:
            steps.append(epoch.train_seconds / epoch.num_train_images * num_images)
            validations.append(epoch.validation_seconds / len(few.validation))
            if time.perf_counter() > deadline:
                break
    return StepTime(
        num_images=num_images,
        seconds=statistics.median(steps),
        evaluation_seconds=statistics.median(validations),
        build_seconds=build_seconds,
    )


def _short(recipe: Recipe, num_images: int, num_train: int) -> Recipe:
    phase = Phase(epochs=100_000, learning_rate=_LEARNING_RATE, schedule="constant")
    return replace(
        recipe,
        phases=(phase,),
        batch_size=num_images,
        patience=None,
        data=replace(recipe.data, train_images=num_train, epoch_images=None),
        evaluation=replace(recipe.evaluation, views="one", dropout_samples=0),
    )


def _validating_on(dataset: Dataset, num_images: int) -> Dataset:
    validation = dataset.validation
    return replace(
        dataset,
        validation=Split(images=validation.images[:num_images], labels=validation.labels[:num_images]),
    )
