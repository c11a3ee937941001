import pytest
import torch
import torchvision
from torch import nn

from trainables.errors import RecipeError
from trainables.models.building import build_model
from trainables.models.catalogue import architecture_names, find_architecture
from trainables.models.network import Network
from trainables.recipe.model import Model

TIMM = [
    "resnet18",
    "efficientnet_b0",
    "mobilenetv3_small_100",
    "convnext_atto",
    "vit_tiny_patch16_224",
    "levit_128s",
]


def build(
    architecture: str,
    *,
    num_classes: int = 7,
    channels: int = 1,
    image_size: int = 48,
    seed: int = 0,
    dropout: float = 0.0,
    drop_path: float = 0.0,
) -> Network:
    model = Model(architecture=architecture, dropout=dropout, drop_path=drop_path)
    return build_model(model, num_classes=num_classes, channels=channels, image_size=image_size, seed=seed)


def num_parameters(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.module.parameters())


def names_by_stage(network: Network) -> list[set[str]]:
    names = {id(parameter): name for name, parameter in network.module.named_parameters()}
    return [{names[id(parameter)] for parameter in stage} for stage in (*network.stages, network.head)]


PUBLISHED = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "efficientnet_b3": 12_233_232,
    "mobilenet_v3_small": 2_542_856,
    "convnext_tiny": 28_589_128,
    "timm/legacy_xception": 22_855_952,
}


@pytest.mark.parametrize("architecture", PUBLISHED)
def test_parameter_counts_are_the_published_ones(architecture):
    with torch.device("meta"):  # shapes without values
        assert num_parameters(build(architecture, channels=3, num_classes=1000)) == PUBLISHED[architecture]


def test_parameter_counts_of_our_own_networks_are_those_of_their_sources():
    with torch.device("meta"):
        assert num_parameters(build("cnn4-32x256")) == 1_572_551  # source 004
        assert num_parameters(build("cnn4-32x64", image_size=28, num_classes=3)) == 1_690_595  # source 000
        # 4.69 M of convolutions; 2048 * 4096 and 4096 * 4096 of dense layers, as 40 pixels become 2
        assert num_parameters(build("vgg8-64x512", image_size=40)) == 29_890_759
        stem = num_parameters(build("resnet18")) - num_parameters(build("resnet18-3x3"))
        assert stem == 64 * (49 - 9)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    "architecture", [*architecture_names(), "timm/legacy_xception", *(f"timm/{name}" for name in TIMM)]
)
def test_stages_and_head_are_all_parameters_each_once(architecture, channels):
    size = 48 if architecture == "timm/levit_128s" else 45  # LeViT's position biases count whole patches
    with torch.device("meta"):
        network = build(architecture, channels=channels, image_size=size)
        by_stage = names_by_stage(network)
        assert len(network.stages) == find_architecture(architecture).num_stages
        assert all(by_stage)
        assert sum(map(len, by_stage)) == len(set.union(*by_stage)) == len(list(network.module.parameters()))
        assert [parameter for block in network.blocks for parameter in block] == [
            p for stage in network.stages for p in stage
        ]
        assert all(network.blocks)
        assert network.module.eval()(torch.zeros(1, channels, size, size)).shape == (1, 7)


@pytest.mark.parametrize(
    "name", ["resnet18", "resnet50", "mobilenet_v3_small", "efficientnet_b3", "convnext_tiny"]
)
def test_torchvisions_networks_give_torchvisions_logits(name):
    original = getattr(torchvision.models, name)(weights=None, num_classes=7).eval()
    with torch.device("meta"):
        module = build(name, channels=3, image_size=32).module
    module.load_state_dict(original.state_dict(), assign=True)
    images = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(module.eval()(images), original(images))


def test_a_stage_of_a_resnet_is_a_layer_and_the_stem_belongs_to_the_first():
    for architecture in ("resnet18", "timm/resnet18"):
        first, second, third, fourth, head = names_by_stage(build(architecture))
        assert {name.split(".")[0] for name in first} == {"conv1", "bn1", "layer1"}
        assert [{name.split(".")[0] for name in stage} for stage in (second, third, fourth)] == [
            {"layer2"},
            {"layer3"},
            {"layer4"},
        ]
        assert head == {"fc.weight", "fc.bias"}


