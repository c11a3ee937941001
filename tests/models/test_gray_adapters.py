import pytest
import torch

from trainables.models.building import IMAGENET_MEAN, IMAGENET_STD, build_model
from trainables.models.network import Network
from trainables.recipe.model import Head, Model
from trainables.recipe.phase import Phase

ADAPTERS = ["replicate", "learned", "convolution"]
ARCHITECTURES = ["resnet18", "mobilenet_v3_small", "timm/convnext_atto"]


def build(
    architecture: str, gray_adapter: str = "sum", *, channels: int = 1, normalisation: str = "dataset"
) -> Network:
    model = Model(architecture=architecture, gray_adapter=gray_adapter)
    return build_model(
        model, num_classes=7, channels=channels, image_size=48, seed=0, normalisation=normalisation
    )


@pytest.mark.parametrize("gray_adapter", ADAPTERS)
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_gray_image_is_at_first_what_it_is_in_colour(architecture, gray_adapter):
    colour, gray = build(architecture, channels=3), build(architecture, gray_adapter)
    images = torch.rand(2, 1, 48, 48)
    expected = colour.module.eval()(images.expand(-1, 3, -1, -1))
    torch.testing.assert_close(gray.module.eval()(images), expected)
    assert gray.module.gray_adapter(images).shape == (2, 3, 48, 48)


@pytest.mark.parametrize("gray_adapter", ADAPTERS)
def test_after_the_architectures_normalisation_each_colour_has_its_own_statistics(gray_adapter):
    pixels = torch.rand(2, 1, 48, 48)
    mean, std = torch.tensor(IMAGENET_MEAN).view(3, 1, 1), torch.tensor(IMAGENET_STD).view(3, 1, 1)
    as_published = (pixels.expand(-1, 3, -1, -1) - mean) / std
    as_normalised = (pixels - mean.mean()) / std.mean()  # what Preprocessing makes of a gray image
    adapter = build("resnet18", gray_adapter, normalisation="architecture").module.gray_adapter
    torch.testing.assert_close(adapter(as_normalised), as_published)


def test_an_adapter_is_ignored_for_colour_images():
    assert (
        build("resnet18", "learned", channels=3).module.state_dict().keys()
        == build("resnet18").module.state_dict().keys()
    )


@pytest.mark.parametrize(
    ("gray_adapter", "num_parameters"), [("replicate", 0), ("learned", 3 + 3), ("convolution", 80 + 219)]
)
def test_an_adapter_trains_whenever_the_head_does(gray_adapter, num_parameters):
    network = build("resnet18", gray_adapter)
    network.prepare(Phase(epochs=1, learning_rate=1e-3, freeze_depth=4))
    adapter = list(network.module.gray_adapter.parameters())
    assert sum(parameter.numel() for parameter in adapter) == num_parameters
    assert (
        sum(parameter.numel() for parameter in network.trainable_parameters()) == num_parameters + 512 * 7 + 7
    )
    network.train("eval_frozen")
    network.module(torch.rand(2, 1, 48, 48)).square().sum().backward()
    # The second convolution starts at zero, and so nothing reaches the first before it has moved.
    assert all(parameter.grad is not None for parameter in adapter)
    assert all(parameter.grad.any() for parameter in adapter[-2:])


def test_adapter_and_hybrid_head_go_together():
    head = Head(kind="hybrid", transformer_heads=1, transformer_widening=1, branches=("a",))
    model = Model(architecture="resnet18", head=head, gray_adapter="convolution")
    network = build_model(model, num_classes=7, channels=1, image_size=48, seed=0)
    parts = [*network.blocks, network.head]
    assert sum(map(len, parts)) == len(list(network.module.parameters()))
    assert network.module.eval()(torch.rand(2, 1, 48, 48)).shape == (2, 7)
