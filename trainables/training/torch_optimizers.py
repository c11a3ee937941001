"""The optimizer of a phase: groups of parameters with their own share of the learning rate, and the cutting
of gradients.
"""

import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, assert_never

import torch
from torch import nn

from trainables.models.network import Block, Network
from trainables.recipe.optimizer import Optimizer
from trainables.recipe.phase import Phase


class _WithoutCompiler(torch.optim.Optimizer):
    """An optimizer that does not import torch's compiler.

    torch wraps these methods for the compiler, and each wrapper imports it at its first call: 800 modules, in
    each process that trains. Nothing here is compiled, so the methods inside the wrappers do.
    """

    add_param_group = inspect.unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.Optimizer.zero_grad)
    state_dict = inspect.unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict = inspect.unwrap(torch.optim.Optimizer.load_state_dict)


def _unwrapped_step(kind: type[torch.optim.Optimizer]) -> Callable[..., Any]:
    """The step inside its wrapper, which switches gradients off and imports the compiler."""
    step: Callable[..., Any] = torch.no_grad()(inspect.unwrap(kind.step))
    return step


class _Adam(_WithoutCompiler, torch.optim.Adam):
    step = _unwrapped_step(torch.optim.Adam)


class _AdamW(_WithoutCompiler, torch.optim.AdamW):
    step = _unwrapped_step(torch.optim.AdamW)


class _SGD(_WithoutCompiler, torch.optim.SGD):
    step = _unwrapped_step(torch.optim.SGD)


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
            return _Adam(groups, lr=rate, betas=(momentum, optimizer.second_moment), fused=True)
        case "adamw":
            return _AdamW(groups, lr=rate, betas=(momentum, optimizer.second_moment), fused=True)
        case "sgd":
            return _SGD(groups, lr=rate, momentum=momentum, nesterov=momentum > 0, fused=True)
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
