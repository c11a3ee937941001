"""The first convolution of a library's network, for another number of channels."""

from torch import nn


def stem_for(convolution: nn.Conv2d, channels: int) -> nn.Conv2d:
    """A convolution of the same shape over images (B, channels, S, S), its weights drawn anew
    (arXiv:1502.01852).
    """
    stem = nn.Conv2d(
        channels,
        convolution.out_channels,
        convolution.kernel_size,  # type: ignore[arg-type]
        stride=convolution.stride,  # type: ignore[arg-type]
        padding=convolution.padding,  # type: ignore[arg-type]
        bias=convolution.bias is not None,
    )
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    if stem.bias is not None:
        nn.init.zeros_(stem.bias)
    return stem
