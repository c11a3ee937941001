"""A cluster that is scaled to nothing, with Ray's own autoscaler: a study brings nodes up, and its end lets
them go.
"""

from collections.abc import Iterator

import pytest
from fresh_homes import FreshHomes
from real_cluster import RealCluster

SCRIPT = """
import json, sys, threading, time
from pathlib import Path
from cluster.autoscaler import largest_cluster
from cluster.connection import connected
from cluster.nodes import nodes
from cluster.slot_queue import standings
from study.driver.running import run_study
from study.errors import SpecError
from study.execution.capacity import check_cluster_fits
from study.home import Home
from study.study_file.resources import Resources

told = {"waits": [], "nodes": []}

def refused(**resources):
    try:
        check_cluster_fits(Resources(**resources))
    except SpecError as error:
        return str(error)

def watch():
    while True:
        told["waits"] += [[one.awaits_node, one.num_granted, one.num_wanted] for one in standings()]
        told["nodes"].append(len(nodes()))
        time.sleep(0.3)

with connected():
    told["at most"] = [(node.num_gpus, node.gpu_kind) for node in largest_cluster()]
    told["refused"] = [refused(gpu_kind="T4"), refused(gpus_per_trial=2, cpus_per_trial=2)]
    threading.Thread(target=watch, daemon=True).start()
    result = run_study(
        {
            "study": "growing", "dataset": "digits", "search_space": "digits", "early_stopping": "none",
            "budget": {"trials": 4, "epochs": 3}, "resources": {"gpu_kind": "H100"},
        },
        home=Home(Path(sys.argv[1])),
    )
    told["states"] = [trial.state for trial in result.trials]
    ended = time.monotonic()
    while len(nodes()) > 1 and time.monotonic() < ended + 120:
        time.sleep(0.3)
    told["left"] = len(nodes())
print(json.dumps(told))
"""
pytestmark = pytest.mark.slow  # a head and two nodes start, and are waited for


@pytest.fixture(scope="module")
def cluster() -> Iterator[RealCluster]:
    """A head without cores, and an autoscaler that may start two machines with a GPU each."""
    h100 = {"CPU": 1, "GPU": 1, "accelerator_type:H100": 1, "object_store_memory": 80_000_000}
    growing = RealCluster.that_grows({"gpu": {"resources": h100, "min_workers": 0, "max_workers": 2}})
    try:
        growing.start_head(cpus=0)
        yield growing
    finally:
        growing.close()


def test_nodes_come_for_a_study_and_leave_after_it(
    cluster: RealCluster, fresh_homes: FreshHomes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = fresh_homes.make(tmp_path_factory.mktemp("growing"), with_digits=True)
    told, said = cluster.run_driver(SCRIPT, str(home.folder))
    assert told["at most"] == [[0.0, None], [1.0, "H100"], [1.0, "H100"]]
    assert told["refused"] == [
        "resources.gpu_kind asks for T4, but the cluster has GPUs of these kinds: H100; name another kind, "
        "or drop it to take any",
        "resources.gpus_per_trial asks for 2 on one machine, but none of the cluster has more than 1; "
        "lower it, or connect to another cluster",
    ]
    assert told["nodes"][0] == 1, "the head alone"
    assert [True, 0, 1] in told["waits"], "the study waits for its first node"
    assert "waits for a GPU node (H100): none is there; the cluster may start some, for 2 trials" in said
    assert "a GPU node is there" in said
    assert max(told["nodes"]) == 3
    assert told["states"] == ["complete"] * 4
    assert told["left"] == 1, "nobody asks for nodes any more"
