"""The network, its head, and where its weights start."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from trainables.errors import RecipeError
from trainables.recipe.fields import Within, check_fields


@dataclass(frozen=True, kw_only=True)
class Head:
    """What turns the backbone's last feature maps into logits.

    The fields below `kind` belong to `hybrid`, `units` to `mlp`.
    """

    kind: Literal["linear", "mlp", "hybrid"] = "linear"
    """The layers after the backbone: `linear`, the architecture's own last layer; `mlp`, a hidden layer
    before it; `hybrid`, attention, a transformer block and branches (source 002)."""
    units: Annotated[int, Within(1, 65_536)] = 512
    """`mlp` only: units of the hidden layer, 1 to 65536."""
    attention: Literal["none", "se", "cbam", "sca"] = "sca"
    """`hybrid` only: attention on the feature maps. `se`: squeeze-and-excitation (arXiv:1709.01507); `cbam`
    (1807.06521); `sca`: the channel attention of `se`, then the spatial attention of `cbam`; `none`."""
    attention_reduction: Annotated[int, Within(1, 64)] = 8
    """`hybrid` only: the bottleneck of channel attention is this many times narrower than its input, 1 to
    64."""
    transformer_heads: Annotated[int, Within(1, 64)] = 8
    """`hybrid` only: heads of the self-attention over positions, 1 to 64; the number divides the channels."""
    transformer_widening: Annotated[int, Within(1, 8)] = 4
    """`hybrid` only: the transformer's hidden layer is this many times wider than the channels, 1 to 8."""
    branches: tuple[str, ...] = ()
    """`hybrid` only: names of classes that get a dense branch of their own, with commas between them."""
    branch_units: Annotated[int, Within(1, 65_536)] = 256
    """`hybrid` only: units of each branch, 1 to 65536."""
    fusion_units: Annotated[int, Within(1, 65_536)] = 256
    """`hybrid` only: units of the layer that joins the branches, 1 to 65536."""
    multi_scale: bool = False
    """`hybrid` only: whether pooled feature maps of the stage before the last join the branches, too."""

    def __post_init__(self) -> None:
        check_fields(self)
        if len(set(self.branches)) < len(self.branches):
            raise RecipeError(f"branches names a class twice: {', '.join(self.branches)}")
        if self.branches and self.kind != "hybrid":
            raise RecipeError(
                f"branches belong to head 'hybrid', got {self.kind!r}; drop the branches or take the hybrid "
                "head"
            )


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network and where its weights start."""

    architecture: str
    """The network: a name of `trainables.models.catalogue`, or `timm/NAME`."""
    weights: str = "none"
    """The first weights: `none` (random), `imagenet`, or the path of a state dict."""
    head: Head = field(default_factory=Head)
    dropout: Annotated[float, Within(0.0, 0.95)] = 0.0
    """Share of the features that is dropped before the last linear layer, in [0, 1)."""
    drop_path: Annotated[float, Within(0.0, 0.95)] = 0.0
    """Chance that a residual block of the last stage is skipped in training; it grows linearly from 0 at the
    first block (arXiv:1603.09382). In [0, 1); only networks with residual blocks take it."""
    batch_norm: Literal["train", "eval_frozen", "eval_all"] = "eval_frozen"
    """The BatchNorm layers whose running statistics stay fixed: `train` none, `eval_frozen` those of frozen
    stages, `eval_all` all."""
    gray_adapter: Literal["sum", "replicate", "learned", "convolution"] = "sum"
    """How a gray image enters a network for colours: `sum` adds the channels of the network's first layer;
    `replicate` repeats the image three times; `learned` (1x1) and `convolution` (two of 3x3) are layers that
    start as `replicate` and are trained with the head."""

    def __post_init__(self) -> None:
        check_fields(self)
