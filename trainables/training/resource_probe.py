"""What a training takes of its device: its first steps, taken and measured."""

import gc
from dataclasses import dataclass, replace

import torch

from trainables.datasets.dataset import Dataset
from trainables.datasets.split import Split
from trainables.errors import MemoryExhaustedError
from trainables.inference.logits import evaluation_batch_size
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training
from trainables.transforms.preprocessing import Preprocessing

NUM_STEPS = 4
"""Of an epoch that is measured: the second, after one in which libraries load and choose their ways."""
_LEARNING_RATE = 1e-9
"""No step of a probe shall lead anywhere, least of all to a loss that is no number."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What one configuration takes; plain numbers."""

    peak_bytes: int | None
    """Most of a GPU's memory that its tensors took in training and validating, with all of its images there;
    all that the GPU has where that is too little; None on a CPU."""
    images_per_second: float | None
    """In training, alone on its device; None where memory was too little."""


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """A GPU's memory in bytes."""

    total: int
    overhead: int
    """What is taken of it besides the tensors of this process: by its context, libraries, and by others."""

    @classmethod
    def of(cls, device: torch.device) -> "DeviceMemory | None":
        """As it is now; None for a CPU."""
        if device.type != "cuda":
            return None
        free, total = torch.cuda.mem_get_info(device)
        return cls(total=total, overhead=total - free - torch.cuda.memory_reserved(device))


def probe(recipe: Recipe, phase: Phase, dataset: Dataset, device: torch.device) -> Probe:
    """Takes some steps of a phase of a recipe and validates as often as it takes to fill the device: some
    seconds.

    Weights are random, whatever the recipe says. Raises RecipeError where recipe and dataset do not fit.
    """
    memory = DeviceMemory.of(device)
    if memory is not None:
        gc.collect()  # of what was probed before
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    short, few = _shortened(recipe, phase, dataset), _few(recipe, dataset, device)
    try:
        _, epoch = Training(short, few, device=device)
    except MemoryExhaustedError:
        if memory is None:
            raise
        return Probe(peak_bytes=memory.total, images_per_second=None)
    peak = (
        None if memory is None else _peak(torch.cuda.max_memory_reserved(device), recipe, dataset, short, few)
    )
    return Probe(peak_bytes=peak, images_per_second=epoch.num_train_images / epoch.train_seconds)


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


def _peak(reserved: int, recipe: Recipe, dataset: Dataset, short: Recipe, few: Dataset) -> int:
    """What was measured, plus the images that were left out; where images are shrunk, at least all of them
    twice.
    """
    preprocessing = Preprocessing.of(recipe, dataset.manifest)
    num_train = recipe.data.train_images or len(dataset.train)
    left_out = num_train - (short.data.train_images or 0) + len(dataset.validation) - len(few.validation)
    shrinking = 2 * num_train * preprocessing.resident_bytes if preprocessing.is_shrunk else 0
    return max(reserved + left_out * preprocessing.resident_bytes, shrinking)
