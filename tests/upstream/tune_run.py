"""A small run of Ray Tune, as a study starts one, that notes what Ray Tune does to it. Its last line is JSON.

python tests/upstream/tune_run.py FOLDER

Five trials take the only slot in turn. Each reports one epoch and is stopped, unless its name says otherwise.
"""

import json
import logging
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from cluster.connection import connected

TRIALS = ("first", "reuses", "gives_back", "after_that", "dies")
"""`gives_back` has its process ended, `dies` loses it."""

PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, kw_only=True)
class TuneRun:
    """What was noted of such a run, and what it printed besides."""

    trials: dict[str, Any]
    """By the trial's name."""
    files: list[str]
    """In the folder of the first trial."""
    processes: list[str]
    """The commands of the local Ray's processes, once it had started."""
    printed: str
    working_folder: str


def main(folder: Path) -> None:
    """Runs the trials and prints what was noted of each, by its name."""
    with connected():
        processes = _of_ray()
        print(json.dumps(_tuned(folder) | {"processes": processes}))


def _of_ray() -> list[str]:
    return sorted(" ".join(one.cmdline()) for one in psutil.Process().children(recursive=True))


def _tuned(folder: Path) -> dict[str, Any]:
    import ray
    from ray import tune
    from ray.exceptions import RayError
    from ray.tune.experiment import Trial
    from ray.tune.schedulers import FIFOScheduler
    from ray.tune.search import Searcher

    noted: dict[str, Any] = {name: {} for name in TRIALS}

    class OneEpoch(tune.Trainable):
        def answers(self) -> bool:
            return True

        def reset_config(self, new_config: dict[str, Any]) -> bool:
            return True

        def step(self) -> dict[str, Any]:
            if self.config["name"] == "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            return {
                "outcome": "going_on",
                "metrics": {"accuracy": 0.5},
                "measures": {},
                "process": os.getpid(),
                "folder": os.getcwd(),
            }

    class Suggestions(Searcher):
        def __init__(self) -> None:
            super().__init__()
            self._left = list(TRIALS)
            self._running: set[str] = set()
            self._lock = _Unpicklable()

        def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED is a text
            if self._running:
                return None
            if not self._left:
                return Searcher.FINISHED
            self._running.add(trial_id)
            return {"name": self._left.pop(0)}

        def on_trial_complete(
            self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
        ) -> None:
            self._running.discard(trial_id)

        def save(self, checkpoint_path: str) -> None:
            pass

        def restore(self, checkpoint_path: str) -> None:
            pass

        def __getstate__(self) -> dict[str, Any]:
            return {}

    class Stops(FIFOScheduler):
        def __init__(self) -> None:
            super().__init__()  # type: ignore[no-untyped-call]
            self._lock = _Unpicklable()

        def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
            name = trial.config["name"]
            noted[name] = {
                "result": {key: result[key] for key in result if key.startswith(("metrics", "measures"))}
            }
            noted[name] |= {key: result[key] for key in ("process", "folder", "outcome")}
            actor = trial.temporary_state.ray_actor
            assert actor is not None
            noted[name]["answers"] = ray.get(actor.answers.remote(), timeout=PATIENCE_SECONDS)
            tune_controller._tune_controller._reuse_actors = name != "gives_back"
            return str(self.STOP)

        def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
            name, actor = trial.config["name"], trial.temporary_state.ray_actor
            file = trial.pickled_error_file
            noted[name] |= {
                "has_actor": actor is not None,
                "pickled_error": file is not None and Path(file).is_file(),
                "stored_error": type(trial.get_pickled_error()).__name__,
            }
            if name == "dies" and actor is not None:
                try:
                    ray.get(actor.answers.remote(), timeout=PATIENCE_SECONDS)
                except RayError as error:
                    noted[name]["answer_raises"] = type(error).__name__

        def __getstate__(self) -> dict[str, Any]:
            return {}

    logging.getLogger("ray.tune").setLevel(logging.ERROR)
    tune.Tuner(
        tune.with_resources(OneEpoch, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=Suggestions(),
            scheduler=Stops(),
            num_samples=-1,
            reuse_actors=True,
            trial_dirname_creator=lambda trial: trial.config["name"],
        ),
        run_config=tune.RunConfig(
            name="ray",
            storage_path=str(folder),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    ).fit()
    noted["files"] = sorted(file.name for file in (folder / "ray" / "first").iterdir())
    return noted


class _Unpicklable:
    def __reduce__(self) -> Any:
        raise TypeError("the state of a searcher or scheduler is not to be pickled")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