def test_a_stage_of_a_vision_transformer_is_a_quarter_of_its_blocks_and_tokens_belong_to_the_first():
    first, *others, fourth, head = names_by_stage(build("timm/vit_tiny_patch16_224"))
    assert {"cls_token", "pos_embed", "patch_embed.proj.weight"} < first
    blocks = [
        {name.split(".")[1] for name in stage if name.startswith("blocks")}
        for stage in (first, *others, fourth)
    ]
    assert blocks == [{"0", "1", "2"}, {"3", "4", "5"}, {"6", "7", "8"}, {"9", "10", "11"}]
    assert {"norm.weight", "norm.bias"} < fourth
    assert head == {"head.weight", "head.bias"}


@pytest.mark.parametrize("architecture", ["cnn2-32x64", "resnet18", "timm/mobilenetv3_small_100"])
def test_first_weights_follow_from_the_seed_alone(architecture):
    torch.manual_seed(1)
    one = build(architecture, seed=5).module.state_dict()
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    same, other = (
        build(architecture, seed=5).module.state_dict(),
        build(architecture, seed=6).module.state_dict(),
    )
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize(
    "architecture", ["cnn2-32x64", "cnn4-32x64", "resnet18", "mobilenet_v3_small", "timm/convnext_atto"]
)
def test_dropout_acts_in_training_only(architecture):
    network = build(architecture, dropout=0.5)
    images = torch.rand(2, 1, 48, 48)
    network.train("eval_all")
    assert not torch.equal(network.module(images), network.module(images))
    network.module.eval()
    assert torch.equal(network.module(images), network.module(images))


def test_half_of_the_dropout_acts_after_the_pools_of_source_000():
    network = build("cnn4-32x64", dropout=0.5)
    assert [layer.p for layer in network.module.modules() if isinstance(layer, nn.Dropout)] == [
        0.25,
        0.25,
        0.5,
    ]


@pytest.mark.parametrize(
    "architecture", ["resnet18", "resnet50", "efficientnet_b3", "timm/resnet18", "timm/convnext_atto"]
)
def test_residual_blocks_are_skipped_in_training_only(architecture):
    plain, network = build(architecture, image_size=32), build(architecture, image_size=32, drop_path=0.9)
    images = torch.rand(4, 1, 32, 32)
    assert plain.module.state_dict().keys() == network.module.state_dict().keys()
    for skipping in (plain, network):
        for name, parameter in skipping.module.named_parameters():
            if name.endswith(
                ("bn2.weight", "gamma")
            ):  # timm's residual branches change next to nothing at first
                nn.init.ones_(parameter)
        skipping.train("train")
    assert torch.equal(plain.module(images), plain.module(images))
    assert not torch.equal(network.module(images), network.module(images))
    network.module.load_state_dict(plain.module.state_dict())
    assert torch.equal(network.module.eval()(images), plain.module.eval()(images))


def test_the_chance_to_skip_a_block_grows_linearly_from_zero():
    with torch.device("meta"):
        module = build("resnet18", drop_path=0.7).module
    chances = [layer.p for layer in module.modules() if isinstance(layer, torchvision.ops.StochasticDepth)]
    assert chances == pytest.approx([0.1 * index for index in range(8)])


def test_a_timm_model_without_residual_blocks_takes_no_drop_path():
    with pytest.raises(
        RecipeError, match=r"drop_path of timm/legacy_xception must be 0, .*got 0.1: set drop_path to 0"
    ):
        build("timm/legacy_xception", drop_path=0.1)


def test_a_timm_model_that_cannot_take_the_images_is_refused():
    with pytest.raises(
        RecipeError,
        match=(
            r"timm/dla34 must be a classifier that takes images of 1 channel\(s\) at 48 pixels, and is not: "
            "Sizes"
        ),
    ):
        build("timm/dla34")
