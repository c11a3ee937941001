"""Work on a machine of the connected cluster that can hold a trial."""

from collections.abc import Callable
from typing import Any

from cluster.errors import ClusterError
from cluster.nodes import kind_resource
from study.study_file.resources import Resources


def where_a_trial_runs(
    work: Callable[..., Any], *arguments: Any, wanted: Resources, gpus: float, seconds: float
) -> Any:
    """What `work` returns on a machine that has room for a trial, with a trial's CPUs and `gpus` GPUs.

    This process must be connected to Ray. The function and its arguments travel there. Raises what it raises,
    and ClusterError where there is no answer within so many seconds, as where other studies hold all slots,
    or where the machine goes away.
    """
    import ray
    from ray.exceptions import RayError, RayTaskError

    remote: Any = ray.remote(work).options(
        num_cpus=wanted.cpus_per_trial,
        num_gpus=gpus,
        resources=kind_resource(wanted.gpu_kind),
        max_retries=0,
    )
    task = remote.remote(*arguments)
    ready, _ = ray.wait([task], timeout=seconds)
    if not ready:
        ray.cancel(task, force=True)
        raise ClusterError(
            f"no machine of the cluster had room for a trial, and an answer, within {seconds:.0f} s"
        )
    try:
        return ray.get(task)
    except RayTaskError as error:
        raise error.cause from None
    except RayError as error:
        raise ClusterError(f"a machine of the cluster went away ({str(error).splitlines()[0]})") from None
