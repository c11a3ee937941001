"""The network, its head, and where its weights start."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from trainables.errors import RecipeError
from trainables.recipe.fields import Within, check_fields


@dataclass(frozen=True, kw_only=True)
class Head:
    """What turns the backbone's last feature maps into logits. The fields below `kind` belong to `hybrid`, `units` to `mlp`."""

    kind: Literal["linear", "mlp", "hybrid"] = "linear"
    """The architecture's own last layer; a hidden layer before it; or attention, a transformer block and branches (source 002)."""
    units: Annotated[int, Within(1, 65_536)] = 512
    """Of the hidden layer, 1 to 65536."""
    attention: Literal["none", "se", "cbam", "sca"] = "sca"
    """On the feature maps: squeeze-and-excitation (arXiv:1709.01507), CBAM (1807.06521), or channel attention as SE has it followed by
    CBAM's spatial attention."""
    attention_reduction: Annotated[int, Within(1, 64)] = 8
    """The bottleneck of channel attention is this many times narrower, 1 to 64."""
    transformer_heads: Annotated[int, Within(1, 64)] = 8
    """Heads of the self-attention over positions, 1 to 64; must divide the channels."""
    transformer_widening: Annotated[int, Within(1, 8)] = 4
    """The transformer's hidden layer is this many times wider than the channels, 1 to 8."""
    branches: tuple[str, ...] = ()
    """Names of classes that get a dense branch of their own; they must be classes of the dataset."""
    branch_units: Annotated[int, Within(1, 65_536)] = 256
    """Of each branch, 1 to 65536."""
    fusion_units: Annotated[int, Within(1, 65_536)] = 256
    """Of the layer that joins the branches, 1 to 65536."""
    multi_scale: bool = False
    """Whether pooled maps of the stage before the last join the branches at the fusion."""

    def __post_init__(self) -> None:
        check_fields(self)
        if len(set(self.branches)) < len(self.branches):
            raise RecipeError(f"branches names a class twice: {', '.join(self.branches)}")
        if self.branches and self.kind != "hybrid":
            raise RecipeError(f"branches belong to head 'hybrid', got {self.kind!r}; drop the branches or take the hybrid head")


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network and where its weights start."""

    architecture: str
    """A name of `trainables.models.catalogue`, or `timm/NAME`."""
    weights: str = "none"
    """`none`, `imagenet`, or the path of a state dict."""
    head: Head = field(default_factory=Head)
    dropout: Annotated[float, Within(0.0, 0.95)] = 0.0
    """Share of the features dropped before the last linear layer, in [0, 1)."""
    drop_path: Annotated[float, Within(0.0, 0.95)] = 0.0
    """Chance that a residual block of the last stage is skipped in training, growing linearly from 0 at the first (arXiv:1603.09382),
    in [0, 1); only networks with residual blocks take it."""
    batch_norm: Literal["train", "eval_frozen", "eval_all"] = "eval_frozen"
    """Which BatchNorm layers keep their running statistics fixed: none, those of frozen stages, all."""
    gray_adapter: Literal["sum", "replicate", "learned", "convolution"] = "sum"
    """How one channel enters a network for three: its stem's channels summed, the image shown three times, or a layer that starts as
    that and is trained with the head: 1x1, or two convolutions 3x3."""

    def __post_init__(self) -> None:
        check_fields(self)
