"""What the processes of trials import: on this machine once for all of them, while Ray starts."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from cluster.connection import is_connected, is_shared
from cluster.worker_forks import worker_forks

MODULES = (
    "matplotlib.backends.backend_agg",
    "mlflow",
    "mlflow.store.tracking.rest_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "trainables.training.loop",
)
WITH_RAY = ("study.execution.trial_actor", "study.execution.tuned_trial")


@contextmanager
def trial_libraries() -> Iterator[None]:
    """Inside, a local Ray that starts forks its processes from one that has imported all that a trial needs.

    On a cluster, and where Ray runs already, processes import it themselves.
    """
    with nullcontext() if is_shared() or is_connected() else worker_forks(MODULES, with_ray=WITH_RAY):
        yield
