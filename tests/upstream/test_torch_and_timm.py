"""What torch, torchvision and timm do that nobody promised: each test stands for a row of README.md."""

import dis
import inspect
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
import torchvision
from timm.layers.cbam import CbamModule
from timm.models import group_parameters
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models import resnet
from torchvision.models.convnext import CNBlock
from torchvision.models.efficientnet import MBConv
from torchvision.models.mobilenetv3 import InvertedResidual
from torchvision.transforms import v2

from trainables.devices.memory import _PHRASES
from trainables.devices.randomness import seeded
from trainables.devices.tensor_files import load_plain
from trainables.errors import WeightsError
from trainables.models.architectures.architecture import Architecture
from trainables.models.architectures.pyramid_family import ARCHITECTURES as PYRAMIDS
from trainables.models.architectures.pyramid_family import PyramidShape
from trainables.models.architectures.resnet_family import ARCHITECTURES as RESNETS
from trainables.models.pieces import BATCH_NORMS
from trainables.models.pretrained_files import TORCHVISION_URL, checkpoint_folder
from trainables.models.timm_names import timm_names
from trainables.transforms.preprocessing import _without_copy

FILES = [(one.name, one.imagenet_file) for one in (*PYRAMIDS, *RESNETS) if one.imagenet_file]


def test_gamma_is_drawn_from_a_generator() -> None:
    first, again = (
        torch._standard_gamma(torch.full((2, 500), 1.4), generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    )
    assert torch.equal(first, again)
    assert first.mean().item() == pytest.approx(1.4, abs=0.2)


def test_every_batch_norm_is_of_a_public_class() -> None:
    theirs = [
        kind
        for kind in _descendants(_BatchNorm)
        if "quantized" not in kind.__module__ and "Lazy" not in kind.__name__
    ]
    assert {kind.__module__.partition(".")[0] for kind in theirs} >= {"torch", "timm"}
    assert all(issubclass(kind, BATCH_NORMS) for kind in theirs)


def test_every_dropout_of_torch_is_called_so() -> None:
    from torch.nn.modules.dropout import _DropoutNd

    assert all("Dropout" in kind.__name__ for kind in _descendants(_DropoutNd))


def test_a_network_of_timm_drops_out_by_its_drop_rate() -> None:
    network = timm.create_model("resnet18", num_classes=3, drop_rate=0.9).eval()
    image, before = torch.rand(1, 3, 32, 32), network.drop_rate
    assert before == 0.9
    assert torch.equal(network(image), network(image))
    network.training = True  # of the network alone, none of its layers
    assert not torch.equal(network(image), network(image))


def test_the_names_in_timms_sources_are_its_models() -> None:
    assert timm_names() == set(timm.list_models())


def test_timm_says_drop_path_rate_where_it_has_none() -> None:
    with pytest.raises(TypeError, match="drop_path_rate"):
        timm.create_model("vgg11", drop_path_rate=0.1)


def test_timm_takes_weights_from_a_state_dict() -> None:
    donor = timm.create_model("resnet10t", num_classes=1000)
    overlay = {"state_dict": donor.state_dict(), "custom_load": False}
    network = timm.create_model(
        "resnet10t", num_classes=3, in_chans=1, pretrained=True, pretrained_cfg_overlay=overlay
    )
    assert torch.equal(network.layer4[0].conv1.weight, donor.layer4[0].conv1.weight)
    assert "state_dict" in network.pretrained_cfg, "which is taken out, so that it is not kept twice"


@pytest.mark.parametrize("is_coarse", [True, False])
def test_timm_groups_parameters_from_the_stem_to_the_classifier(is_coarse: bool) -> None:
    network = timm.create_model("resnet10t", num_classes=3)
    groups = group_parameters(network, network.group_matcher(coarse=is_coarse))
    first, *_, last = (groups[ordinal] for ordinal in sorted(groups))
    assert first[0] == "conv1.0.weight"
    assert last == ["fc.weight", "fc.bias"]
    assert sorted(key for keys in groups.values() for key in keys) == sorted(
        key for key, _ in network.named_parameters()
    )


def test_a_network_of_timm_ends_with_maps_once_its_classifier_is_reset() -> None:
    network = timm.create_model("resnet10t", num_classes=3).eval()
    network.reset_classifier(0, "")
    image = torch.rand(1, 3, 64, 64)
    last, (third, _) = network.forward_intermediates(image, indices=2)
    assert torch.equal(network.forward_head(last), network(image))
    assert (last.shape[2:], third.shape[2:]) == ((2, 2), (4, 4))


def test_a_transformer_of_timm_names_the_format_of_its_maps() -> None:
    swin = timm.create_model("swin_tiny_patch4_window7_224", depths=(1, 1, 1, 1), num_classes=3)
    assert swin.output_fmt == "NHWC"


def test_timms_cbam_takes_the_width_of_its_bottleneck() -> None:
    assert CbamModule(32, rd_channels=4).channel.fc1.out_channels == 4


@pytest.mark.parametrize(("name", "file"), FILES)
def test_torchvisions_weights_lie_where_they_lay(name: str, file: str) -> None:
    assert torchvision.models.get_model_weights(name).IMAGENET1K_V1.url == TORCHVISION_URL + file


def test_torch_keeps_weights_where_it_kept_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in ("TORCH_HOME", "XDG_CACHE_HOME"):
        assert checkpoint_folder() == Path(torch.hub.get_dir()) / "checkpoints"
        monkeypatch.setenv(variable, str(tmp_path / variable))
    assert checkpoint_folder() == Path(torch.hub.get_dir()) / "checkpoints"


@pytest.mark.parametrize("pyramid", PYRAMIDS, ids=lambda pyramid: pyramid.name)
def test_the_stages_of_torchvisions_networks_begin_where_the_side_is_halved(pyramid: Architecture) -> None:
    module = getattr(torchvision.models, pyramid.name)(weights=None, num_classes=3).eval()
    blocks = {layer for layer in module.modules() if isinstance(layer, CNBlock | MBConv | InvertedResidual)}
    sides, maps = [], torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        for stage in module.features:
            maps = stage(maps)
            sides.append(maps.shape[2])
    assert isinstance(pyramid.shape, PyramidShape)
    ends = [*(start - 1 for start in pyramid.shape.stage_starts[1:]), len(sides) - 1]
    assert [sides[end] for end in ends] == [16, 8, 4, 2], "of 64 pixels"
    assert isinstance(module.features[0][0], nn.Conv2d)
    assert isinstance(module.classifier[-1], nn.Linear)
    assert len(blocks) > 3


@pytest.mark.parametrize("kind", [resnet.BasicBlock, resnet.Bottleneck])
def test_a_residual_block_of_torchvision_has_the_parts_that_ours_uses(kind: type[nn.Module]) -> None:
    depth = 3 if kind is resnet.Bottleneck else 2
    network = torchvision.models.ResNet(kind, [1, 1, 1, 1])
    block = network.layer2[0]
    assert {
        "relu",
        "downsample",
        *(f"conv{i + 1}" for i in range(depth)),
        *(f"bn{i + 1}" for i in range(depth)),
    } == set(dict(block.named_children()))
    parts = ["conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4", "avgpool", "fc"]
    assert [name for name, _ in network.named_children()] == parts


def test_torchvisions_policies_draw_from_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    image, policy = torch.randint(256, (3, 16, 16), dtype=torch.uint8), v2.TrivialAugmentWide()
    drawn = []
    for _ in range(2):
        with seeded(5, "augmentation policy"):
            drawn.append([policy(image) for _ in range(8)])
    assert all(torch.equal(*pair) for pair in zip(*drawn, strict=True))
    assert any(not torch.equal(drawn[0][0], other) for other in drawn[0])


def test_torch_names_the_code_that_it_does_not_load(tmp_path: Path) -> None:
    torch.save({"weights": Path("x")}, tmp_path / "weights.pt")
    with pytest.raises(pickle.UnpicklingError, match="GLOBAL pathlib"):
        torch.load(tmp_path / "weights.pt", weights_only=True)
    with pytest.raises(WeightsError, match=r"holds pathlib\.\w+, which is code"):
        load_plain(tmp_path / "weights.pt")


def test_a_cpu_without_memory_says_so() -> None:
    with pytest.raises(RuntimeError) as exhausted:
        torch.empty(2**50, dtype=torch.float64)
    assert any(phrase in str(exhausted.value) for phrase in _PHRASES)


def test_torch_warns_of_arrays_that_cannot_be_written() -> None:
    images = np.zeros((1, 2, 2, 1), np.uint8)
    images.flags.writeable = False
    torch.set_warn_always(True)  # and not once in a process
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            _without_copy(images)
            with pytest.raises(UserWarning, match="not writable"):
                torch.from_numpy(images)
    finally:
        torch.set_warn_always(False)


def test_an_optimizer_keeps_its_state_by_parameter() -> None:
    layer = nn.Linear(2, 2)
    first, second = (torch.optim.AdamW(layer.parameters(), fused=True) for _ in range(2))
    layer(torch.ones(1, 2)).sum().backward()
    first.step()
    second.state.update(first.state)
    assert second.state[layer.weight]["step"] == 1
    second.step()
    assert second.state[layer.weight]["step"] == 2


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
def test_what_imports_the_compiler_is_wrapped_around_an_optimizer(kind: type[torch.optim.Optimizer]) -> None:
    for method in ("step", "zero_grad", "add_param_group", "state_dict", "load_state_dict"):
        inside = inspect.unwrap(getattr(kind, method))
        assert inside is not getattr(kind, method), "a wrapper that says what it wraps"
        assert "torch._dynamo" not in _imported(inside), method


def test_convolutions_repeat_inside_a_context() -> None:
    before = torch.backends.cudnn.deterministic
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        assert torch.backends.cudnn.deterministic
        assert not torch.backends.cudnn.benchmark
    assert torch.backends.cudnn.deterministic is before


def _descendants(kind: type) -> set[type]:
    return {kind for child in kind.__subclasses__() for kind in (child, *_descendants(child))}


def _imported(function: Callable[..., object]) -> set[str]:
    return {one.argval for one in dis.get_instructions(function) if one.opname == "IMPORT_NAME"}
