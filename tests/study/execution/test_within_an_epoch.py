"""A trial with long epochs hears what it is told within them, and goes on where it was."""

from pathlib import Path
from typing import Any

import pytest
from run_records import context

from study.connections.mlflow_client import connect
from study.execution import speedometer, trial_actor
from study.home import Home
from study.search.record.checkpoints import checkpoint_bytes
from study.search.record.trial_protocol import TrialConfig

POINT = {"architecture": "cnn2-32x64", "train_images": 200, "batch_size": 50, "dropout": 0.3}


@pytest.mark.slow
def test_a_trial_that_is_cut_off_within_epochs_comes_to_the_same(
    home_with_digits: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speedometer, "FIRST_SECONDS", 600.0)  # whole epochs, on a busy machine too
    monkeypatch.setattr(trial_actor, "SECONDS_WITHIN_EPOCH", 600.0)
    whole = _actor(home_with_digits, tmp_path / "whole")
    expected = [whole.step() for _ in range(3)]
    whole.cleanup()
    monkeypatch.setattr(trial_actor, "SECONDS_WITHIN_EPOCH", 0.0)
    told: list[dict[str, Any]] = []
    num_within = 0
    paces: list[tuple[int, float]] = []
    while not told or told[-1]["state"] != "complete":
        actor = _actor(home_with_digits, tmp_path / "parts")
        results = [actor.step(), actor.step()]
        actor.cleanup()
        num_within += sum("epoch" not in result for result in results)
        told += [one for one in results if one.get("epoch", 0) > (told[-1]["epoch"] if told else 0)]
        assert told or checkpoint_bytes(tmp_path / "parts", 0)
        paces += [(one["pace/num_epochs"], one["pace/share"]) for one in results if "epoch" not in one]
    assert num_within >= 3 * 3, "each step but an epoch's last is reported"
    assert paces == sorted(paces), "and how far it is"
    assert {share for _, share in paces} == {0.25, 0.5, 0.75}
    assert expected[0]["pace/images_per_second"] > 0
    keys = [key for key in expected[0] if key.startswith("metrics/")]
    assert [[one[key] for key in keys] for one in told] == [[one[key] for key in keys] for one in expected]


def _actor(home: Home, folder: Path) -> Any:
    folder.mkdir(exist_ok=True)
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    client = connect(uri)
    found = client.get_experiment_by_name("within")
    experiment = found.experiment_id if found else client.create_experiment("within")
    told = context(
        folder,
        uri,
        experiment,
        dataset_folder=str(home.datasets / "digits"),
        seconds_between_checkpoints=15.0,
    )
    config = TrialConfig(number=0, point=POINT, attempt=0)
    return trial_actor.TrialActor({**told.to_config(), **config.to_config()})
