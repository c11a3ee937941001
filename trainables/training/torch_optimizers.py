"""The optimizer of a phase: groups of parameters with their own share of the learning rate, and the cutting
of gradients.
"""

from collections.abc import Iterable, Iterator
from typing import Any, assert_never

import torch
from torch import nn

from trainables.models.network import Block, Network
from trainables.recipe.optimizer import Optimizer
from trainables.recipe.phase import Phase


def build_optimizer(optimizer: Optimizer, network: Network, phase: Phase) -> torch.optim.Optimizer:
    """A fresh optimizer of what `network.prepare(phase)` made trainable, at the phase's learning rate.

    Each group has a `factor`, what its learning rate is multiplied by: `head_multiplier` for the head, 1 for
    the last block, and `layer_decay` times the factor of the block after it for every other. Weight decay
    pulls on weights alone, not on biases and normalisation parameters (arXiv:1812.01187).
    """
    groups = _groups(optimizer, network, phase)
    rate, momentum = phase.learning_rate, optimizer.momentum
    match optimizer.kind:
        case "adam":
            return torch.optim.Adam(groups, lr=rate, betas=(momentum, optimizer.second_moment), fused=True)
        case "adamw":
            return torch.optim.AdamW(groups, lr=rate, betas=(momentum, optimizer.second_moment), fused=True)
        case "sgd":
            return torch.optim.SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0, fused=True)
        case _:
            assert_never(optimizer.kind)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """The phase's, from the next step on; each group's is its factor times that."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate * group["factor"]


def clip_gradients(optimizer: Optimizer, parameters: Iterable[nn.Parameter]) -> None:
    """Cuts the gradients as the recipe says, in place and without waiting for the device; NaN and infinity
    pass through.
    """
    match optimizer.gradient_clip:
        case "none":
            pass
        case "value":
            torch.nn.utils.clip_grad_value_(parameters, optimizer.clip_at, foreach=True)
        case "norm":
            torch.nn.utils.clip_grad_norm_(
                parameters, optimizer.clip_at, error_if_nonfinite=False, foreach=True
            )
        case _:
            assert_never(optimizer.gradient_clip)


def _groups(optimizer: Optimizer, network: Network, phase: Phase) -> list[dict[str, Any]]:
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for factor, block in _factors(network, phase):
        for parameter in block:
            if parameter.requires_grad:
                groups.setdefault((factor, parameter.ndim > 1), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": optimizer.weight_decay if is_decayed else 0.0,
            "factor": factor,
            "lr": phase.learning_rate * factor,
        }
        for (factor, is_decayed), parameters in groups.items()
    ]


def _factors(network: Network, phase: Phase) -> Iterator[tuple[float, Block]]:
    num_blocks = len(network.blocks)
    for index, block in enumerate(network.blocks):
        yield phase.layer_decay ** (num_blocks - 1 - index), block
    yield phase.head_multiplier, network.head
