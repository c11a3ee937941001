import copy
import io

import numpy as np
import pytest
import torch
from timm.utils import ModelEmaV3
from torch import nn
from torch.optim.swa_utils import AveragedModel

from trainables.training.weight_average import WeightAverage


def small_network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


def walk(module, seed):
    """Changes all parameters and BatchNorm's statistics."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator))
    module.train()(torch.randn(5, 1, 4, 4, generator=generator))


def test_the_average_is_the_weighted_sum_of_all_weights_it_saw():
    module = small_network()
    average, seen = WeightAverage(module, 0.5, 4), [module[0].weight.detach().double().numpy().copy()]
    for step in range(30):
        walk(module, step)
        average.update(module)
        seen.append(module[0].weight.detach().double().numpy().copy())
    decays = [min(2 ** (-1 / 2), (1 + n) / (10 + n)) for n in range(30)]
    shares = [np.prod(decays)] + [(1 - decays[n]) * np.prod(decays[n + 1 :]) for n in range(30)]
    assert sum(shares) == pytest.approx(1)
    expected = np.tensordot(shares, np.array(seen), 1)
    np.testing.assert_allclose(average.module[0].weight.detach().numpy(), expected, rtol=1e-4, atol=1e-6)


def test_after_its_warm_up_it_is_timms_and_torchs_average():
    module = small_network()
    average = WeightAverage(module, 1.0, 3)
    for step in range(40):  # (1 + n) / (10 + n) passes 0.5 ** (1 / 3) at n = 34
        walk(module, step)
        average.update(module)
    decay = 0.5 ** (1 / 3)
    timms = ModelEmaV3(average.module, decay=decay)
    torchs = AveragedModel(
        average.module, avg_fn=lambda old, now, _: decay * old + (1 - decay) * now, use_buffers=False
    )
    torchs.n_averaged += 1  # it would take the first weights whole
    for step in range(5):
        walk(module, 100 + step)
        average.update(module)
        timms.update(module)
        torchs.update_parameters(module)
    for name, tensor in average.module.state_dict().items():
        torch.testing.assert_close(tensor, timms.module.state_dict()[name])
    for ours, theirs in zip(average.module.parameters(), torchs.module.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)


def test_a_steps_share_halves_every_half_life():
    module = nn.Linear(1, 1, bias=False)
    average = WeightAverage(module, 2.0, 5)
    nn.init.ones_(module.weight)
    for _ in range(200):
        average.update(module)
    torch.testing.assert_close(average.module.weight, torch.ones(1, 1))
    nn.init.zeros_(module.weight)
    for expected in (0.5, 0.25):
        for _ in range(10):
            average.update(module)
        assert average.module.weight.item() == pytest.approx(expected, rel=1e-4)


def test_statistics_are_averaged_and_counts_copied():
    module = small_network()
    average = WeightAverage(module, 10.0, 100)
    before = average.module[1].running_mean.clone()
    walk(module, 0)
    average.update(module)
    torch.testing.assert_close(average.module[1].running_mean, 0.1 * before + 0.9 * module[1].running_mean)
    assert average.module[1].num_batches_tracked == module[1].num_batches_tracked == 1


def test_the_module_is_left_alone_and_the_average_keeps_its_memory_format():
    module = small_network().to(memory_format=torch.channels_last)
    before = copy.deepcopy(module.state_dict())
    average = WeightAverage(module, 1.0, 10)
    average.update(module)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert [t.stride() for t in average.module.parameters()] == [t.stride() for t in module.parameters()]
    assert all(parameter.grad_fn is None for parameter in average.module.parameters())


def test_a_shared_tensor_is_averaged_once():
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[1].weight = module[0].weight
    average = WeightAverage(module, 10.0, 100)
    expected = 0.1 * module[0].weight.detach() + 0.9 * (module[0].weight.detach() + 1)
    with torch.no_grad():
        module[0].weight += 1
    average.update(module)
    assert average.module[1].weight is average.module[0].weight
    torch.testing.assert_close(average.module[0].weight.detach(), expected)


def test_saving_and_loading_changes_no_bit():
    module = small_network()
    straight = WeightAverage(module, 1.0, 4)
    for step in range(3):
        walk(module, step)
        straight.update(module)
    file = io.BytesIO()
    torch.save(straight.state_dict(), file)
    file.seek(0)
    resumed = WeightAverage(small_network(seed=1), 1.0, 4)
    resumed.load_state_dict(torch.load(file, weights_only=True))
    for step in range(3, 6):
        walk(module, step)
        straight.update(module)
        resumed.update(module)
    for ours, theirs in zip(
        resumed.module.state_dict().values(), straight.module.state_dict().values(), strict=True
    ):
        assert torch.equal(ours, theirs)


def test_an_update_reads_nothing_from_the_device():
    module = small_network().to("meta")  # where reading a value raises, as it would make a GPU wait
    average = WeightAverage(module, 1.0, 4)
    average.update(module)
    average.update(module)
    assert average.module[0].weight.is_meta
