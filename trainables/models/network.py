"""A network as a training sees it: a module, its stages from input to output, and its head."""

from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainables.errors import RecipeError


@dataclass(frozen=True, kw_only=True)
class Network:
    """A classifier that maps images (B, C, S, S) float32 to logits (B, K), with its parameters in order of depth."""

    module: nn.Module
    stages: tuple[tuple[nn.Parameter, ...], ...]
    """What `freeze_depth` counts; the stem belongs to the first."""
    head: tuple[nn.Parameter, ...]
    """What follows the stages; together they are all parameters, each once."""
    classifier_keys: frozenset[str]
    """State-dict keys whose shapes depend on the number of classes."""

    def freeze(self, depth: int) -> None:
        """Freezes the first `depth` stages and makes everything else trainable. Raises RecipeError if there are fewer."""
        if depth > len(self.stages):
            raise RecipeError(f"freeze_depth must lie in [0, {len(self.stages)}], the number of stages, got {depth}")
        for index, stage in enumerate((*self.stages, self.head)):
            for parameter in stage:
                parameter.requires_grad_(index >= depth)

    def train(self, batch_norm: Literal["train", "eval_frozen", "eval_all"]) -> None:
        """Puts the module into training mode, except the BatchNorm layers whose running statistics stay fixed.

        Autograd records nothing for a frozen prefix, as neither its input nor its parameters need a gradient.
        """
        self.module.train()
        for layer in self.batch_norm_layers():
            is_frozen = not any(parameter.requires_grad for parameter in layer.parameters())
            layer.train(not (batch_norm == "eval_all" or (batch_norm == "eval_frozen" and is_frozen)))

    def batch_norm_layers(self) -> list[nn.Module]:
        """All BatchNorm layers, in order of definition."""
        return [layer for layer in self.module.modules() if isinstance(layer, _BatchNorm)]

    def trainable_parameters(self) -> list[nn.Parameter]:
        """The parameters that the next step may change, in order of depth."""
        return [parameter for stage in (*self.stages, self.head) for parameter in stage if parameter.requires_grad]
