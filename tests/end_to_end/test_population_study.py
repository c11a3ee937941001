"""A real population: a trial really goes on from another one's checkpoint, under its own values, and says so
everywhere.
"""

import json
from pathlib import Path

import pytest
import torch
from finished_study import Finished

from study.cli.reports.study_tables import print_result
from study.connections.mlflow_client import connect
from study.driver.running import run_study
from study.home import Home
from study.recipes.point import build_recipe
from study.recipes.trial_seed import trial_seed
from study.search.record.trial import Trial
from trainables.datasets.dataset import Dataset
from trainables.metrics.classification import METRICS
from trainables.training.loop import Training

EPOCHS = 4
SPEC = {
    "study": "population",
    "dataset": "digits",
    "search_space": "digits",
    "fix": {"batch_size": 128},
    "start_from": [{"learning_rate": rate} for rate in (3e-3, 2e-3, 3e-4, 1e-3)],
    "budget": {"trials": 4, "epochs": EPOCHS},
    "early_stopping": {"rule": "pbt", "interval": 0.5, "protect_top": 0},
    "seed": 2,
}


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def training(finished: Finished, trial: Trial) -> Training:
    """A trial's training by itself, with no study around it."""
    dataset = Dataset.open(finished.home.datasets / "digits")
    seed = trial_seed(finished.result.spec.seed, trial.number)
    return Training(
        build_recipe(trial.point, dataset=dataset.manifest, epochs=EPOCHS, seed=seed),
        dataset,
        device=torch.device("cpu"),
    )


@pytest.mark.slow
def test_a_population(
    local_ray: None,
    home_with_digits: Home,
    tmp_path: Path,
    one_thread: None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    result = run_study(SPEC, home=home_with_digits)
    finished = Finished(home_with_digits, result, connect(home_with_digits.tracking_uri))
    *members, child = result.trials
    begun = child.continues
    assert begun is not None
    assert sorted(trial.state for trial in members) == ["complete", "complete", "complete", "pruned"]
    assert members[begun.replaces].reason == "replaced by trial-0004 at epoch 2"
    assert members[begun.trial].values[2] == max(trial.values[2] for trial in members)
    assert members[begun.replaces].values[2] == min(trial.values[2] for trial in members)
    assert (child.state, sorted(child.values)) == ("complete", [3, 4])
    assert not list((result.folder / "checkpoints").iterdir()), "what nobody goes on from is deleted"

    parent = training(finished, members[begun.trial])
    for epoch in parent:
        if epoch.number == 2:
            parent.save(tmp_path / "parent")
            break
    alone = training(finished, child)
    alone.load(tmp_path / "parent", with_other_values=True)
    assert {epoch.number: epoch.metrics.macro_f1 for epoch in alone} == dict(child.values), (
        "bit for bit what the study measured"
    )

    run = finished.children[4]
    assert {key: run.data.tags[f"study.{key}"] for key in ("continues", "continues_from_epoch")} == {
        "continues": str(begun.trial),
        "continues_from_epoch": "2",
    }
    for name in METRICS:
        assert sorted(
            one.step for one in finished.client.get_metric_history(run.info.run_id, f"validation/{name}")
        ) == [3, 4]
    assert {number: run.info.status for number, run in finished.children.items()} == {
        trial.number: "FINISHED" if trial.state == "complete" else "KILLED" for trial in result.trials
    }

    print_result(result)
    assert f"trial-{begun.trial:04d} from epoch 2" in capsys.readouterr().out
    print_result(result, as_json=True)
    row = next(row for row in json.loads(capsys.readouterr().out)["leaderboard"] if row["trial"] == 4)
    assert row["continues"] == begun.trial
    assert [(one["trial"], one["first_epoch"], one["last_epoch"]) for one in row["lineage"]] == [
        (begun.trial, 1, 2),
        (4, 3, 4),
    ]
    assert [one["point"]["learning_rate"] for one in row["lineage"]] == [
        members[begun.trial].point["learning_rate"],
        child.point["learning_rate"],
    ]
