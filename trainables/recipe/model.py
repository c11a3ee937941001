"""The network, its head, and where its weights start."""

from dataclasses import dataclass, field
from typing import Literal

from trainables.errors import RecipeError
from trainables.recipe.checks import one_of, within

ADAPTERS = ("sum", "replicate", "learned", "convolution")


@dataclass(frozen=True, kw_only=True)
class Head:
    """What turns the backbone's last feature maps into logits. The fields below `kind` belong to `hybrid`, `units` to `mlp`."""

    kind: Literal["linear", "mlp", "hybrid"] = "linear"
    """The architecture's own last layer; a hidden layer before it; or attention, a transformer block and branches (source 002)."""
    units: int = 512
    """Of the hidden layer, 1 to 65536."""
    attention: Literal["none", "se", "cbam", "sca"] = "sca"
    """On the feature maps: squeeze-and-excitation (arXiv:1709.01507), CBAM (1807.06521), or channel attention as SE has it followed by
    CBAM's spatial attention."""
    attention_reduction: int = 8
    """The bottleneck of channel attention is this many times narrower, 1 to 64."""
    transformer_heads: int = 8
    """Heads of the self-attention over positions, 1 to 64; must divide the channels."""
    transformer_widening: int = 4
    """The transformer's hidden layer is this many times wider than the channels, 1 to 8."""
    branches: tuple[str, ...] = ()
    """Names of classes that get a dense branch of their own; they must be classes of the dataset."""
    branch_units: int = 256
    """Of each branch, 1 to 65536."""
    fusion_units: int = 256
    """Of the layer that joins the branches, 1 to 65536."""
    multi_scale: bool = False
    """Whether pooled maps of the stage before the last join the branches at the fusion."""

    def __post_init__(self) -> None:
        one_of("head.kind", self.kind, ("linear", "mlp", "hybrid"))
        within("head.units", self.units, 1, 65_536)
        one_of("head.attention", self.attention, ("none", "se", "cbam", "sca"))
        within("head.attention_reduction", self.attention_reduction, 1, 64)
        within("head.transformer_heads", self.transformer_heads, 1, 64)
        within("head.transformer_widening", self.transformer_widening, 1, 8)
        within("head.branch_units", self.branch_units, 1, 65_536)
        within("head.fusion_units", self.fusion_units, 1, 65_536)
        if len(set(self.branches)) < len(self.branches):
            raise RecipeError(f"head.branches names a class twice: {', '.join(self.branches)}")
        if self.branches and self.kind != "hybrid":
            raise RecipeError(f"head.branches belong to head.kind 'hybrid', got {self.kind!r}; drop the branches or take the hybrid head")


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network and where its weights start."""

    architecture: str
    """A name of `trainables.models.catalogue`, or `timm/NAME`."""
    weights: str = "none"
    """`none`, `imagenet`, or the path of a state dict."""
    head: Head = field(default_factory=Head)
    dropout: float = 0.0
    """Share of the features dropped before the last linear layer, in [0, 1)."""
    drop_path: float = 0.0
    """Chance that a residual block of the last stage is skipped in training, growing linearly from 0 at the first (arXiv:1603.09382),
    in [0, 1); only networks with residual blocks take it."""
    batch_norm: Literal["train", "eval_frozen", "eval_all"] = "eval_frozen"
    """Which BatchNorm layers keep their running statistics fixed: none, those of frozen stages, all."""
    gray_adapter: Literal["sum", "replicate", "learned", "convolution"] = "sum"
    """How one channel enters a network for three: its stem's channels summed, the image shown three times, or a layer that starts as
    that and is trained with the head: 1x1, or two convolutions 3x3."""

    def __post_init__(self) -> None:
        within("dropout", self.dropout, 0.0, 0.95)
        within("drop_path", self.drop_path, 0.0, 0.95)
        one_of("batch_norm", self.batch_norm, ("train", "eval_frozen", "eval_all"))
        one_of("gray_adapter", self.gray_adapter, ADAPTERS)
