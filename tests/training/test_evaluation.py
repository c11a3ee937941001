import dataclasses

import numpy as np
import pytest
import timm  # noqa: F401  # its import takes longer than any test here
import torch
from torch import Tensor, nn
from torchvision.transforms.v2 import functional as torchvision_functional

from trainables.inference import logits as evaluation_module
from trainables.inference.logits import logits_of
from trainables.models.building import build_model
from trainables.recipe.evaluation import Evaluation
from trainables.recipe.model import Model
from trainables.transforms.preprocessing import Preprocessing

CPU = torch.device("cpu")
FLIP, TEN_CROP = Evaluation(views="flip"), Evaluation(views="ten_crop")


class Recorder(nn.Module):
    """Logits that tell left from right and top from bottom; keeps what it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, images_BCSS: Tensor) -> Tensor:
        self.shown.append(images_BCSS)
        side = images_BCSS.shape[3]
        ramp = torch.arange(side) / side
        return 20 * torch.stack(
            (
                (images_BCSS * ramp).mean((1, 2, 3)),
                (images_BCSS * ramp[:, None]).mean((1, 2, 3)),
                images_BCSS.mean((1, 2, 3)) / 2,
            ),
            1,
        )


def stage(crop_margin: int = 0, channels: int = 1) -> Preprocessing:
    side = 8 + crop_margin
    statistics = {"pixel_mean": (0.25,) * channels, "pixel_std": (0.5,) * channels}
    return Preprocessing(
        height=side, width=side, channels=channels, image_size=8, crop_margin=crop_margin, **statistics
    )


def resident(num: int = 7, crop_margin: int = 0, channels: int = 1) -> Tensor:
    side = 8 + crop_margin
    return torch.from_numpy(
        np.random.default_rng(0).integers(0, 256, (num, side, side, channels), dtype=np.uint8)
    )


def log_mean(logits: list[Tensor]) -> Tensor:
    return torch.stack([one.double().softmax(1) for one in logits]).mean(0).log()


@pytest.mark.parametrize("crop_margin", [0, 3])
def test_one_view_gives_the_modules_own_logits_bit_for_bit(crop_margin):
    pixels, images = stage(crop_margin), resident(crop_margin=crop_margin)
    expected = Recorder()(pixels.normalised(pixels.centre(pixels.scaled(images))))
    assert torch.equal(logits_of(Recorder(), pixels, images), expected)
    assert torch.equal(logits_of(Recorder(), pixels, images, Evaluation()), expected)


@pytest.mark.parametrize("margin", [3, 4])
def test_three_sizes_show_the_middle_all_and_what_lies_between(margin):
    module, pixels, images = Recorder(), stage(margin), resident(crop_margin=margin)
    logits = logits_of(module, pixels, images, Evaluation(views="three_sizes"))
    scaled = pixels.scaled(images)
    expected = []
    for side in (8, 8 + 2, 8 + margin):
        middle = torchvision_functional.center_crop(scaled, [side, side]) if margin == 4 else None
        if middle is None:  # an odd margin leaves no one middle: the odd pixel falls away below and right
            first = (8 + margin - side) // 2
            middle = scaled[:, :, first : first + side, first : first + side]
        expected.append(pixels.normalised(torchvision_functional.resize(middle, [8, 8], antialias=True)))
    for shown, view in zip(module.shown, expected, strict=True):
        torch.testing.assert_close(shown, view, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        logits.double(), log_mean([Recorder()(view) for view in expected]), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_ten_crops_are_torchvisions_and_their_probabilities_are_averaged(channels):
    module, pixels, images = Recorder(), stage(4, channels), resident(crop_margin=4, channels=channels)
    logits = logits_of(module, pixels, images, TEN_CROP)
    expected = [
        pixels.normalised(view) for view in torchvision_functional.ten_crop(pixels.scaled(images), [8, 8])
    ]
    assert {view.numpy().tobytes() for view in module.shown} == {view.numpy().tobytes() for view in expected}
    assert len(module.shown) == 10
    torch.testing.assert_close(
        logits.double(), log_mean([Recorder()(view) for view in expected]), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize("crop_margin", [0, 3])
def test_a_mirrored_image_has_the_same_logits_under_flips(crop_margin):
    pixels, images = stage(crop_margin), resident(crop_margin=crop_margin)
    middle = pixels.normalised(pixels.centre(pixels.scaled(images)))
    expected = log_mean([Recorder()(middle), Recorder()(middle.flip(3))])
    torch.testing.assert_close(
        logits_of(Recorder(), pixels, images, FLIP).double(), expected, atol=1e-5, rtol=0
    )
    if not crop_margin:
        mirrored = logits_of(Recorder(), pixels, images.flip(2), FLIP)
        torch.testing.assert_close(mirrored, logits_of(Recorder(), pixels, images, FLIP), atol=1e-6, rtol=0)


def test_views_normalise_each_crop_by_its_own_pixels():
    module, pixels = Recorder(), dataclasses.replace(stage(4), is_per_image=True)
    logits_of(module, pixels, resident(crop_margin=4), TEN_CROP)
    for view in module.shown:
        torch.testing.assert_close(view.mean((1, 2, 3)), torch.zeros(7), atol=1e-6, rtol=0)


@pytest.mark.parametrize("asked", [Evaluation(), FLIP, TEN_CROP])
def test_no_pass_holds_more_pixels_than_one_batch_may(monkeypatch, asked):
    pixels, images = stage(4), resident(25, crop_margin=4)
    whole = logits_of(Recorder(), pixels, images, asked)
    monkeypatch.setattr(evaluation_module, "_PIXELS_PER_BATCH", {"cpu": 10 * 12**2})
    module = Recorder()
    torch.testing.assert_close(logits_of(module, pixels, images, asked), whole)
    assert max(len(view) for view in module.shown) == 10


@pytest.mark.parametrize("logit", [1e4, 1e30])
def test_sure_networks_keep_finite_logits(logit):
    module = Recorder()
    module.forward = lambda images: torch.tensor([[logit, 0.0, -logit]]).expand(len(images), 3)
    assert logits_of(module, stage(), resident(), FLIP).isfinite().all()


class Noisy(nn.Module):
    """All kinds of layers that do another thing in training."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.dropout = nn.Dropout2d(0.5)
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.AlphaDropout(0.3), nn.Linear(16, 3))
        self.modes: list[dict[str, bool]] = []

    def forward(self, images_BCSS: Tensor) -> Tensor:
        self.modes.append({type(layer).__name__: layer.training for layer in self.modules()})
        return self.inner(self.dropout(self.norm(images_BCSS)))


