"""torchvision's ResNets, for any number of channels and with dropout before the last layer."""

import torchvision
from torch import Tensor, nn
from torch.nn import functional

from trainables.models.network import Network


def build_resnet(name: str, *, num_classes: int, channels: int, dropout: float) -> Network:
    """ResNet `name` with fresh weights; stages are layer1 to layer4, the stem belongs to the first. Draws from torch's global generator."""
    module = getattr(torchvision.models, name)(weights=None, num_classes=num_classes)
    if channels != 3:
        module.conv1 = nn.Conv2d(channels, 64, 7, stride=2, padding=3, bias=False)
        nn.init.kaiming_normal_(module.conv1.weight, mode="fan_out", nonlinearity="relu")
    module.fc = LinearAfterDropout(module.fc.in_features, num_classes, dropout)
    stem = (*module.conv1.parameters(), *module.bn1.parameters())
    layers = (module.layer1, module.layer2, module.layer3, module.layer4)
    first, *others = (tuple(layer.parameters()) for layer in layers)
    return Network(
        module=module,
        stages=((*stem, *first), *others),
        head=tuple(module.fc.parameters()),
        classifier_keys=frozenset({"fc.weight", "fc.bias"}),
    )


class LinearAfterDropout(nn.Linear):
    """Dropout and a linear layer in one module, so that the keys of its state dict stay those of torchvision."""

    def __init__(self, in_features: int, out_features: int, dropout: float) -> None:
        super().__init__(in_features, out_features)
        self.dropout = dropout

    def forward(self, features_BF: Tensor) -> Tensor:
        """Logits (B, K)."""
        return super().forward(functional.dropout(features_BF, self.dropout, self.training))
