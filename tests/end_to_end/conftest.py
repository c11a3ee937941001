"""One real study on real digits, run once with real Ray and real MLflow, that many tests look at."""

import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from finished_study import Finished
from fresh_homes import FreshHomes

from cluster.connection import connected
from study.connections.mlflow_client import connect
from study.driver.running import run_study
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions

SPEC = {
    "study": "digits-e2e",
    "dataset": "digits",
    "search_space": "digits",
    # A learning rate that no training survives shows what becomes of a trial that fails.
    "extend": {"learning_rate": {"float": [3e-4, 1e30], "log": True}},
    "start_from": [{"learning_rate": 1e30}] + [{"learning_rate": rate} for rate in (5e-3, 3e-3, 4e-4, 3e-4)],
    "budget": {"trials": 5, "epochs": 4},
    "early_stopping": {"rule": "asha", "first_rung": 0.5},
}


@pytest.fixture(scope="session")
def local_ray() -> Iterator[None]:
    """A local Ray cluster that all studies of this process run on, one after the other, as in a notebook that
    stays connected.
    """
    with ExitStack() as stack:
        for is_last in (False, False, True):
            try:
                stack.enter_context(connected())
                break
            # Where others use both cores, Ray waits half a minute for its own processes, and raises just
            # that.
            except Exception:
                if is_last:
                    raise
        yield


@pytest.fixture(scope="session")
def finished(local_ray: None, fresh_homes: FreshHomes, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The study `digits-e2e`, finished."""
    home = fresh_homes.make(tmp_path_factory.mktemp("finished"))
    for name in ("RAY_ADDRESS", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)
    add_dataset(home.datasets, "digits", None, AddOptions(licence="CC BY 4.0"))
    result = run_study(SPEC, home=home)
    return Finished(home, result, connect(home.tracking_uri))
