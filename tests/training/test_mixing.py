import numpy as np
import pytest
import torch
from scipy import stats
from waiting import NoReads

from trainables.recipe.augmentation import Mixing
from trainables.transforms.mixing import Mixed, mix


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def numbered(num: int, side: int, channels: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Images each of one value, its label."""
    labels = torch.arange(num)
    return labels[:, None, None, None].float().expand(num, channels, side, side).clone(), labels


def mixed(
    kind: str, num: int = 20, side: int = 9, *, seed: int = 0, progress: float = 0.0, **fields: float
) -> Mixed:
    return mix(*numbered(num, side), Mixing(kind=kind, **fields), generator(seed), progress)


@pytest.mark.parametrize("alpha", [0.1, 0.4, 1.0, 8.0])
def test_mixups_share_follows_beta(alpha):
    share = mixed("mixup", 4000, 1, alpha=alpha).share_B.double().numpy()
    assert share.mean() == pytest.approx(0.5, abs=4 * 0.5 / 4000**0.5)
    assert share.var() == pytest.approx(0.25 / (2 * alpha + 1), rel=0.1)
    # Beta is symmetric, and float32 rounds only those of its shares to an end that lie near 1.
    assert stats.kstest(share[share < 0.5], lambda x: 2 * stats.beta.cdf(x, alpha, alpha)).pvalue > 0.001


@pytest.mark.parametrize("alpha", [1e-30, 1e-3, 1e3])
def test_no_alpha_makes_a_share_that_is_no_number(alpha):
    share = mixed("mixup", 2000, 1, alpha=alpha).share_B
    assert ((share >= 0) & (share <= 1)).all()
    assert share.mean() == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(("side", "channels"), [(9, 1), (16, 3)])
def test_mixup_is_the_weighted_mean_of_two_images(side, channels):
    images, labels = numbered(20, side, channels)
    result = mix(images, labels, Mixing(kind="mixup"), generator(), 0.0)
    assert sorted(result.others_B.tolist()) == labels.tolist()
    expected = result.share_B * labels + (1 - result.share_B) * result.others_B
    torch.testing.assert_close(result.images_BCSS, expected[:, None, None, None].expand_as(images))
    assert torch.equal(images, numbered(20, side, channels)[0])


@pytest.mark.parametrize(("side", "channels"), [(9, 1), (16, 3)])
def test_cutmix_puts_one_rectangle_of_the_other_in_and_its_share_is_exact(side, channels):
    images, labels = numbered(60, side, channels)
    result = mix(images, labels, Mixing(kind="cutmix"), generator(), 0.0)
    assert torch.equal(images, numbered(60, side, channels)[0])
    is_paired = result.others_B != labels
    assert is_paired.sum() > 50
    is_other = result.images_BCSS == result.others_B[:, None, None, None]
    assert (is_other | (result.images_BCSS == images)).all()
    assert torch.equal(is_other.all(1), is_other.any(1))
    replaced = is_other[:, 0].float().mean((1, 2))
    torch.testing.assert_close(1 - result.share_B[is_paired], replaced[is_paired])
    for mask in is_other[is_paired][:, 0].numpy():
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        assert mask.sum() == len(rows) * len(columns)
        assert all((np.diff(along) == 1).all() for along in (rows, columns))


@pytest.mark.parametrize("alpha", [0.3, 1.0])
def test_cutmixs_share_is_distributed_as_in_the_papers_code(alpha):
    side, num = 32, 4000
    ours = mixed("cutmix", num, side, alpha=alpha).share_B.numpy()
    draws = np.random.default_rng(0)
    cut = (side * np.sqrt(1 - draws.beta(alpha, alpha, num))).astype(int)
    centre = draws.integers(0, side, (2, num))
    height, width = np.clip(centre + cut // 2, 0, side) - np.clip(centre - cut // 2, 0, side)
    theirs = 1 - height * width / side**2
    assert ours.mean() == pytest.approx(theirs.mean(), abs=0.03)
    assert ours.std() == pytest.approx(theirs.std(), abs=0.02)
    assert np.quantile(ours, [0.1, 0.5, 0.9]) == pytest.approx(np.quantile(theirs, [0.1, 0.5, 0.9]), abs=0.05)


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_nothing_is_mixed_at_the_end(kind):
    epochs = 10
    for off in range(epochs + 1):
        mixes = [
            mixed(kind, progress=epoch / epochs, off_fraction=off / epochs).others_B is not None
            for epoch in range(epochs)
        ]
        assert mixes == [True] * (epochs - off) + [False] * off


def test_what_is_not_mixed_is_the_batch_itself():
    images, labels = numbered(5, 4)
    for mixing in (Mixing(), Mixing(kind="mixup", probability=0.0), Mixing(kind="cutmix", off_fraction=1.0)):
        result = mix(images, labels, mixing, generator(), 0.0)
        assert result.images_BCSS is images
        assert result.others_B is None
        assert result.share_B is None


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_a_batch_is_mixed_whole_or_not_at_all(kind):
    batches = [mixed(kind, num=8, seed=seed, probability=0.3) for seed in range(200)]
    is_mixed = np.array([bool((batch.share_B < 1).any()) for batch in batches])
    assert is_mixed.mean() == pytest.approx(0.3, abs=0.12)
    for batch in np.array(batches, dtype=object)[~is_mixed]:
        assert torch.equal(batch.images_BCSS, numbered(8, 9)[0])


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_the_same_seed_replays_the_same_mixture_and_nothing_waits(kind):
    state = torch.random.get_rng_state()
    with NoReads():
        first, again, other = (mixed(kind, seed=seed, probability=0.9) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.equal(first.images_BCSS, again.images_BCSS)
    assert torch.equal(first.share_B, again.share_B)
    assert not torch.equal(first.others_B, other.others_B)
    assert mixed(kind, num=1).images_BCSS.unique().tolist() == [0.0]
