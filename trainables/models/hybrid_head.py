"""The head of source 002: attention on the maps, a transformer block over places, branches for classes, and
their fusion.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from trainables.errors import RecipeError
from trainables.models.attention import build_attention
from trainables.models.heads import LinearAfterDropout
from trainables.recipe.model import Head

# B batch, C channels, H height, W width, P places (H * W), F features, K classes


class HybridHead(nn.Module):
    """Maps a backbone's last maps (B, C, H, W), and those of the stage before for `multi_scale`, to logits
    (B, K).

    The transformer block is pre-norm (arXiv:2002.04745: it trains without warm-up), has no dropout of its own
    and knows no places: source 002's parameter count has room for neither embeddings nor a branch of all
    classes, so its branches alone are joined at the fusion. Without branches, the pooled features are. Raises
    RecipeError if `transformer_heads` does not divide the channels.
    """

    def __init__(self, head: Head, *, widths: Sequence[int], num_classes: int, dropout: float) -> None:
        """`widths` are the channels of the last stage and of the one before it."""
        super().__init__()
        channels = widths[0]
        if channels % head.transformer_heads:
            raise RecipeError(
                f"transformer_heads must divide the {channels} channels of the architecture, got "
                f"{head.transformer_heads}; "
                "take a power of two, or another architecture"
            )
        self.attention = build_attention(head.attention, channels, head.attention_reduction)
        self.transformer = nn.TransformerEncoderLayer(
            channels,
            head.transformer_heads,
            dim_feedforward=head.transformer_widening * channels,
            dropout=0.0,
            batch_first=True,
            norm_first=True,
        )
        self.branches = nn.ModuleList(nn.Linear(channels, head.branch_units) for _ in head.branches)
        num_features = len(head.branches) * head.branch_units or channels
        self.is_multi_scale = head.multi_scale
        self.fusion = nn.Linear(num_features + (widths[1] if head.multi_scale else 0), head.fusion_units)
        self.output = LinearAfterDropout(head.fusion_units, num_classes, dropout)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Logits (B, K) from the last stage's maps, followed by those of the stage before it."""
        places_BPC = self.attention(maps[0]).flatten(2).transpose(1, 2)
        # The gradients of fused attention differ from run to run on a GPU; over some 50 places the plain one
        # costs as little.
        with sdpa_kernel(SDPBackend.MATH):
            pooled_BC = self.transformer(places_BPC).mean(1)
        features = [branch(pooled_BC).relu() for branch in self.branches] or [pooled_BC]
        if self.is_multi_scale:
            features.append(maps[1].mean((2, 3)))
        fused_BF = self.fusion(torch.cat(features, dim=1)).relu()
        logits_BK: Tensor = self.output(fused_BF)
        return logits_BK