def test_layers_of_dropout_and_no_others_are_in_training_mode():
    module = Noisy().train()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    state = torch.random.get_rng_state()
    logits_of(module, stage(), resident(), Evaluation(dropout_samples=3))
    assert len(module.modes) == 3
    for modes in module.modes:
        assert {name for name, is_training in modes.items() if is_training} == {"Dropout2d", "AlphaDropout"}
    assert not any(layer.training for layer in module.modules())
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert torch.equal(torch.random.get_rng_state(), state)


def test_a_pass_that_fails_leaves_no_dropout_on():
    module = Noisy()
    with pytest.raises(RuntimeError, match="running_mean"):
        logits_of(module, stage(channels=3), resident(channels=3), Evaluation(dropout_samples=3))
    assert not any(layer.training for layer in module.modules())


def test_samples_follow_from_the_seed_and_approach_the_expected_probabilities():
    module = Noisy()
    first, again, other = (
        logits_of(module, stage(), resident(), Evaluation(dropout_samples=5), seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.allclose(first, other, atol=1e-3)
    many, others = (
        logits_of(module, stage(), resident(), Evaluation(dropout_samples=256), seed=seed).softmax(1)
        for seed in (1, 2)
    )
    # Probabilities deviate by at most 0.5 from sample to sample, and so means of 256 by 0.03.
    torch.testing.assert_close(many, others, atol=4 * 0.03 * 2**0.5, rtol=0)


NETWORKS = (
    "cnn2-32x64",
    "cnn4-32x256",
    "resnet18",
    "timm/test_efficientnet",
    "timm/test_resnet",
    "timm/test_vit",
)


@pytest.mark.parametrize("architecture", NETWORKS)
def test_every_network_drops_out_as_its_recipe_says(architecture):
    pixels, images_NHWC = (
        dataclasses.replace(stage(24, channels=3), image_size=32, crop_margin=0),
        resident(4, 24, channels=3),
    )

    def network(dropout: float) -> nn.Module:
        drop_path = 0.0 if architecture.startswith("cnn") else 0.3
        model = Model(architecture=architecture, dropout=dropout, drop_path=drop_path)
        return build_model(model, num_classes=3, channels=3, image_size=32, seed=0).module

    def probabilities(module: nn.Module, samples: int) -> Tensor:
        return logits_of(module, pixels, images_NHWC, Evaluation(dropout_samples=samples)).softmax(1)

    without, with_dropout = network(0.0), network(0.5)
    torch.testing.assert_close(probabilities(without, 2), probabilities(without, 0))
    torch.testing.assert_close(probabilities(with_dropout, 0), probabilities(without, 0))
    assert not torch.allclose(probabilities(with_dropout, 2), probabilities(with_dropout, 0), atol=1e-4)
