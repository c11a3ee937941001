"""What follows from measurements: plain numbers in, trials on a GPU and a sentence out."""

from cluster.nodes import Node
from study.execution.gpu_sharing import largest_share
from study.execution.memory_probe import Probed
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.probe_result import DeviceMemory, Probe

GB = 10**9


def recipe(architecture: str, image_size: int) -> Recipe:
    phases = (Phase(epochs=1, learning_rate=1e-3),)
    return Recipe(
        data=Data(image_size=image_size),
        model=Model(architecture=architecture),
        phases=phases,
        batch_size=128,
    )


def probed(total: int, *peaks: int) -> Probed:
    probes = tuple(
        Probe(peak_bytes=peak, images_per_second=None if peak == total else 2100.4) for peak in peaks
    )
    return Probed(probes=probes, memory=DeviceMemory(total=total, overhead=GB))


def test_the_largest_configuration_decides_and_the_reason_is_told() -> None:
    have = [Node(num_cpus=16, num_gpus=1, gpu_kind="H200")]
    recipes = (recipe("resnet18", 224), recipe("resnet50", 224))
    share = largest_share(recipes, {"H200": probed(139 * GB, GB, 3_100_000_000)}, have, 4, 40)
    assert share.gpus_per_trial == 0.25
    assert share.reason == (
        "4 trials on each GPU: the largest configuration, resnet50 at 224 px with batch 128, took 3.1 of 139 "
        "GB and trained 2,100 images/s "
        "alone; limited by 16 cores for each GPU"
    )
    assert share.overhead_bytes == GB
    assert [one["configuration"] for one in share.measured] == [
        "resnet18 at 224 px with batch 128",
        "resnet50 at 224 px with batch 128",
    ]


def test_of_several_kinds_the_smallest_decides() -> None:
    have = [Node(num_cpus=64, num_gpus=4, gpu_kind="T4"), Node(num_cpus=64, num_gpus=2, gpu_kind="H200")]
    kinds = {"H200": probed(139 * GB, 6 * GB), "T4": probed(16 * GB, 6 * GB)}
    share = largest_share((recipe("resnet50", 224),), kinds, have, 1, 40)
    assert share.gpus_per_trial == 0.5
    assert share.gpu_kinds == ("H200", "T4")
    assert share.reason is not None
    assert "2 trials on each GPU, by what T4 has, the smallest: " in share.reason
    assert share.reason.endswith("took 6.0 of 16 GB and trained 2,100 images/s alone; limited by its memory")


def test_what_fills_a_gpu_has_it_for_itself() -> None:
    have = [Node(num_cpus=8, num_gpus=1, gpu_kind=None)]
    share = largest_share((recipe("resnet50", 224),), {None: probed(8 * GB, 8 * GB)}, have, 1, 40)
    assert share.gpus_per_trial == 1
    assert share.reason is not None
    assert share.reason.startswith(
        "1 trial on each GPU: the largest configuration, resnet50 at 224 px with batch 128, took 8.0 of 8 GB"
    )
