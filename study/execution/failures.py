"""Why a trial's process is gone: it died, which is the trial's own doing or bad luck, or its machine went
away, which is neither.
"""

import pickle
import time
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import ActorDiedError, ActorUnavailableError, GetTimeoutError, NodeDiedError, RayError
from ray.tune.experiment import Trial as RayTrial

FIND_OUT_SECONDS = 60.0
"""Ray takes up to half a minute to call a silent machine dead."""


def failure_cause(trial: RayTrial) -> Exception | None:
    """The error that ended the trial's process, once Ray knows its cause; where it never says, that the
    process does not answer.

    A machine that goes away is at first only a process that does not answer; waits until Ray has found out
    which it is.
    """
    error = _noted(trial)
    actor = trial.temporary_state.ray_actor
    if not isinstance(error, ActorUnavailableError) or actor is None:
        return error
    return _found_out(actor) or error


def is_lost_node(error: Exception | None) -> bool:
    """Whether the machine went away, taken back or broken, and not the process alone.

    A machine that is there reports a dead process immediately, so a process of which nothing is known after
    the wait of `failure_cause` went with its machine, or with the network to it.
    """
    if isinstance(error, NodeDiedError | ActorUnavailableError):
        return True
    return isinstance(error, ActorDiedError) and (
        error.preempted or "node has died" in str(error) or "node was terminated" in str(error)
    )


def first_line(error: Exception | None) -> str:
    """What a person reads of it."""
    return str(error).strip().split("\n")[0] if error is not None else "no reason known"


def _noted(trial: RayTrial) -> Exception | None:
    """Ray Tune writes it beside the driver and looks for it in the study's folder (Ray 2.60), so
    `get_pickled_error` may miss it.
    """
    file = trial.pickled_error_file
    if file is None or not Path(file).exists():
        return trial.get_pickled_error()
    noted = pickle.loads(Path(file).read_bytes())
    return noted if isinstance(noted, Exception) else None


def _found_out(actor: Any) -> Exception | None:
    deadline = time.monotonic() + FIND_OUT_SECONDS
    while (left := deadline - time.monotonic()) > 0:
        try:
            ray.get(actor.answers.remote(), timeout=left)
        except (ActorUnavailableError, GetTimeoutError):
            time.sleep(0.5)
        except RayError as error:
            return error
        else:
            return None  # it answers again, but Ray Tune has given it up
    return None
