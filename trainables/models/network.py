"""A network as a training sees it: a module, its blocks and stages from input to output, and its head."""

from dataclasses import dataclass
from typing import Literal, assert_never

from torch import nn

from trainables.errors import RecipeError
from trainables.models.pieces import BATCH_NORMS, Pieces, no_pieces
from trainables.recipe.phase import Phase

BACKBONE_PREFIX = "backbone."
GRAY_ADAPTER_PREFIX = "gray_adapter."
HYBRID_PREFIX = "hybrid."

Block = tuple[nn.Parameter, ...]
"""The parameters of a residual block, of a convolution with its BatchNorm, or of what else a network
repeats."""


@dataclass(frozen=True, kw_only=True)
class Network:
    """A classifier that maps images (B, C, S, S) float32 to logits (B, K), with its parameters in order of
    depth.

    Stages and head are all parameters, each once. The stem belongs to the first block, what follows the last
    block up to the classifier to the last.
    """

    module: nn.Module
    blocks_by_stage: tuple[tuple[Block, ...], ...]
    """From input to output. What `freeze_depth` and `range_end` count are stages, each a run of whole
    blocks."""
    head: Block
    """What follows the stages. A gray adapter's parameters count to it, though they come first: both are new,
    and train together."""
    classifier_keys: frozenset[str]
    """State-dict keys whose shapes depend on the number of classes."""
    pieces: Pieces = no_pieces
    """Where it can be cut."""
    head_prefixes: tuple[str, ...] = ()
    """Beginnings of state-dict keys, here or in a file, of heads and adapters that may differ between the
    two."""

    @property
    def blocks(self) -> tuple[Block, ...]:
        """What `trainable_share` counts, from input to output."""
        return tuple(block for blocks in self.blocks_by_stage for block in blocks)

    @property
    def stages(self) -> tuple[Block, ...]:
        """The parameters of each stage, from input to output."""
        return tuple(
            tuple(parameter for block in blocks for parameter in block) for blocks in self.blocks_by_stage
        )

    def prepare(self, phase: Phase) -> None:
        """Makes trainable what the phase trains, the head always, and freezes the rest.

        Raises RecipeError if the network has fewer stages than the phase counts.
        """
        trained = self._trained_blocks(phase)
        for index, block in enumerate(self.blocks):
            for parameter in block:
                parameter.requires_grad_(index in trained)
        for parameter in self.head:
            parameter.requires_grad_(True)

    def train(self, batch_norm: Literal["train", "eval_frozen", "eval_all"]) -> None:
        """Puts the module into training mode, except the BatchNorm layers whose running statistics stay
        fixed.

        A BatchNorm layer is frozen if none of its parameters is trainable. Autograd records nothing for a
        frozen prefix, as neither its input nor its parameters need a gradient; before a frozen prefix, a gray
        adapter that trains makes it record.
        """
        self.module.train()
        for layer in self.batch_norm_layers():
            match batch_norm:
                case "train":
                    layer.train()
                case "eval_frozen":
                    layer.train(any(parameter.requires_grad for parameter in layer.parameters()))
                case "eval_all":
                    layer.eval()
                case _:
                    assert_never(batch_norm)

    def batch_norm_layers(self) -> list[nn.Module]:
        """All BatchNorm layers, in order of definition."""
        return [layer for layer in self.module.modules() if isinstance(layer, BATCH_NORMS)]

    def trainable_parameters(self) -> list[nn.Parameter]:
        """The parameters that the next step may change, in order of depth."""
        return [
            parameter for block in (*self.blocks, self.head) for parameter in block if parameter.requires_grad
        ]

    def _trained_blocks(self, phase: Phase) -> range:
        num_blocks = len(self.blocks)
        if phase.trainable_share is not None:
            num_trained = round(phase.trainable_share * num_blocks)
            return range(num_blocks - max(num_trained, 1 if phase.trainable_share > 0 else 0), num_blocks)
        self._check_is_stage("freeze_depth", phase.freeze_depth)
        self._check_is_stage("range_end", phase.range_end or 0)
        sizes = [len(blocks) for blocks in self.blocks_by_stage]
        return range(sum(sizes[: phase.freeze_depth]), sum(sizes[: phase.range_end]))

    def _check_is_stage(self, name: str, stage: int) -> None:
        most = len(self.blocks_by_stage)
        if stage > most:
            raise RecipeError(f"{name} must lie in [0, {most}], the number of stages, got {stage}; lower it")
