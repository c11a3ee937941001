"""The last layers that stand in the place of a library's classifier: a linear layer, or one hidden layer
before it.
"""

from typing import assert_never

from torch import Tensor, nn
from torch.nn import functional

from trainables.recipe.model import Head

# B batch, F features, U units, K classes


def dense_head(head: Head, *, in_features: int, num_classes: int, dropout: float) -> nn.Module:
    """What maps pooled features (B, F) to logits (B, K); the hybrid head takes maps and is none of these."""
    match head.kind:
        case "linear":
            return LinearAfterDropout(in_features, num_classes, dropout)
        case "mlp":
            return MlpHead(in_features, head.units, num_classes, dropout)
        case "hybrid":
            raise AssertionError("the hybrid head takes maps, not pooled features")
        case _:
            assert_never(head.kind)


def classifier_keys(head: nn.Module, name: str) -> frozenset[str]:
    """State-dict keys of the last linear layer of the head that stands at `name` in a network."""
    *_, last = (path for path, layer in head.named_modules(prefix=name) if isinstance(layer, nn.Linear))
    return frozenset({f"{last}.weight", f"{last}.bias"})


class LinearAfterDropout(nn.Linear):
    """Dropout and a linear layer in one module, so that the keys of its state dict stay those of
    torchvision.
    """

    def __init__(self, in_features: int, out_features: int, dropout: float) -> None:
        super().__init__(in_features, out_features)
        self.dropout = dropout

    def forward(self, features_BF: Tensor) -> Tensor:
        """Logits (B, K)."""
        return super().forward(functional.dropout(features_BF, self.dropout, self.training))


class MlpHead(nn.Module):
    """A hidden layer with ReLU, dropout, and a linear layer."""

    def __init__(self, in_features: int, units: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(in_features, units)
        self.output = LinearAfterDropout(units, num_classes, dropout)

    def forward(self, features_BF: Tensor) -> Tensor:
        """Logits (B, K)."""
        hidden_BU = self.hidden(features_BF).relu()
        logits_BK: Tensor = self.output(hidden_BU)
        return logits_BK
