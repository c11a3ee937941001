"""What the queue asks of the autoscaler: machines for all that tenants could use, within caps and kinds."""

import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from cluster.autoscaler import (
    MONITORS,
    NodeRequests,
    could_use,
    potential_nodes,
    settings_file,
    startable_in,
    wanted_bundles,
)
from cluster.fair_share import Claim, Demand, Usage
from cluster.nodes import Node

HEAD = Node(num_cpus=0, num_gpus=0, gpu_kind=None)
H100 = Node(num_cpus=16, num_gpus=2, gpu_kind="H100")
T4 = Node(num_cpus=4, num_gpus=1, gpu_kind="T4")
STARTABLE = (H100, H100, T4, T4, T4)
KUBERNETES = Path(__file__).parent.parent.parent / "cluster/deployment/kubernetes/ray-cluster.yaml"


def demand(tenant: str, user: str, most: int, gpus: float = 1.0, gpu_kind: str | None = None) -> Demand:
    """Of a tenant for which there is no machine yet."""
    return Demand(
        tenant=tenant,
        user=user,
        priority=0,
        num_slots=0,
        most_slots=most,
        cpus_per_slot=1.0,
        gpus_per_slot=gpus,
        gpu_kind=gpu_kind,
    )


def bundles(*demands: Demand, user_cap: float | None = None) -> list[dict[str, float]]:
    """What is asked for on a cluster that is scaled to its head."""
    potential = potential_nodes([HEAD], STARTABLE)
    return [dict(one) for one in wanted_bundles(claims(demands, user_cap), potential, Usage())]


def claims(demands: Sequence[Demand], user_cap: float | None = None) -> list[Claim]:
    """The demands, of people who all have the same cap."""
    return [Claim(demand=one, first_priority=0, cap=user_cap) for one in demands]


def test_a_bundle_for_each_trial_that_the_largest_cluster_holds() -> None:
    assert bundles(demand("few", "ada", 3)) == [{"CPU": 1.0, "GPU": 1.0}] * 3
    assert bundles(demand("many", "ada", 100)) == [{"CPU": 1.0, "GPU": 1.0}] * 7
    assert len(bundles(demand("shared GPUs", "ada", 100, gpus=0.25))) == 28, "a T4's machine has four cores"
    assert bundles(demand("too large", "ada", 100, gpus=4)) == []


def test_only_machines_of_the_kind_are_asked_for() -> None:
    on_h100 = {"CPU": 1.0, "GPU": 1.0, "accelerator_type:H100": 0.001}
    assert bundles(demand("picky", "ada", 100, gpu_kind="H100")) == [on_h100] * 4
    assert bundles(demand("picky", "ada", 100, gpu_kind="A100")) == []


def test_nobody_brings_up_more_than_their_cap() -> None:
    assert len(bundles(demand("a", "ada", 100), user_cap=3 / 7)) == 3
    assert len(bundles(demand("a", "ada", 100), demand("b", "ben", 1), user_cap=3 / 7)) == 4


def test_machines_that_are_there_are_not_counted_twice() -> None:
    own = Node(num_cpus=64, num_gpus=8, gpu_kind="A100")
    assert sorted(potential_nodes([HEAD, H100, own], STARTABLE), key=str) == sorted(
        [HEAD, own, *STARTABLE], key=str
    )
    assert potential_nodes([HEAD, T4], ()) == (HEAD, T4), "no autoscaler"


def test_a_tenant_could_use_what_it_has_room_for_now_at_least() -> None:
    one = demand("a", "ada", 100)
    assert could_use(one, [T4, T4]) == 2
    assert could_use(replace(one, num_slots=5), [T4, T4]) == 5
    assert could_use(replace(one, most_slots=None, num_slots=5), STARTABLE) == 5


class Autoscaler:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[int] = []
        """Numbers of bundles."""
        self.requests = NodeRequests(lambda asked: self.told.append(len(asked)))

    def hear(self, demands: Sequence[Demand], startable: Sequence[Node] = STARTABLE) -> None:
        """One look of the queue at its tenants."""
        self.requests._next_look = 0.0
        self.requests.ask(claims(demands), [HEAD], startable, Usage())


def test_the_autoscaler_is_told_once_what_changes_and_in_the_end_that_nobody_wants_anything() -> None:
    autoscaler = Autoscaler()
    for demands in ([], [demand("a", "ada", 2)], [demand("a", "ada", 2)], [demand("b", "ben", 2)], [], []):
        autoscaler.hear(demands)
    assert autoscaler.told == [0, 2, 0], "what a queue before this one asked for is taken back first"


def test_nothing_is_told_where_there_is_no_autoscaler() -> None:
    autoscaler = Autoscaler()
    autoscaler.hear([demand("a", "ada", 2)], startable=())
    autoscaler.hear([], startable=())
    assert autoscaler.told == []


@pytest.mark.parametrize(("most", "expected"), [(8, 5), (2, 4), (0, 0)])
def test_the_largest_number_of_machines_holds_for_each_type(most: int, expected: int) -> None:
    """The autoscaler itself keeps them all together within it."""
    settings = {
        "max_workers": most,
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {"CPU": 0}},
            "h100": {"resources": {"CPU": 16, "GPU": 2, "accelerator_type:H100": 1}, "max_workers": 2},
            "t4": {
                "resources": {"CPU": 4, "GPU": 1},
                "labels": {"ray.io/accelerator-type": "T4"},
                "max_workers": 3,
            },
        },
    }
    found = startable_in(settings)
    assert len(found) == expected
    assert set(found) <= {H100, T4}


def test_the_settings_are_those_of_the_autoscaler_of_this_cluster(tmp_path: Path) -> None:
    """Others run on the same machine; one process calls an address 127.0.0.1, another by the machine's."""
    processes = []
    for port in (7001, 7002):
        words = [f"--gcs-address=192.0.2.1:{port}", f"--autoscaling-config={tmp_path}/{port}.yaml"]
        program = [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(60)", MONITORS[1]]
        processes.append(subprocess.Popen([*program, *words], stdout=subprocess.PIPE))
    try:
        for process in processes:
            assert process.stdout is not None
            process.stdout.readline()
        assert settings_file("127.0.0.1:7002") == tmp_path / "7002.yaml"
        assert settings_file("127.0.0.1:7003") is None
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_the_machines_that_kubernetes_may_start_are_read_from_the_ray_cluster() -> None:
    from ray.autoscaler._private.kuberay.autoscaling_config import _derive_autoscaling_config_from_ray_cr

    resource = yaml.safe_load(KUBERNETES.read_text(encoding="utf-8"))
    resource["metadata"]["namespace"] = "study"
    (node,) = set(startable_in(_derive_autoscaling_config_from_ray_cr(resource)))
    assert (node.num_cpus, node.num_gpus) == (12, 1)
