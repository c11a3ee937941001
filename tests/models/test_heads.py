import pytest
import torch
from torch import nn

from trainables.errors import RecipeError
from trainables.models.attention import SpatialAttention, build_attention
from trainables.models.building import build_model
from trainables.models.heads import MlpHead
from trainables.models.hybrid_head import HybridHead
from trainables.models.network import Network
from trainables.recipe.model import Head, Model
from trainables.recipe.phase import Phase

LIBRARIES = [
    "resnet18",
    "mobilenet_v3_small",
    "convnext_tiny",
    "timm/resnet18",
    "timm/mobilenetv3_small_100",
    "timm/convnext_atto",
]
SMALL_HYBRID = Head(
    kind="hybrid",
    attention_reduction=32,
    transformer_heads=1,
    transformer_widening=1,
    branches=("a", "b"),
    branch_units=4,
    multi_scale=True,
)


def build(
    architecture: str,
    head: Head,
    *,
    channels: int = 1,
    image_size: int = 48,
    dropout: float = 0.0,
    **model: str,
) -> Network:
    recipe_model = Model(architecture=architecture, head=head, dropout=dropout, **model)
    return build_model(recipe_model, num_classes=7, channels=channels, image_size=image_size, seed=0)


def num_parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_hybrid_head_of_source_002_has_as_many_parameters_as_it_tells():
    head = Head(kind="hybrid", branches=("angry", "disgust", "fear", "sad"))
    with torch.device("meta"):  # shapes without values
        whole = num_parameters(build("resnet50", head, channels=3, image_size=64).module)
        hybrid = num_parameters(HybridHead(head, widths=(2048, 1024), num_classes=7, dropout=0.0))
    # 2048 channels; squeeze to 256 and back; 7x7 over mean and maximum
    attention = (2048 * 256 + 256) + (256 * 2048 + 2048) + 7 * 7 * 2
    # queries, keys, values and output; 2048 to 8192 and back; two LayerNorms
    transformer = 4 * (2048 * 2048 + 2048) + (2048 * 8192 + 8192) + (8192 * 2048 + 2048) + 2 * 2 * 2048
    branches = 4 * (2048 * 256 + 256)
    fusion = (4 * 256 * 256 + 256) + (256 * 7 + 7)
    assert hybrid == attention + transformer + branches + fusion == 53_771_625
    assert (
        53_760_000 <= hybrid <= 53_790_000
    )  # what its three totals leave for a head that two backbones share
    # Keras also counts BatchNorm's running statistics, 53,120, and has biases in its convolutions, 26,560:
    # 77.4 M as the source tells.
    assert whole == 23_508_032 + hybrid


@pytest.mark.parametrize("kind", ["none", "se", "cbam", "sca"])
def test_attention_weights_maps_by_numbers_between_zero_and_one(kind):
    maps = torch.rand(2, 6, 5, 3) + 0.1
    attention = build_attention(kind, 6, 64)
    share = attention.eval()(maps) / maps
    assert share.shape == maps.shape
    assert (share == 1).all() if kind == "none" else ((share > 0) & (share < 1)).all()


def test_attention_to_channels_is_one_number_for_all_places_and_to_places_one_for_all_channels():
    maps = torch.rand(2, 6, 5, 3) + 0.1
    by_channel, by_place = build_attention("se", 6, 2)(maps) / maps, SpatialAttention()(maps) / maps
    torch.testing.assert_close(by_channel, by_channel[:, :, :1, :1].expand_as(maps))
    torch.testing.assert_close(by_place, by_place[:, :1].expand_as(maps))


def test_spatial_attention_is_a_gate_on_mean_and_maximum():
    maps, attention = torch.rand(1, 4, 5, 5), SpatialAttention()
    nn.init.zeros_(attention.convolution.weight)
    attention.convolution.weight.data[0, 1, 3, 3] = 2.0  # the centre, of the maximum alone
    torch.testing.assert_close(attention(maps), maps * (2 * maps.amax(1, keepdim=True)).sigmoid())


