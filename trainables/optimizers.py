"""The optimizer of a phase."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from trainables.recipe.optimizer import Optimizer


def build_optimizer(optimizer: Optimizer, parameters: Sequence[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """A fresh optimizer; weight decay pulls on weights alone, not on biases and normalisation parameters (arXiv:1812.01187)."""
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": optimizer.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    if optimizer.kind == "sgd":
        momentum = optimizer.momentum
        return torch.optim.SGD(groups, lr=learning_rate, momentum=momentum, nesterov=momentum > 0, fused=True)
    kind = torch.optim.Adam if optimizer.kind == "adam" else torch.optim.AdamW
    return kind(groups, lr=learning_rate, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, learning_rate: float) -> None:
    """Of all parameters, from the next step on."""
    for group in optimizer.param_groups:
        group["lr"] = learning_rate
