"""What a training takes of its device: its first steps, taken and measured."""

import gc
from dataclasses import replace

import torch

from trainables.datasets.dataset import Dataset
from trainables.datasets.split import Split
from trainables.devices.memory import room_for_images
from trainables.errors import MemoryExhaustedError
from trainables.inference.logits import evaluation_batch_size
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training, num_image_bytes
from trainables.training.probe_result import DeviceMemory, Probe
from trainables.transforms.preprocessing import Preprocessing

NUM_STEPS = 4
"""Of an epoch that is measured: the second, after one in which libraries load and choose their ways."""
_LEARNING_RATE = 1e-9
"""No step of a probe shall lead anywhere, least of all to a loss that is no number."""


def probe(
    recipe: Recipe, phase: Phase, dataset: Dataset, device: torch.device, *, num_networks: int = 1
) -> Probe:
    """Takes some steps of a phase of a recipe and validates as often as it takes to fill the device: some
    seconds.

    `num_networks` are trained in turn, with the memory of all taken at once, as those of a cross-validation
    are. Weights are random, whatever the recipe says. Raises RecipeError where recipe and dataset do not fit.
    """
    memory = DeviceMemory.of(device)
    if memory is not None:
        gc.collect()  # of what was probed before
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    short, few = _shortened(recipe, phase, dataset), _few(recipe, dataset, device)
    is_streamed = num_networks * num_image_bytes(recipe, dataset) > room_for_images(device)
    try:
        # The others hold what they hold between two epochs while the last one is measured.
        waiting = [
            Training(short, few, device=device, is_streamed=is_streamed, reuses_features=False)
            for _ in range(num_networks - 1)
        ]
        for training in waiting:
            next(iter(training))
        _, epoch = Training(short, few, device=device, is_streamed=is_streamed, reuses_features=False)
    except MemoryExhaustedError:
        if memory is None:
            raise
        return Probe(peak_bytes=memory.total, images_per_second=None, is_streamed=is_streamed)
    if memory is None:
        peak = None
    elif is_streamed:
        peak = torch.cuda.max_memory_reserved(device)
    else:
        peak = _peak(torch.cuda.max_memory_reserved(device), recipe, dataset, short, few, num_networks)
    return Probe(
        peak_bytes=peak,
        images_per_second=epoch.num_train_images / epoch.train_seconds,
        is_streamed=is_streamed,
    )


def _shortened(recipe: Recipe, phase: Phase, dataset: Dataset) -> Recipe:
    most = min(len(dataset.train), recipe.data.train_images or len(dataset.train))
    return replace(
        recipe,
        phases=(replace(phase, epochs=2, learning_rate=_LEARNING_RATE),),
        data=replace(recipe.data, train_images=min(NUM_STEPS * recipe.batch_size, most)),
        model=replace(recipe.model, weights="none"),
    )


def _few(recipe: Recipe, dataset: Dataset, device: torch.device) -> Dataset:
    num_images = evaluation_batch_size(Preprocessing.of(recipe, dataset.manifest), device)
    validation = dataset.validation
    return replace(
        dataset,
        validation=Split(images=validation.images[:num_images], labels=validation.labels[:num_images]),
    )


def _peak(
    reserved: int, recipe: Recipe, dataset: Dataset, short: Recipe, few: Dataset, num_networks: int
) -> int:
    """What was measured, plus the images that were left out; where images are shrunk, at least all of them
    twice.
    """
    preprocessing = Preprocessing.of(recipe, dataset.manifest)
    num_train = recipe.data.train_images or len(dataset.train)
    left_out = num_train - (short.data.train_images or 0) + len(dataset.validation) - len(few.validation)
    shrinking = (
        (num_networks + 1) * num_train * preprocessing.resident_bytes if preprocessing.is_shrunk else 0
    )
    return max(reserved + num_networks * left_out * preprocessing.resident_bytes, shrinking)
