"""A trial that does not fit into memory leaves its images on the disk, then goes on with fewer of them at a
time; one that never fits is infeasible.
"""

import json
import os
import subprocess
import sys

import pytest
import ray

from study.home import Home

SCRIPT = """
import json, resource, sys
from pathlib import Path
import ray, torch
from study.planning.study_context import StudyContext
from study.execution.trial_actor import TrialActor
from study.search.record.trial_protocol import TrialConfig
from study.connections.mlflow_client import connect

home, dataset, image_size, megabytes = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
ray.init(address=sys.argv[5], log_to_driver=False)
uri = f"sqlite:///{home / 'mlflow.db'}"
client = connect(uri)
experiment = client.create_experiment("memory", artifact_location=(home / "artifacts").as_uri())
parent = client.create_run(experiment).info.run_id
context = StudyContext(
    study="memory", study_folder=str(home / "study"), dataset_folder=dataset, metric="accuracy",
    maximise=True, epochs=2, seed=0, cpus=1, log_folder=str(home / "outbox"), weights={},
    tracking_uri=uri, experiment_id=experiment, parent_run_id=parent, is_resumed=False,
    seconds_between_checkpoints=0.0, measures_latency=True, tags={},
)
point = {"architecture": "cnn2-32x64", "image_size": image_size, "train_images": 64, "batch_size": 64}
torch.randn(64, 64) @ torch.randn(64, 64)
actor = TrialActor({**context.to_config(), **TrialConfig(number=0, point=point, attempt=0).to_config()})

assert actor._outbox.drain(120)  # its thread imports MLflow, which needs memory of its own
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20, resource.RLIM_INFINITY))
results = [actor.step()]
while results[-1]["state"] == "running":  # what takes long is told in parts, and again after want of memory
    results.append(actor.step())
results = [result for result in results if "epoch" in result or result["state"] != "running"]
resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
actor.cleanup()
run = client.get_run(actor._run.run_id)
keys = ("state", "epoch", "micro_batch", "reason", "measures/latency_ms")
told = [{key: result.get(key) for key in keys} for result in results]
tags = {key: tag for key, tag in run.data.tags.items() if "mlflow" not in key}
print(json.dumps({"results": told, "status": run.info.status, "tags": tags}))
"""
NO_ROOM_FOR_IMAGES = """
from study.execution import trial_actor
from trainables.training import loop

on_device = loop.on_device
def refusing(*arguments, is_streamed, **options):
    if not is_streamed:
        raise MemoryError("no room for all images")
    return on_device(*arguments, is_streamed=is_streamed, **options)
loop.on_device = refusing
trial_actor.MIN_STREAMED_SHARE = GIVEN
"""
PATIENCE_SECONDS = 600


def run(home: Home, image_size: int, megabytes: int, first: str = "") -> dict[str, object]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}
    words = (
        home.folder,
        home.datasets / "digits",
        image_size,
        megabytes,
        ray.get_runtime_context().gcs_address,
    )
    command = [sys.executable, "-c", first + SCRIPT, *map(str, words)]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return told


@pytest.mark.slow
def test_a_batch_that_does_not_fit_goes_through_in_parts(local_ray: None, home_with_digits: Home) -> None:
    told = run(home_with_digits, 256, 1800)
    first, *_, last = told["results"]  # type: ignore[misc]
    assert [(first["state"], first["epoch"]), (last["state"], last["epoch"])] == [
        ("running", 1),
        ("complete", 2),
    ], json.dumps(told)
    assert last["micro_batch"] <= first["micro_batch"] < 64
    assert first["measures/latency_ms"] > 0
    assert told["tags"]["micro_batch"] == str(last["micro_batch"])  # type: ignore[index]
    assert told["status"] == "FINISHED"


@pytest.mark.slow
def test_a_trial_that_fits_in_no_parts_is_infeasible(local_ray: None, home_with_digits: Home) -> None:
    told = run(home_with_digits, 1024, 300)
    (only,) = told["results"]  # type: ignore[misc]
    assert only["state"] == "infeasible"
    assert "too little memory" in only["reason"]
    assert told["status"] == "FAILED"


@pytest.mark.slow
def test_images_that_do_not_fit_stay_on_the_disk(local_ray: None, home_with_digits: Home) -> None:
    told = run(home_with_digits, 8, 4000, NO_ROOM_FOR_IMAGES.replace("GIVEN", "0.0"))
    first, last = told["results"]  # type: ignore[misc]
    assert [first["state"], last["state"]] == ["running", "complete"]
    assert first["micro_batch"] == 64, "all of a batch still goes through the network at a time"
    assert told["status"] == "FINISHED"


@pytest.mark.slow
def test_images_that_are_no_burden_are_not_blamed(local_ray: None, home_with_digits: Home) -> None:
    told = run(home_with_digits, 8, 4000, NO_ROOM_FOR_IMAGES.replace("GIVEN", "0.05"))
    (only,) = told["results"]  # type: ignore[misc]
    assert only["state"] == "infeasible"