def test_the_transformer_block_is_the_pre_norm_one():
    head = HybridHead(
        Head(kind="hybrid", attention="none", transformer_heads=2), widths=(8,), num_classes=3, dropout=0.0
    )
    block, maps = head.transformer, torch.rand(2, 8, 3, 2)
    places = maps.flatten(2).transpose(1, 2)
    assert places.shape == (2, 6, 8)
    normed = block.norm1(places)
    attended = places + block.self_attn(normed, normed, normed)[0]
    expected = attended + block.linear2(block.linear1(block.norm2(attended)).relu())
    fused = head.fusion(expected.mean(1)).relu()
    torch.testing.assert_close(head([maps]), head.output(fused))


def test_heads_must_divide_the_channels():
    with pytest.raises(
        RecipeError, match=r"transformer_heads must divide the 512 channels of the architecture, got 7"
    ):
        build("resnet18", Head(kind="hybrid", transformer_heads=7))


@pytest.mark.parametrize("architecture", [*LIBRARIES, "timm/vit_tiny_patch16_224"])
def test_an_mlp_is_a_hidden_layer_before_the_last(architecture):
    plain, network = build(architecture, Head()), build(architecture, Head(kind="mlp", units=5), dropout=0.5)
    (head,) = (layer for layer in network.module.modules() if isinstance(layer, MlpHead))
    assert (head.hidden.out_features, head.output.in_features, head.output.dropout) == (5, 5, 0.5)
    assert {id(parameter) for parameter in network.head} == {id(parameter) for parameter in head.parameters()}
    assert list(map(len, network.blocks)) == list(map(len, plain.blocks))
    assert network.module.eval()(torch.rand(2, 1, 48, 48)).shape == (2, 7)


@pytest.mark.parametrize("multi_scale", [False, True])
@pytest.mark.parametrize("architecture", LIBRARIES)
def test_all_of_a_hybrid_network_learns(architecture, multi_scale):
    head = Head(**{**vars(SMALL_HYBRID), "multi_scale": multi_scale})
    network = build(architecture, head, image_size=64)
    parts = [*network.blocks, network.head]
    assert (
        len({id(p) for part in parts for p in part})
        == sum(map(len, parts))
        == len(list(network.module.parameters()))
    )
    network.prepare(Phase(epochs=1, learning_rate=1e-3))
    network.train("train")
    logits = network.module(torch.rand(2, 1, 64, 64))
    assert logits.shape == (2, 7)
    logits.logsumexp(1).sum().backward()
    assert [name for name, parameter in network.module.named_parameters() if parameter.grad is None] == []


def test_xception_and_efficientnet_take_the_hybrid_head_too():
    with torch.device("meta"):
        for architecture in (
            "timm/legacy_xception",
            "efficientnet_b3",
            "timm/efficientnet_b0",
            "resnet18-3x3",
        ):
            network = build(architecture, SMALL_HYBRID)
            assert network.module.eval()(torch.zeros(2, 1, 48, 48)).shape == (2, 7)


@pytest.mark.parametrize("architecture", ["timm/vit_tiny_patch16_224", "timm/swin_tiny_patch4_window7_224"])
def test_a_network_without_maps_takes_no_hybrid_head(architecture):
    with (
        torch.device("meta"),
        pytest.raises(
            RecipeError,
            match=(
                r"needs maps \(B, C, H, W\), which timm/\w+ does not give: it returns .*take head 'linear' "
                "or 'mlp'"
            ),
        ),
    ):
        build(architecture, Head(kind="hybrid"), image_size=224)


def test_a_classifier_that_is_no_linear_layer_takes_no_mlp():
    with pytest.raises(RecipeError, match=r"head of timm/levit_128s must be 'linear'"):
        build("timm/levit_128s", Head(kind="mlp"))
