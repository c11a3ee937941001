import pytest
import torch
from torch import nn

from trainables.errors import RecipeError
from trainables.models.building import build_model
from trainables.models.network import Network
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase


def build(architecture: str, *, image_size: int = 48) -> Network:
    return build_model(
        Model(architecture=architecture), num_classes=7, channels=1, image_size=image_size, seed=0
    )


def phase(
    *,
    freeze_depth: int = 0,
    range_end: int | None = None,
    trainable_share: float | None = None,
    learning_rate: float = 1e-3,
) -> Phase:
    return Phase(
        epochs=1,
        learning_rate=learning_rate,
        freeze_depth=freeze_depth,
        range_end=range_end,
        trainable_share=trainable_share,
    )


def trainable_names(network: Network) -> set[str]:
    return {name for name, parameter in network.module.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    "architecture",
    ["cnn4-32x256", "cnn4-32x64", "resnet18", "timm/efficientnet_b0", "timm/vit_tiny_patch16_224"],
)
def test_freezing_from_the_input_leaves_a_smaller_and_smaller_end_trainable(architecture):
    network = build(architecture)
    order = [id(parameter) for stage in (*network.stages, network.head) for parameter in stage]
    for depth in range(len(network.stages) + 1):
        network.prepare(phase(freeze_depth=depth))
        num_frozen = sum(map(len, network.stages[:depth]))
        assert [id(parameter) for parameter in network.trainable_parameters()] == order[num_frozen:]
    network.prepare(phase())
    assert all(parameter.requires_grad for parameter in network.module.parameters())


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        # Source 002 trains Keras's layers from 160, 140 and 100 of 175 on: in whole blocks, the last 1, 3 and
        # 7 of 16.
        (1 / 16, ("layer4.2.",)),
        (3 / 16, ("layer4.",)),
        (7 / 16, ("layer3.2.", "layer3.3.", "layer3.4.", "layer3.5.", "layer4.")),
        (0.0, ()),
        (1e-9, ("layer4.2.",)),
        (1.0, ("conv1.", "bn1.", "layer")),
    ],
)
def test_a_share_of_the_blocks_trains_counted_from_the_head(share, expected):
    with torch.device("meta"):  # shapes without values
        network = build("resnet50")
    network.prepare(phase(trainable_share=share))
    assert trainable_names(network) == {
        name for name, _ in network.module.named_parameters() if name.startswith((*expected, "fc."))
    }


def test_a_range_of_stages_trains_and_the_head():
    network = build("resnet18")
    network.prepare(phase(freeze_depth=1, range_end=3))
    assert {name.split(".")[0] for name in trainable_names(network)} == {"layer2", "layer3", "fc"}
    network.prepare(phase(range_end=4))
    assert len(trainable_names(network)) == len(list(network.module.parameters()))


def test_more_stages_than_there_are_cannot_be_counted():
    network = build("cnn2-32x64")
    with pytest.raises(RecipeError, match=r"freeze_depth must lie in \[0, 2\], the number of stages, got 3"):
        network.prepare(phase(freeze_depth=3))
    with pytest.raises(RecipeError, match=r"range_end must lie in \[0, 2\], the number of stages, got 4"):
        network.prepare(phase(range_end=4))


@pytest.mark.parametrize(
    ("architecture", "num_blocks"),
    [
        ("cnn4-32x64", (2, 2)),
        ("vgg8-64x512", (2, 2, 2, 2)),
        ("resnet34", (3, 4, 6, 3)),
        ("efficientnet_b3", (5, 3, 10, 8)),
        ("mobilenet_v3_small", (1, 2, 5, 3)),
        ("convnext_tiny", (3, 3, 9, 3)),
        ("timm/resnet50", (3, 4, 6, 3)),
        ("timm/legacy_xception", (4, 3, 3, 3)),
        ("timm/convnext_atto", (2, 2, 6, 2)),
        ("timm/vit_tiny_patch16_224", (3, 3, 3, 3)),
    ],
)
def test_a_stage_is_a_run_of_blocks(architecture, num_blocks):
    with torch.device("meta"):
        network = build(architecture)
    assert tuple(map(len, network.blocks_by_stage)) == num_blocks


@pytest.mark.parametrize(
    ("architecture", "first", "last"),
    [
        ("resnet18", {"conv1.weight", "bn1.weight", "layer1.0.conv1.weight"}, {"layer4.1.bn2.bias"}),
        (
            "mobilenet_v3_small",
            {"features.0.0.weight", "features.1.block.0.0.weight"},
            {"features.12.0.weight", "classifier.0.weight"},
        ),
        (
            "convnext_tiny",
            {"features.0.0.weight", "features.1.0.layer_scale"},
            {"features.7.2.layer_scale", "classifier.0.bias"},
        ),
        (
            "timm/convnext_atto",
            {"stem.0.weight", "stages.0.blocks.0.gamma"},
            {"stages.3.blocks.1.gamma", "head.norm.weight"},
        ),
    ],
)
def test_the_stem_belongs_to_the_first_block_and_what_comes_before_the_classifier_to_the_last(
    architecture, first, last
):
    with torch.device("meta"):
        network = build(architecture)
    names = {id(parameter): name for name, parameter in network.module.named_parameters()}
    assert first <= {names[id(parameter)] for parameter in network.blocks[0]}
    assert last <= {names[id(parameter)] for parameter in network.blocks[-1]}


def test_only_batch_norm_of_frozen_stages_is_in_evaluation_mode():
    network = build("resnet18")
    network.prepare(phase(freeze_depth=1, range_end=3))
    network.train("eval_frozen")
    modes = {
        name: layer.training
        for name, layer in network.module.named_modules()
        if isinstance(layer, nn.BatchNorm2d)
    }
    frozen = ("bn1", "layer1", "layer4")
    assert {name for name, is_training in modes.items() if not is_training} == {
        name for name in modes if name.startswith(frozen)
    }
    assert network.module.fc.training
