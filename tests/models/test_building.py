import pytest
import torch
from torch import nn

from trainables.errors import RecipeError
from trainables.models.building import build_model
from trainables.models.catalogue import architecture_names, find_architecture
from trainables.models.network import Network
from trainables.recipe.model import Model

TIMM = ["resnet18", "efficientnet_b0", "mobilenetv3_small_100", "convnext_atto", "vit_tiny_patch16_224", "levit_128s"]


def build(
    architecture: str, *, num_classes: int = 7, channels: int = 1, image_size: int = 48, seed: int = 0, dropout: float = 0.0
) -> Network:
    model = Model(architecture=architecture, dropout=dropout)
    return build_model(model, num_classes=num_classes, channels=channels, image_size=image_size, seed=seed)


def num_parameters(network: Network) -> int:
    return sum(parameter.numel() for parameter in network.module.parameters())


def names_by_stage(network: Network) -> list[set[str]]:
    names = {id(parameter): name for name, parameter in network.module.named_parameters()}
    return [{names[id(parameter)] for parameter in stage} for stage in (*network.stages, network.head)]


def test_parameter_counts_are_the_published_ones():
    with torch.device("meta"):  # shapes without values
        assert num_parameters(build("cnn4-32x256")) == 1_572_551
        assert num_parameters(build("resnet18", channels=3, num_classes=1000)) == 11_689_512
        assert num_parameters(build("resnet34", channels=3, num_classes=1000)) == 21_797_672
        assert num_parameters(build("resnet50", channels=3, num_classes=1000)) == 25_557_032


@pytest.mark.parametrize("architecture", [*architecture_names(), *(f"timm/{name}" for name in TIMM)])
def test_stages_and_head_are_all_parameters_each_once(architecture):
    network = build(architecture)
    by_stage = names_by_stage(network)
    assert len(network.stages) == find_architecture(architecture).num_stages
    assert all(by_stage)
    assert sum(map(len, by_stage)) == len(set.union(*by_stage)) == len(list(network.module.parameters()))
    assert network.module.eval()(torch.rand(1, 1, 48, 48)).shape == (1, 7)


def test_a_stage_of_a_resnet_is_a_layer_and_the_stem_belongs_to_the_first():
    for architecture in ("resnet18", "timm/resnet18"):
        first, second, third, fourth, head = names_by_stage(build(architecture))
        assert {name.split(".")[0] for name in first} == {"conv1", "bn1", "layer1"}
        assert [{name.split(".")[0] for name in stage} for stage in (second, third, fourth)] == [{"layer2"}, {"layer3"}, {"layer4"}]
        assert head == {"fc.weight", "fc.bias"}


def test_a_stage_of_a_vision_transformer_is_a_quarter_of_its_blocks_and_tokens_belong_to_the_first():
    first, *others, fourth, head = names_by_stage(build("timm/vit_tiny_patch16_224"))
    assert {"cls_token", "pos_embed", "patch_embed.proj.weight"} < first
    blocks = [{name.split(".")[1] for name in stage if name.startswith("blocks")} for stage in (first, *others, fourth)]
    assert blocks == [{"0", "1", "2"}, {"3", "4", "5"}, {"6", "7", "8"}, {"9", "10", "11"}]
    assert {"norm.weight", "norm.bias"} < fourth
    assert head == {"head.weight", "head.bias"}


@pytest.mark.parametrize("architecture", ["cnn4-32x256", "resnet18", "timm/efficientnet_b0", "timm/vit_tiny_patch16_224"])
def test_freezing_from_the_input_leaves_a_smaller_and_smaller_end_trainable(architecture):
    network = build(architecture)
    order = [id(parameter) for stage in (*network.stages, network.head) for parameter in stage]
    for depth in range(len(network.stages) + 1):
        network.freeze(depth)
        num_frozen = sum(map(len, network.stages[:depth]))
        assert [id(parameter) for parameter in network.trainable_parameters()] == order[num_frozen:]
    network.freeze(0)
    assert all(parameter.requires_grad for parameter in network.module.parameters())
    with pytest.raises(RecipeError, match="the number of stages, got 9"):
        network.freeze(9)


def test_only_batch_norm_of_frozen_stages_is_in_evaluation_mode():
    network = build("resnet18")
    network.freeze(1)
    network.train("eval_frozen")
    modes = {name: layer.training for name, layer in network.module.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    assert {name for name, is_training in modes.items() if not is_training} == {
        name for name in modes if name.startswith(("bn1", "layer1"))
    }
    assert network.module.fc.training


@pytest.mark.parametrize("architecture", ["cnn2-32x64", "resnet18", "timm/mobilenetv3_small_100"])
def test_first_weights_follow_from_the_seed_alone(architecture):
    torch.manual_seed(1)
    one = build(architecture, seed=5).module.state_dict()
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    same, other = build(architecture, seed=5).module.state_dict(), build(architecture, seed=6).module.state_dict()
    assert torch.equal(torch.random.get_rng_state(), before)
    assert all(torch.equal(one[key], same[key]) for key in one)
    assert any(not torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("architecture", ["cnn2-32x64", "cnn4-64x512", "resnet18", "timm/convnext_atto"])
def test_dropout_acts_in_training_only(architecture):
    network = build(architecture, dropout=0.5)
    images = torch.rand(2, 1, 48, 48)
    network.train("eval_all")
    assert not torch.equal(network.module(images), network.module(images))
    network.module.eval()
    assert torch.equal(network.module(images), network.module(images))


def test_a_timm_model_that_cannot_take_the_images_is_refused():
    with pytest.raises(
        RecipeError, match=r"timm/dla34 must be a classifier that takes images of 1 channel\(s\) at 48 pixels, and is not: Sizes"
    ):
        build("timm/dla34")
