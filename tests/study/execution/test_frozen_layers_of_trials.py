"""Trials of a process share the output of frozen layers, and their runs in MLflow say so."""

from pathlib import Path

import pytest
from run_records import context

from study.connections.mlflow_client import connect
from study.execution import trial_actor
from study.home import Home
from study.search.record.trial_protocol import TrialConfig
from trainables.feature_cache import gain

POINT = {
    "architecture": "cnn2-32x64",
    "fine_tuning": "lp_ft",
    "train_images": 200,
    "batch_size": 50,
    "probe_fraction": 0.67,
}


@pytest.mark.slow
def test_their_runs_say_what_becomes_of_frozen_layers(
    home_with_digits: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gain, "LEAST_FLOPS", 0)
    monkeypatch.setattr(trial_actor, "this_node_drains", lambda: False)  # it would start a Ray for the answer
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    client = connect(uri)
    experiment = client.create_experiment("frozen")
    told = context(tmp_path, uri, experiment, dataset_folder=str(home_with_digits.datasets / "digits"))
    config = TrialConfig(number=0, point=POINT, attempt=0)
    actor = trial_actor.TrialActor({**told.to_config(), **config.to_config()})
    states = [actor.step()["state"] for _ in range(3)]
    actor.cleanup()
    assert states[-1] == "complete"
    (run,) = client.search_runs([experiment])
    assert run.data.tags["frozen_layers"].startswith(
        "phase 1: the frozen layers up to pooling are computed once for 200 training images and "
    )
