"""Where trials run: GPUs that Ray counts, threads of a real trial process, and a cluster that lacks what is
asked.
"""

import json
import os
import subprocess
import sys

import pytest
from fresh_homes import FreshHomes

SCRIPT = """
import json, os, sys
from pathlib import Path
import ray, torch
ray.init(num_cpus=2, num_gpus=2, include_dashboard=False, log_to_driver=False)
from study.errors import SpecError
from study.planning.study_context import StudyContext
from study.execution.gpu_sharing import decide_gpu_share
from study.execution.trial_actor import TrialActor
from study.home import Home
from study.planning.plan import plan_study
from study.driver.running import run_study
from study.search.record.study_record import StudyRecord
from study.results.study_result import StudyResult
from study.search.record.trial_protocol import TrialConfig
from study.study_file.objective import Objective
from study.study_file.study_spec import StudySpec
from study.connections.mlflow_client import connect

home, told = Home(Path(sys.argv[1])), {}
budget = {"trials": 2, "epochs": 1}
tree = {"study": "placed", "dataset": "digits", "search_space": "digits", "budget": budget}
plan = plan_study(StudySpec.parse(tree), home)
record = StudyRecord.create(home.folder, "placed", objectives=[Objective()])
for time in ("first", "second"):
    said = []
    told[time] = {"gpus": decide_gpu_share(plan, record, said.append, print).gpus_per_trial, "said": said}

os.environ["RAY_ADDRESS"] = ray.get_runtime_context().gcs_address
try:
    run_study({**tree, "resources": {"cpus_per_trial": 3, "gpus_per_trial": 0.5}}, home=home)
except SpecError as error:
    told["refused"] = str(error)
told["exists"] = (home.studies / "placed").exists()
run_study({**tree, "study": "together", "resources": {"cpus_per_trial": 2, "gpus_per_trial": 2}}, home=home)
together = StudyResult.read(home.studies / "together")
told["together"] = [(trial.state, len(trial.values), trial.retries) for trial in together.trials]
client = connect(home.tracking_uri)
told["devices"] = [client.get_run(trial.run_id).data.tags["device"] for trial in together.trials]

class Telling(TrialActor):
    def threads(self):
        told = {name: os.environ.get(name) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        return {**told, "torch": torch.get_num_threads(), "second pool": torch.get_num_interop_threads()}

client = connect(home.tracking_uri)
context = StudyContext(
    study="placed", study_folder=str(home.folder / "s"), dataset_folder=str(home.datasets / "digits"),
    metric="accuracy", maximise=True, epochs=1, seed=0, cpus=1, gpus=0.5, log_folder=str(home.folder /
    "outbox"), weights={}, tracking_uri=home.tracking_uri, experiment_id=client.create_experiment("e"),
    parent_run_id="p", is_resumed=False, seconds_between_checkpoints=0.0, measures_latency=False,
    tags={},
)
config = {**context.to_config(), **TrialConfig(number=0, point={"train_images": 64}, attempt=0).to_config()}
actor = ray.remote(num_cpus=1, num_gpus=0.5)(Telling).remote(config)
told["state"] = ray.get(actor.step.remote())["state"]
told["threads"] = ray.get(actor.threads.remote())
print(json.dumps(told))
"""
PATIENCE_SECONDS = 600
pytestmark = pytest.mark.slow  # seven processes start one after the other


@pytest.fixture(scope="module")
def told(fresh_homes: FreshHomes, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What happened on a Ray of two cores and two GPUs that it only counts, where the environment wants seven
    threads.
    """
    home = fresh_homes.make(tmp_path_factory.mktemp("placed"), with_digits=True)
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "7",
        "MKL_NUM_THREADS": "7",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    }
    command = [sys.executable, "-c", SCRIPT, str(home.folder)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_gpus_are_measured_once_and_the_record_knows_it(told: dict[str, dict[str, object]]) -> None:
    reason = "one trial for each GPU that Ray counts; torch sees none to measure"
    measuring = (
        "measuring on a GPU what trials take, by the largest images and batches of each architecture (1)"
    )
    assert told["first"] == {"gpus": 1.0, "said": [measuring, reason]}
    assert told["second"] == {"gpus": 1.0, "said": [reason]}


def test_a_trial_computes_with_its_own_cores(told: dict[str, dict[str, object]]) -> None:
    assert told["state"] == "complete"
    assert told["threads"] == {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "torch": 1, "second pool": 1}


def test_several_gpus_train_one_network(told: dict[str, object]) -> None:
    assert told["together"] == [["complete", 1, []]] * 2
    assert told["devices"] == ["2 x cpu, 1 thread"] * 2


def test_a_cluster_that_is_too_small_is_told_before_anything_is_written(told: dict[str, object]) -> None:
    assert told["refused"] == (
        "resources.cpus_per_trial asks for 3 on one machine, but none of the cluster has more than 2 beside "
        "0.5 of a GPU; "
        "lower it, or connect to another cluster"
    )
    assert told["exists"] is False
