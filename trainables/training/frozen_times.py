"""What a step takes behind frozen layers whose output is there: a few steps on made-up features, timed."""

import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from trainables.datasets.dataset import Dataset
from trainables.devices.device import autocast, deterministic
from trainables.feature_cache.frozen_prefix import FrozenPrefix, PrefixCost
from trainables.models.building import build_model
from trainables.models.network import Network
from trainables.recipe.optimizer import Optimizer
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.probe_result import FrozenTime
from trainables.training.torch_optimizers import build_optimizer
from trainables.transforms.preprocessing import Preprocessing

# B batch, C channels, S side of the images

_LEARNING_RATE = 1e-9
"""No step shall lead anywhere."""


def time_frozen(
    recipe: Recipe, dataset: Dataset, device: torch.device, *, num_images: int, seconds: float
) -> tuple[FrozenTime, ...]:
    """Steps of so many images with 1, 2, ... stages frozen, for about `seconds` altogether, the first depth
    at any rate; a depth at which the network cannot be cut is left out.

    The recipe must fit the dataset. Weights are random.
    """
    manifest = dataset.manifest
    network = build_model(
        recipe.model,
        num_classes=manifest.num_classes,
        channels=manifest.channels,
        image_size=recipe.data.image_size,
        seed=recipe.seed,
        normalisation=recipe.data.normalisation,
    )
    network.module.to(device).to(memory_format=torch.channels_last)
    preprocessing, side = Preprocessing.of(recipe, manifest), recipe.data.image_size
    slope = torch.linspace(0, 1, preprocessing.channels * side * side, device=device)
    image_1CSS = preprocessing.normalised(slope.view(1, -1, side, side))
    deadline = time.perf_counter() + seconds
    found: list[FrozenTime] = []
    # The deepest first: its steps are the quickest.
    for depth in range(len(network.stages), 0, -1):
        phase = Phase(epochs=1, learning_rate=_LEARNING_RATE, freeze_depth=depth)
        one = _timed(network, phase, recipe, image_1CSS, num_images)
        found += [] if one is None else [one]
        if time.perf_counter() > deadline:
            break
    return tuple(reversed(found))


def _timed(
    network: Network, phase: Phase, recipe: Recipe, image_1CSS: Tensor, num_images: int
) -> FrozenTime | None:
    _set_up(network, phase, recipe)
    prefix = FrozenPrefix.of(network)
    cost = None if prefix is None else PrefixCost.of(prefix, network.module, image_1CSS)
    if prefix is None or cost is None:
        return None
    device = image_1CSS.device
    suffix = prefix.suffix(network.module)
    with torch.no_grad(), autocast(device):
        features_BX = prefix.prefix(network.module)(image_1CSS.expand(num_images, -1, -1, -1).contiguous())
    if features_BX.ndim == 4:  # as kept ones come
        features_BX = features_BX.contiguous(memory_format=torch.channels_last)
    with torch.no_grad(), autocast(device), deterministic(device):
        evaluation_seconds = _median_seconds(lambda: suffix(features_BX), device) / num_images
    _set_up(network, phase, recipe)
    few = max(num_images // 4, 2)
    small, large = (
        _median_seconds(_step(network, suffix, features_BX[:num], recipe.optimizer, phase), device)
        for num in (few, num_images)
    )
    of_image = max(large - small, 0.0) / max(num_images - few, 1)
    return FrozenTime(
        freeze_depth=phase.freeze_depth,
        seconds=large,
        fixed_seconds=max(large - of_image * num_images, 0.0) if num_images > few else 0.0,
        evaluation_seconds=evaluation_seconds,
        flops=cost.flops,
        num_bytes=cost.layout.num_bytes,
    )


def _set_up(network: Network, phase: Phase, recipe: Recipe) -> None:
    network.prepare(phase)
    network.train(recipe.model.batch_norm)


def _step(
    network: Network, suffix: nn.Module, features_BX: Tensor, optimizer: Optimizer, phase: Phase
) -> Callable[[], object]:
    device = features_BX.device
    built = build_optimizer(optimizer, network, phase)
    labels_B = torch.zeros(len(features_BX), dtype=torch.int64, device=device)

    def take() -> object:
        built.zero_grad(set_to_none=True)
        with autocast(device):
            logits_BK = suffix(features_BX)
        loss = nn.functional.cross_entropy(logits_BK.float(), labels_B)
        loss.backward()
        built.step()
        return loss.item()

    return take


def _median_seconds(take: Callable[[], object], device: torch.device) -> float:
    """Of three times after a first one, in which libraries load and choose their ways."""
    seconds = []
    for _ in range(4):
        begun = time.perf_counter()
        take()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds[1:])
