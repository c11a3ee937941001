"""Commands in processes that kill themselves at a named moment, and a study of which all but its end is done.

The processes are forked from one that has imported torch and MLflow, so that each costs no seconds of import.
Ray is left out: nothing is left to train, so it would have nothing to do.
"""

import importlib
import json
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow.pyfunc
import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
import torch

from cluster.scoped_environment import scoped_environment
from study import names
from study.cli.main import main
from study.connections.mlflow_client import connect
from study.driver import running
from study.driver.running import _start
from study.evaluation.confirmation import Confirmation, configurations_to_confirm
from study.execution import tuning
from study.home import Home
from study.planning.plan import Plan, plan_study
from study.recipes.point import build_recipe
from study.recipes.trial_seed import confirmation_seed
from study.registry.promotion import history
from study.registry.versions import list_versions
from study.results.study_result import StudyResult
from study.search.record.kept_weights import save_weights
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.study_file.edits import read_edits
from study.study_file.study_spec import StudySpec
from trainables.datasets.dataset import Dataset
from trainables.datasets.sealed_test import openings
from trainables.training.loop import Training

PATIENCE_SECONDS = 600
NAME = "s"
MAKE_DATABASE = ("make-database",)
"""In place of a command: the beginning of any that needs MLflow."""
TREE = {
    "study": NAME,
    "dataset": "digits",
    "search_space": "digits",
    "fix": {"architecture": "cnn2-32x64", "batch_size": 64},
    "budget": {"trials": 1, "epochs": 2},
    "confirm": {"top": 1, "seeds": 2},
}


@dataclass(frozen=True)
class Moment:
    """The instant before or after one call of a function, where its caller finds it."""

    place: str
    """`module:name` or `module:Class.name`."""
    when: str
    """`before` or `after`."""
    call: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.place.partition(':')[2]} {self.call}"


def ended(home: Home, words: tuple[str, ...], moment: Moment | None = None) -> int:
    """The exit code of a command that runs on a home, -9 where it was killed at the moment."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["named_moments"])
    process = context.Process(target=_command, args=(home.folder, words, moment))
    # Where to find this file: Python 3.11 does not tell it to the process that others are forked from.
    with scoped_environment({"PYTHONPATH": str(Path(__file__).parent)}):
        process.start()
    process.join(PATIENCE_SECONDS)
    assert process.exitcode is not None, "it hangs"
    return process.exitcode


def _command(home: Path, words: tuple[str, ...], moment: Moment | None) -> None:
    os.environ["STUDY_HOME"] = str(home)
    torch.set_num_threads(1)
    running.connected = lambda **_: nullcontext()  # type: ignore[attr-defined,assignment]
    running.prepare_trials = lambda *_, **__: None  # type: ignore[attr-defined,assignment]
    tuning.tune_study = lambda *_, **__: None
    if words[0] == "run":
        running._execute = lambda *_, **__: None
    if moment is not None:
        _kill_at(moment)
    with (home / "said.txt").open("a") as said:
        sys.stdout = sys.stderr = said
        if words == MAKE_DATABASE:
            connect(Home(home).tracking_uri).search_experiments()
            return
        sys.argv = ["study", *words]
        main()


def _kill_at(moment: Moment) -> None:
    module, _, name = moment.place.partition(":")
    holder: Any = importlib.import_module(module)
    *classes, function = name.split(".")
    for one in classes:
        holder = getattr(holder, one)
    setattr(holder, function, _killing(getattr(holder, function), moment))


def _killing(call: Callable[..., Any], moment: Moment) -> Callable[..., Any]:
    calls = 0

    def counted(*args: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == moment.call and moment.when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*args, **options)
        if calls == moment.call:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return counted


def search_and_confirm(home: Home) -> None:
    """A study whose trials and further trainings have ended; what remains is to measure and to register."""
    torch.set_num_threads(1)
    plan = plan_study(StudySpec.parse(TREE), home)
    search = _start(plan, 0)
    _complete(search, plan, plan.folder, 0.8, seed=0)
    confirmation = Confirmation.create(plan.folder, plan.spec.objective)
    confirmation.want(search, configurations_to_confirm(search, 1), 2, plan.space)
    for seed in (1, 2):
        value = 0.8 + seed / 100
        _complete(confirmation.record, plan, confirmation.folder, value, confirmation_seed(0, 0, seed))


def _complete(record: StudyRecord, plan: Plan, folder: Path, value: float, seed: int) -> None:
    asked = record.ask(plan.space, 0)
    assert asked is not None
    number, point = asked
    recipe = build_recipe(point, dataset=plan.manifest, epochs=2, seed=seed)
    training = Training(recipe, Dataset.open(plan.dataset_folder), device=torch.device("cpu"))
    for epoch in training:
        report = EpochReport(epoch=epoch.number, value=value, metrics={}, seconds=1.0, run_id=None)
        record.report(number, report)
    save_weights(folder, number, training)
    record.finish(number, "complete")


def state(home: Home) -> dict[str, Any]:
    """All of a home by which a person would tell two apart, but for times, keys and numbers of runs."""
    result = StudyResult.read(home.studies / NAME)
    client = connect(home.tracking_uri)
    experiment = client.get_experiment_by_name("digits")
    runs = [] if experiment is None else client.search_runs([experiment.experiment_id])
    models = [one.name for one in client.search_registered_models()]
    return {
        "state": result.state,
        "trials": [(trial.state, dict(trial.values)) for trial in result.trials],
        "candidates": None if result.final is None else _candidates(result),
        "openings": [one.opened_by for one in openings(home.datasets / "digits")],
        "versions": [
            (
                one.number,
                one.aliases,
                {key: one.tags.get(key) for key in (names.MADE_OF, names.TEST_ACCURACY)},
            )
            for model in models
            for one in list_versions(client, model)
        ],
        "decisions": [
            (one.kind, one.version, one.champion_before, one.evidence)
            for model in models
            for one in history(home, model).decisions
        ],
        "runs": sorted(
            (run.data.tags.get("mlflow.runName", ""), run.info.status, _tags(run), sorted(run.data.metrics))
            for run in runs
        ),
        "edits": [(one.kind, one.trials) for one in read_edits(home.studies / NAME)],
    }


def _candidates(result: StudyResult) -> Any:
    assert result.final is not None
    return [
        (one.kind, one.model, one.version, {key: value.value for key, value in one.test.metrics.items()})
        for one in result.final.candidates
    ]


def _tags(run: Any) -> str:
    shown = (names.STATE, names.BEST_TRIAL, names.MODEL, names.KIND)
    return json.dumps({key: run.data.tags.get(key) for key in shown})
