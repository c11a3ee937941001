"""What reaches a network and how it is built: normalisation, gray adapters, heads, skipped blocks."""

from search_spaces.dimensions import Choice, Dimension, Float, none_of, one_of
from search_spaces.shared.freezing import PRETRAINED

_HYBRID = {"head": one_of("hybrid")}

INPUTS: tuple[Dimension, ...] = (
    Choice(
        name="normalisation", options=("architecture", "dataset", "zero_one", "per_image"), when=PRETRAINED
    ),
    Choice(
        name="normalisation", options=("dataset", "zero_one", "per_image"), when={"weights": one_of("none")}
    ),
    Choice(
        name="gray_adapter",
        options=("sum", "replicate", "learned", "convolution"),
        when=PRETRAINED,
        about="how gray images enter a network for colours; no effect on colour images",
    ),
)

HEADS: tuple[Dimension, ...] = (
    Choice(
        name="head",
        options=("linear", "mlp", "hybrid"),
        about="hybrid: attention, a transformer block, branches",
    ),
    Choice(name="head_units", options=(128, 256, 512, 1024), when={"head": one_of("mlp")}),
    Choice(name="attention", options=("none", "se", "cbam", "sca"), when=_HYBRID),
    Choice(name="attention_reduction", options=(4, 8, 16, 32), when=_HYBRID | {"attention": none_of("none")}),
    Choice(name="transformer_heads", options=(4, 8), when=_HYBRID),
    Choice(name="transformer_widening", options=(1, 2, 4), when=_HYBRID),
    Choice(name="branch_units", options=(64, 128, 256), when=_HYBRID),
    Choice(name="fusion_units", options=(128, 256, 512), when=_HYBRID),
    Choice(name="multi_scale", options=(False, True), when=_HYBRID, about="two sizes of feature maps joined"),
)

DROP_PATH = Float(name="drop_path", low=0.0, high=0.3, about="residual blocks skipped in training")
