"""A machine that is taken back says so before: its trials leave with a checkpoint, and none of them fails."""

import json
from collections.abc import Iterator

import pytest
from fresh_homes import FreshHomes
from real_cluster import RealCluster

SCRIPT = """
import json, os, subprocess, sys, threading, time
from pathlib import Path
import ray
from cluster.connection import connected
from cluster.nodes import num_slots, nodes
from study.driver.running import run_study
from study.home import Home
from study.search.record.study_record import StudyRecord
from study.search.record.storage import SPEC_FILE

home, told = Home(Path(sys.argv[1])), {}
folder = home.studies / "drained"

def values():
    if not (folder / SPEC_FILE).exists():
        return []
    return [len(trial.values) for trial in StudyRecord.open(folder).trials]

def drain():
    while len(values()) < 2 or min(values()) < 2:
        time.sleep(0.2)
    name = next(node["NodeID"] for node in ray.nodes() if node["Resources"].get("doomed"))
    command = ["ray", "drain-node", "--address", os.environ["RAY_ADDRESS"], "--node-id", name,
        "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "the spot market takes it back",
        "--deadline-remaining-seconds", "600"]
    told["drained"] = subprocess.run(command, capture_output=True, text=True).returncode
    told["slots"] = num_slots(nodes(), 1, 0)

with connected():
    thread = threading.Thread(target=drain)
    thread.start()
    result = run_study(
        {
            "study": "drained", "dataset": "digits", "search_space": "digits", "early_stopping": "none",
            "budget": {"trials": 2, "epochs": 250}, "resources": {"retries": 0},
        },
        home=home,
    )
    thread.join()
    told["trials"] = [[trial.state, len(trial.values), len(trial.retries)] for trial in result.trials]
    until = time.monotonic() + 60
    while any(node["Alive"] and node["Resources"].get("doomed") for node in ray.nodes()):
        assert time.monotonic() < until, "something is on the machine still"
        time.sleep(0.2)
print(json.dumps(told))
"""
pytestmark = pytest.mark.slow  # a head and two nodes start, and a study runs on them


@pytest.fixture(scope="module")
def cluster() -> Iterator[RealCluster]:
    """A head without cores, and two nodes of one core each, one of which is called doomed."""
    two_nodes = RealCluster.with_token()
    try:
        two_nodes.start_head(cpus=0)
        two_nodes.add_node(1)
        two_nodes.add_node(1, "--resources", json.dumps({"doomed": 1}))
        yield two_nodes
    finally:
        two_nodes.close()


def test_trials_of_a_drained_node_go_on_elsewhere(
    cluster: RealCluster, fresh_homes: FreshHomes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = fresh_homes.make(tmp_path_factory.mktemp("drained"), with_digits=True)
    told, said = cluster.run_driver(SCRIPT, str(home.folder))
    assert told["drained"] == 0
    assert told["slots"] == 1, "a machine that goes away counts no more"
    assert told["trials"] == [["complete", 250, 0]] * 2, "no retry was there to be used"
    assert "its machine is taken away" in said
