"""Measuring what trials take of a GPU, on the cluster's GPUs, before any trial starts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ray
import torch

from study.execution.peak_memory import heaviest_phase
from study.execution.trial_device import trial_device
from trainables.datasets.dataset import Dataset
from trainables.devices.threads import use_threads
from trainables.recipe.tree import Recipe
from trainables.training.resource_probe import DeviceMemory, Probe, probe

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
    cpus: int,
    kinds: Sequence[str | None],
    say: Callable[[str], object],
) -> tuple[Probed, ...]:
    """Measures recipes on one whole GPU of each kind, side by side, once these are free.

    Raises RayError, with the reason, where that fails.
    """
    task = ray.remote(_probe).options(
        num_cpus=cpus, num_gpus=1, max_retries=1
    )  # a process of its own, which leaves the GPU empty
    running = [
        task.options(accelerator_type=kind).remote(recipes, dataset_folder, cpus)
        if kind
        else task.remote(recipes, dataset_folder, cpus)
        for kind in kinds
    ]
    try:
        while ray.wait(running, num_returns=len(running), timeout=SILENCE_SECONDS)[1]:
            say("still measuring, or waiting until a GPU is free")
        probed: tuple[Probed, ...] = tuple(ray.get(running))
        return probed
    finally:
        for one in running:
            ray.cancel(one, force=True)


def _probe(recipes: Sequence[Recipe], dataset_folder: Path, cpus: int) -> Probed:
    use_threads(cpus)
    device = trial_device()
    dataset = Dataset.open(dataset_folder)
    if device.type == "cpu":
        return Probed(probes=(), memory=None)
    torch.cuda.set_device(device)
    probes = tuple(probe(recipe, heaviest_phase(recipe), dataset, device) for recipe in recipes)
    return Probed(
        probes=probes, memory=DeviceMemory.of(device)
    )  # read last, as libraries load with the first steps
