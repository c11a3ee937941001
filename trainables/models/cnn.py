"""Small convolutional networks for small images: blocks of convolution, BatchNorm, ReLU and max-pool, then dense layers."""

from itertools import pairwise

from torch import Tensor, nn

from trainables.models.multiply_adds import CnnShape
from trainables.models.network import Network

# B batch, C channels, H height, W width, F features, K classes


def build_cnn(shape: CnnShape, *, num_classes: int, channels: int, image_size: int, dropout: float) -> Network:
    """A network of the given shape with fresh weights; each block is a stage. Draws from torch's global generator."""
    module = Cnn(shape, num_classes=num_classes, channels=channels, image_size=image_size, dropout=dropout)
    last = f"head.{len(module.head) - 1}"
    return Network(
        module=module,
        stages=tuple(tuple(block.parameters()) for block in module.blocks),
        head=tuple(module.head.parameters()),
        classifier_keys=frozenset({f"{last}.weight", f"{last}.bias"}),
    )


class Cnn(nn.Module):
    """Maps images (B, C, H, W) to logits (B, K). The size of the first dense layer follows from the image size."""

    def __init__(self, shape: CnnShape, *, num_classes: int, channels: int, image_size: int, dropout: float) -> None:
        super().__init__()
        self.blocks = nn.Sequential(*(_block(before, after) for before, after in pairwise((channels, *shape.widths))))
        dense = pairwise((shape.num_features(image_size), *shape.dense))
        layers = [layer for before, after in dense for layer in (nn.Linear(before, after), nn.ReLU(), nn.Dropout(dropout))]
        self.head = nn.Sequential(*layers, nn.Linear(shape.dense[-1], num_classes))

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Logits (B, K)."""
        features_BF = self.blocks(images_BCHW).flatten(1)
        return self.head(features_BF)


def _block(before: int, after: int) -> nn.Sequential:
    # ReLU after the max-pool: the two commute, and so it has a quarter of the values to go through.
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.MaxPool2d(2), nn.ReLU(inplace=True))
