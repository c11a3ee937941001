import dataclasses
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import get_model_weights

from trainables.errors import RecipeError, WeightsError
from trainables.models.building import build_model
from trainables.models.catalogue import architecture_names, find_architecture
from trainables.models.network import Network
from trainables.models.pretrained_files import TORCHVISION_URL, ensure_weights
from trainables.recipe.model import Head, Model


@pytest.fixture(autouse=True)
def _empty_caches_and_no_network(tmp_path, monkeypatch):
    """No weights on this machine, and a proxy that refuses every connection at once."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    # Read from the environment when huggingface_hub is imported, which has happened.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hugging_face"))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)


def build(
    weights: str | Path = "none",
    *,
    architecture: str = "cnn2-32x64",
    num_classes: int = 3,
    channels: int = 1,
    image_size: int = 8,
    seed: int = 0,
) -> Network:
    model = Model(architecture=architecture, weights=str(weights))
    return build_model(model, num_classes=num_classes, channels=channels, image_size=image_size, seed=seed)


def saved(state: object, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(state, path)
    return path


@pytest.mark.parametrize("wrapping", ["plain", "state_dict", "module", "half", "safetensors"])
def test_a_state_dict_comes_back_however_it_was_saved(tmp_path, wrapping):
    state = build(seed=1).module.state_dict()
    path = tmp_path / "weights.pt"
    match wrapping:
        case "plain":
            saved(state, path)
        case "state_dict":
            saved({"state_dict": state, "epoch": 3}, path)
        case "module":
            saved({f"module.{key}": tensor for key, tensor in state.items()}, path)
        case "half":
            saved(
                {
                    key: tensor.half() if tensor.is_floating_point() else tensor
                    for key, tensor in state.items()
                },
                path,
            )
        case "safetensors":
            path = tmp_path / "weights.safetensors"
            save_file(state, path)
    loaded = build(path).module.state_dict()
    for key, tensor in state.items():
        assert loaded[key].dtype == tensor.dtype
        torch.testing.assert_close(loaded[key], tensor, atol=1e-3 if wrapping == "half" else 0, rtol=0)


@pytest.mark.parametrize("architecture", ["cnn2-32x64", "resnet18", "timm/resnet18"])
def test_another_number_of_classes_keeps_the_classifiers_first_values(tmp_path, architecture):
    theirs = build(architecture=architecture, image_size=32, num_classes=5, seed=1)
    path = saved(theirs.module.state_dict(), tmp_path / "weights.pt")
    fresh = build(architecture=architecture, image_size=32).module.state_dict()
    loaded = build(path, architecture=architecture, image_size=32)
    for key, tensor in loaded.module.state_dict().items():
        expected = fresh if key in loaded.classifier_keys else theirs.module.state_dict()
        assert torch.equal(tensor, expected[key]), key


def test_a_colour_stem_becomes_gray_such_that_gray_images_give_the_same_logits(tmp_path):
    colour = build(architecture="resnet18", channels=3, image_size=32, seed=1)
    path = saved(colour.module.state_dict(), tmp_path / "weights.pt")
    gray = build(path, architecture="resnet18", image_size=32)
    images = torch.rand(2, 1, 32, 32)
    colour.module.eval(), gray.module.eval()
    torch.testing.assert_close(
        gray.module(images), colour.module(images.expand(-1, 3, -1, -1)), atol=1e-4, rtol=1e-4
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda state: {key: state[key] for key in list(state)[4:]},
            r"4 missing \(blocks.0.0.weight, blocks.0.0.bias, .*, \.\.\.\)",
        ),
        (lambda state: state | {"extra": torch.zeros(1)}, r"1 unexpected \(extra\)"),
        (
            lambda state: state | {"head.0.bias": torch.zeros(9)},
            r"1 of another shape \(head.0.bias \(9,\) in place of \(128,\)\)",
        ),
        (lambda state: [1, 2], "must hold tensors by name"),
        (lambda state: {"epoch": 3}, "must hold tensors by name"),
    ],
)
def test_weights_that_do_not_fit_are_refused_by_name(tmp_path, change, message):
    path = saved(change(build().module.state_dict()), tmp_path / "weights.pt")
    with pytest.raises(WeightsError, match=message):
        build(path)


@pytest.mark.parametrize("name", ["weights.pt", "weights.safetensors"])
def test_a_file_that_holds_no_weights_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"not a checkpoint at all")
    with pytest.raises(
        WeightsError,
        match=r"must be a file of torch.save, or of safetensors .*and it is neither",
    ):
        build(tmp_path / name)


class _Command:
    def __reduce__(self):
        return os.system, ("echo ran > ran",)


def test_code_in_a_file_is_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved({"weight": _Command()}, tmp_path / "weights.pt")
    with pytest.raises(WeightsError, match=r"holds (posix\.)?system, which is code"):
        build(path)
    assert not (tmp_path / "ran").exists()


def test_a_path_that_does_not_exist_is_refused():
    with pytest.raises(
        WeightsError, match=r"must be 'none', 'imagenet' or the path of a file, got 'nowhere\.pt'"
    ):
        ensure_weights(Model(architecture="resnet18", weights="nowhere.pt"))


def test_without_network_the_answer_names_the_file_its_address_and_the_alternative(tmp_path):
    with pytest.raises(WeightsError) as caught:
        ensure_weights(Model(architecture="resnet18", weights="imagenet"))
    file = tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth"
    message = str(caught.value)
    assert (
        f"fetch https://download.pytorch.org/models/resnet18-f37072fd.pth elsewhere and put it at {file}"
        in message
    )
    assert "or set weights to the path of a state dict" in message
    assert not file.exists()


def test_imagenet_weights_in_torchs_cache_need_no_network(tmp_path):
    pretrained = build(
        architecture="resnet18", num_classes=1000, channels=3, image_size=32, seed=1
    ).module.state_dict()
    saved(pretrained, tmp_path / "torch" / "hub" / "checkpoints" / "resnet18-f37072fd.pth")
    model = Model(architecture="resnet18", weights="imagenet")
    ensure_weights(model)
    loaded = build_model(model, num_classes=3, channels=3, image_size=32, seed=0).module.state_dict()
    assert torch.equal(loaded["layer4.1.conv2.weight"], pretrained["layer4.1.conv2.weight"])
    assert loaded["fc.weight"].shape == (3, 512)


def test_without_network_timm_answers_the_same_and_takes_the_file_from_there(tmp_path):
    model = Model(architecture="timm/vit_tiny_patch16_224", weights="imagenet")
    file = (
        tmp_path
        / "torch"
        / "hub"
        / "checkpoints"
        / "timm--vit_tiny_patch16_224.augreg_in21k_ft_in1k.safetensors"
    )
    with pytest.raises(
        WeightsError, match=f"vit_tiny_patch16_224.*/model.safetensors elsewhere and put it at {file}"
    ):
        ensure_weights(model)
    pretrained = build(
        architecture=model.architecture, num_classes=1000, channels=3, image_size=224, seed=1
    ).module.state_dict()
    file.parent.mkdir(parents=True)
    save_file(pretrained, file)
    # Gray, smaller, with other classes: timm sums the stem and resizes the position embeddings.
    network = build_model(model, num_classes=3, channels=1, image_size=48, seed=0)
    loaded = network.module.state_dict()
    assert torch.equal(loaded["blocks.11.mlp.fc2.weight"], pretrained["blocks.11.mlp.fc2.weight"])
    assert network.module(torch.rand(1, 1, 48, 48)).shape == (1, 3)
    file.write_bytes(b"cut off")
    with pytest.raises(WeightsError, match="must be a file of safetensors"):
        build_model(model, num_classes=3, channels=1, image_size=48, seed=0)


@pytest.mark.parametrize("name", ["timm/resnet18.nobody", "timm/vit_tiny_patch16_18x2_224", "cnn2-32x64"])
def test_imagenet_weights_that_nobody_published_are_refused(name):
    with pytest.raises(RecipeError, match=r"no weights|knows no weights|unknown architecture"):
        ensure_weights(Model(architecture=name, weights="imagenet"))


@pytest.mark.parametrize(
    "name", [name for name in architecture_names() if find_architecture(name).imagenet_file]
)
def test_the_files_of_torchvision_are_those_that_it_names_itself(name):
    assert (
        get_model_weights(name)["IMAGENET1K_V1"].url
        == f"{TORCHVISION_URL}{find_architecture(name).imagenet_file}"
    )


HEADS = {
    "linear": Head(),
    "mlp": Head(kind="mlp", units=8),
    "hybrid": Head(
        kind="hybrid",
        attention_reduction=32,
        transformer_heads=1,
        transformer_widening=1,
        branches=("a",),
        branch_units=4,
    ),
}


@pytest.mark.parametrize("architecture", ["resnet18", "mobilenet_v3_small", "timm/convnext_atto"])
@pytest.mark.parametrize(
    ("before", "after"), [("linear", "mlp"), ("linear", "hybrid"), ("hybrid", "linear"), ("mlp", "hybrid")]
)
def test_a_backbone_takes_its_weights_under_any_head(tmp_path, architecture, before, after):
    models = {kind: Model(architecture=architecture, head=head) for kind, head in HEADS.items()}
    options = {"num_classes": 3, "channels": 3, "image_size": 32}
    theirs = build_model(models[before], **options, seed=1)
    path = saved(theirs.module.state_dict(), tmp_path / "weights.pt")
    fresh = build_model(models[after], **options, seed=0)
    loaded = build_model(dataclasses.replace(models[after], weights=str(path)), **options, seed=0)
    for one, other in zip(loaded.blocks, theirs.blocks, strict=True):
        # MobileNet's last block holds a layer that the hybrid head takes out.
        assert all(torch.equal(*pair) for pair in zip(one, other, strict=False))
    assert all(torch.equal(*pair) for pair in zip(loaded.head, fresh.head, strict=True))


@pytest.mark.parametrize("kind", ["mlp", "hybrid"])
def test_the_same_head_takes_its_weights_but_for_a_classifier_of_other_classes(tmp_path, kind):
    model = Model(architecture="resnet18", head=HEADS[kind], gray_adapter="learned")
    theirs = build_model(model, num_classes=5, channels=1, image_size=32, seed=1).module.state_dict()
    path = saved(theirs, tmp_path / "weights.pt")
    fresh = build_model(model, num_classes=3, channels=1, image_size=32, seed=0).module.state_dict()
    loaded = build_model(
        dataclasses.replace(model, weights=str(path)), num_classes=3, channels=1, image_size=32, seed=0
    )
    assert len(loaded.classifier_keys) == 2
    for key, tensor in loaded.module.state_dict().items():
        assert torch.equal(tensor, (fresh if key in loaded.classifier_keys else theirs)[key]), key


@pytest.mark.parametrize("gray_adapter", ["replicate", "learned", "convolution"])
def test_colour_weights_load_unchanged_behind_a_gray_adapter(tmp_path, gray_adapter):
    colour = build(architecture="resnet18", channels=3, image_size=32, seed=1)
    path = saved(colour.module.state_dict(), tmp_path / "weights.pt")
    model = Model(architecture="resnet18", weights=str(path), gray_adapter=gray_adapter)
    gray = build_model(model, num_classes=3, channels=1, image_size=32, seed=0)
    images = torch.rand(2, 1, 32, 32)
    expected = colour.module.eval()(images.expand(-1, 3, -1, -1))
    torch.testing.assert_close(gray.module.eval()(images), expected)


def test_an_adapters_fixed_scales_follow_from_the_recipe_and_not_from_the_file(tmp_path):
    model = Model(architecture="resnet18", gray_adapter="replicate")
    options = {"num_classes": 3, "channels": 1, "image_size": 32}
    theirs = build_model(model, **options, seed=1, normalisation="architecture")
    path = saved(theirs.module.state_dict(), tmp_path / "weights.pt")
    loaded = build_model(
        dataclasses.replace(model, weights=str(path)), **options, seed=0, normalisation="zero_one"
    )
    assert torch.equal(loaded.module.gray_adapter.scale.flatten(), torch.ones(3))
    assert torch.equal(loaded.blocks[0][0], theirs.blocks[0][0])
