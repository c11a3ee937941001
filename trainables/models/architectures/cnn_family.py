"""Our own convolutional networks: their shapes, and what a forward pass through them costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

from trainables.models.architectures.architecture import Architecture


@dataclass(frozen=True, kw_only=True)
class CnnShape:
    """Blocks of convolutions with ReLU that end in a max-pool 2x2, then dense layers with ReLU."""

    widths: tuple[int, ...]
    """Channels of each block."""
    dense: tuple[int, ...]
    """Units of each dense layer but the last, which has one unit per class."""
    num_convolutions: int = 1
    """Of each block."""
    kernels: tuple[int, ...] = ()
    """Side of the convolutions of each block, odd; 3 everywhere if empty."""
    has_batch_norm: bool = True
    """Whether each convolution is followed by BatchNorm."""
    has_dense_batch_norm: bool = False
    """Whether each dense layer but the last is."""
    pool_dropout: float = 0.0
    """Values dropped after each max-pool, as a multiple of the recipe's dropout."""

    def kernel(self, block: int) -> int:
        """Side of the convolutions of a block, counted from 0."""
        return self.kernels[block] if self.kernels else 3

    def num_features(self, image_size: int) -> int:
        """Values that reach the first dense layer; each block halves the side, rounding down."""
        return self.widths[-1] * (image_size >> len(self.widths)) ** 2

    def multiply_adds(self, image_size: int, channels: int) -> int:
        """Of one image's forward pass; the last dense layer is too small to count."""
        convolutions = 0
        for block, (before, after) in enumerate(pairwise((channels, *self.widths))):
            weights = self.kernel(block) ** 2 * after * (before + (self.num_convolutions - 1) * after)
            convolutions += weights * (image_size >> block) ** 2
        dense = sum(
            before * after for before, after in pairwise((self.num_features(image_size), *self.dense))
        )
        return convolutions + dense


_SHAPES: Mapping[str, CnnShape] = {
    "cnn2-32x64": CnnShape(widths=(32, 64), dense=(128,)),
    "cnn4-32x64": CnnShape(
        widths=(32, 64),
        dense=(512,),
        num_convolutions=2,
        kernels=(5, 3),
        has_batch_norm=False,
        has_dense_batch_norm=True,
        pool_dropout=0.5,
    ),
    "cnn4-32x256": CnnShape(widths=(32, 64, 128, 256), dense=(512,)),
    "cnn4-64x512": CnnShape(widths=(64, 128, 256, 512), dense=(512, 256)),
    # Khaireddin and Chen 2021, arXiv:2105.03588
    "vgg8-64x512": CnnShape(widths=(64, 128, 256, 512), dense=(4096, 4096), num_convolutions=2),
}

ARCHITECTURES = tuple(
    Architecture(
        name=name,
        builder="trainables.models.cnn",
        num_stages=len(shape.widths),
        smallest_image_size=max(2 ** len(shape.widths), 8),
        takes_drop_path=False,
        has_batch_norm=shape.has_batch_norm or shape.has_dense_batch_norm,
        is_plain=True,
        shape=shape,
    )
    for name, shape in _SHAPES.items()
)
