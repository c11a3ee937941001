import pytest
import torch
from timm.optim import param_groups_layer_decay
from torch import nn

from trainables.models.building import build_model
from trainables.models.network import Network
from trainables.recipe.model import Model
from trainables.recipe.optimizer import Optimizer
from trainables.recipe.phase import Phase
from trainables.training.torch_optimizers import build_optimizer, clip_gradients, set_learning_rate


def network(architecture: str = "cnn2-32x64", phase: Phase | None = None) -> Network:
    built = build_model(Model(architecture=architecture), num_classes=3, channels=1, image_size=16, seed=0)
    built.prepare(phase or Phase(epochs=1, learning_rate=1e-3))
    return built


def factors(optimizer: torch.optim.Optimizer) -> dict[int, float]:
    return {
        id(parameter): group["factor"] for group in optimizer.param_groups for parameter in group["params"]
    }


def step(trained: nn.Module, optimizer: torch.optim.Optimizer, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    for parameter in trained.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=random)
    optimizer.step()


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_steps_are_those_of_torch(kind):
    recipe = Optimizer(kind=kind, weight_decay=0.1, momentum=0.8, second_moment=0.95)
    phase = Phase(epochs=1, learning_rate=1e-3, layer_decay=0.5, head_multiplier=3.0)
    ours, theirs = network(phase=phase), network(phase=phase)
    # The head, the last block, and the one before it; weights are decayed, biases and BatchNorm are not.
    groups = [
        {
            "params": [p for p in part.parameters() if (p.ndim > 1) == is_decayed],
            "lr": rate,
            "weight_decay": 0.1 if is_decayed else 0.0,
        }
        for part, rate in (
            (theirs.module.head, 3e-3),
            (theirs.module.blocks[1], 1e-3),
            (theirs.module.blocks[0], 5e-4),
        )
        for is_decayed in (True, False)
    ]
    reference: torch.optim.Optimizer
    match kind:
        case "sgd":
            reference = torch.optim.SGD(groups, momentum=0.8, nesterov=True)
        case "adam":
            reference = torch.optim.Adam(groups, betas=(0.8, 0.95))
        case _:
            reference = torch.optim.AdamW(groups, betas=(0.8, 0.95))
    optimizer = build_optimizer(recipe, ours, phase)
    for seed in range(2):
        step(ours.module, optimizer, seed)
        step(theirs.module, reference, seed)
    for one, other in zip(ours.module.parameters(), theirs.module.parameters(), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("kind", ["adam", "adamw", "sgd"])
def test_an_optimizer_goes_on_from_the_state_of_another(kind):
    phase = Phase(epochs=1, learning_rate=1e-2)
    whole, begun, continued = (network(phase=phase) for _ in range(3))
    recipe = Optimizer(kind=kind)
    first = build_optimizer(recipe, whole, phase)
    before = build_optimizer(recipe, begun, phase)
    step(whole.module, first, seed=0)
    step(begun.module, before, seed=0)
    continued.module.load_state_dict(begun.module.state_dict())
    after = build_optimizer(recipe, continued, phase)
    after.load_state_dict(before.state_dict())
    step(whole.module, first, seed=1)
    step(continued.module, after, seed=1)
    for one, other in zip(whole.module.parameters(), continued.module.parameters(), strict=True):
        assert torch.equal(one, other)
        assert not one.requires_grad or one.grad is not None
    after.zero_grad(set_to_none=True)
    assert all(one.grad is None for one in continued.module.parameters())


@pytest.mark.parametrize("architecture", ["timm/resnet18", "timm/convnext_atto"])
def test_layer_decay_is_that_of_timm_counted_from_the_last_block(architecture):
    phase = Phase(epochs=1, learning_rate=1e-3, layer_decay=0.7, head_multiplier=5.0)
    built = build_model(Model(architecture=architecture), num_classes=3, channels=1, image_size=32, seed=0)
    built.prepare(phase)
    ours = factors(build_optimizer(Optimizer(), built, phase))
    theirs = {
        id(p): group["lr_scale"]
        for group in param_groups_layer_decay(built.module, layer_decay=0.7)
        for p in group["params"]
    }
    for name, parameter in built.module.named_parameters():
        # timm gives the classifier, and the norm before it, 1, and the stem a step of its own; here the last
        # block has the phase's rate.
        if name.startswith(("fc.", "head.fc.")):
            assert ours[id(parameter)] == 5.0
        elif not name.startswith(("conv1.", "bn1.", "stem.", "head.norm.")):
            assert ours[id(parameter)] == pytest.approx(theirs[id(parameter)] / 0.7)
    assert ours[id(built.blocks[0][0])] == pytest.approx(0.7 ** (len(built.blocks) - 1))


def test_the_learning_rate_is_set_by_group():
    phase = Phase(epochs=1, learning_rate=1.0, layer_decay=0.5, head_multiplier=10.0)
    optimizer = build_optimizer(Optimizer(kind="sgd"), network(phase=phase), phase)
    assert sorted({group["lr"] for group in optimizer.param_groups}) == [0.5, 1.0, 10.0]
    set_learning_rate(optimizer, 0.1)
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(
        [0.1 * group["factor"] for group in optimizer.param_groups]
    )


def test_one_rate_for_all_makes_two_groups():
    phase = Phase(epochs=1, learning_rate=1e-3)
    first, second = build_optimizer(Optimizer(weight_decay=0.1), network(phase=phase), phase).param_groups
    assert {parameter.ndim > 1 for parameter in first["params"]} == {True}
    assert {parameter.ndim > 1 for parameter in second["params"]} == {False}
    assert (first["weight_decay"], second["weight_decay"]) == (0.1, 0.0)


def test_frozen_parameters_are_left_out_and_the_last_block_has_the_phases_rate():
    phase = Phase(epochs=1, learning_rate=1e-3, trainable_share=0.5, layer_decay=0.5)
    built = network(phase=phase)
    known = factors(build_optimizer(Optimizer(), built, phase))
    assert known.keys() == {id(parameter) for parameter in (*built.blocks[1], *built.head)}
    assert set(known.values()) == {1.0}


def gradients(clip: str, at: float = 0.5) -> torch.Tensor:
    parameters = [nn.Parameter(torch.zeros(2)), nn.Parameter(torch.zeros(1))]
    parameters[0].grad, parameters[1].grad = torch.tensor([2.0, -0.1]), torch.tensor([1.0])
    clip_gradients(Optimizer(gradient_clip=clip, clip_at=at), parameters)  # type: ignore[arg-type]
    return torch.cat([parameter.grad for parameter in parameters if parameter.grad is not None])


def test_gradients_are_cut_as_the_recipe_says():
    whole = torch.tensor([2.0, -0.1, 1.0])
    assert torch.equal(gradients("none"), whole)
    torch.testing.assert_close(gradients("value"), torch.tensor([0.5, -0.1, 0.5]))
    torch.testing.assert_close(gradients("norm"), whole * 0.5 / whole.norm())
    torch.testing.assert_close(gradients("norm", at=10.0), whole)


def test_cutting_does_not_hide_a_gradient_that_is_no_number():
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([float("nan"), 1.0])
    clip_gradients(Optimizer(gradient_clip="norm"), [parameter])
    assert parameter.grad.isnan().all()
