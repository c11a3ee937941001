"""Measuring what trials take of a GPU, on the cluster's GPUs, before any trial starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray

from cluster.nodes import kind_resource
from study.execution.peak_memory import heaviest_phase
from trainables.recipe.tree import Recipe
from trainables.training.probe_result import DeviceMemory, Probe

SILENCE_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Probed:
    """What was measured on one GPU."""

    probes: tuple[Probe, ...]
    """In the order of the recipes."""
    memory: DeviceMemory | None
    """None where torch sees no GPU, though Ray counts one."""


def probe_on_gpus(
    recipes: Sequence[Recipe],
    dataset_folder: Path,
    num_folds: int | None,
    cpus: int,
    kinds: Sequence[str | None],
    say: Callable[[str], object],
) -> tuple[Probed, ...]:
    """Measures recipes on one whole GPU of each kind, side by side, once these are free; with folds, the
    networks of all folds together.

    Raises RayError, with the reason, where that fails.
    """
    task = ray.remote(_probe)  # a process of its own, which leaves the GPU empty
    running = [
        task.options(num_cpus=cpus, num_gpus=1, max_retries=1, resources=kind_resource(kind)).remote(
            recipes, dataset_folder, num_folds, cpus
        )
        for kind in kinds
    ]
    unready = running
    try:
        while unready := ray.wait(running, num_returns=len(running), timeout=SILENCE_SECONDS)[1]:
            say("still measuring, or waiting until a GPU is free")
        probed: tuple[Probed, ...] = tuple(ray.get(running))
        return probed
    finally:
        # Not those that have ended: Ray, which may not have noted it yet, would end this process.
        for one in unready:
            ray.cancel(one, force=True)


def _probe(recipes: Sequence[Recipe], dataset_folder: Path, num_folds: int | None, cpus: int) -> Probed:
    import torch  # which the driver, where this function is only named, goes without

    from study.execution.trial_device import trial_device
    from trainables.datasets.dataset import Dataset
    from trainables.datasets.folds import FoldedDataset
    from trainables.devices.threads import use_threads
    from trainables.training.resource_probe import probe

    use_threads(cpus)
    device = trial_device()
    dataset = Dataset.open(dataset_folder)
    if num_folds is not None:
        dataset = FoldedDataset.of(dataset, num_folds).datasets[0]
    if device.type == "cpu":
        return Probed(probes=(), memory=None)
    torch.cuda.set_device(device)
    probes = tuple(
        probe(recipe, heaviest_phase(recipe), dataset, device, num_networks=num_folds or 1)
        for recipe in recipes
    )
    return Probed(
        probes=probes, memory=DeviceMemory.of(device)
    )  # read last, as libraries load with the first steps
