"""Whether a cluster can hold a trial, which is checked before anything is written."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cluster.autoscaler import largest_cluster
from cluster.connection import check_reachable, connected, is_shared
from cluster.nodes import Node, nodes, of_kind
from study.errors import SpecError
from study.study_file.resources import Resources


@contextmanager
def connected_where_named(wanted: Resources) -> Iterator[None]:
    """Connects to the cluster that `RAY_ADDRESS` names, if it does, and makes sure that it can hold a trial.

    This machine's own cores and GPUs are counted without Ray, by the plan. Raises SpecError, or ClusterError.
    """
    if not is_shared():
        yield
        return
    check_reachable()
    with connected():
        check_cluster_fits(wanted)
        yield


def check_cluster_fits(wanted: Resources) -> None:
    """Raises SpecError if no machine that the connected cluster has, or may start, can hold a trial."""
    present = nodes()
    if not is_shared() or _holds(wanted, present):
        check_fits(wanted, present)
    else:
        check_fits(wanted, largest_cluster())


def with_whole_gpu(wanted: Resources, have: Sequence[Node]) -> tuple[Node, ...]:
    """The machines that can hold a trial beside a whole GPU of the kind that is wanted."""
    cpus = wanted.cpus_per_trial
    return tuple(node for node in of_kind(have, wanted.gpu_kind) if node.num_slots(cpus, 1))


def check_fits(wanted: Resources, have: Sequence[Node]) -> None:
    """Raises SpecError if none of the machines can hold a single trial."""
    if _holds(wanted, have):
        return
    of_wanted_kind = of_kind(have, wanted.gpu_kind)
    if not of_wanted_kind:
        kinds = sorted({node.gpu_kind for node in have if node.gpu_kind is not None})
        listed = f"has GPUs of these kinds: {', '.join(kinds)}" if kinds else "knows the kind of no GPU"
        raise SpecError(
            f"resources.gpu_kind asks for {wanted.gpu_kind}, but the cluster {listed}; name another kind, or "
            "drop it to take any"
        )
    cpus, gpus = wanted.cpus_per_trial, _fewest_gpus(wanted)
    enough_gpus = [node for node in of_wanted_kind if node.num_gpus >= gpus]
    kind, number, most = (
        ("cpu", float(cpus), max(node.num_cpus for node in enough_gpus))
        if enough_gpus
        else ("gpu", gpus, max((node.num_gpus for node in of_wanted_kind), default=0.0))
    )
    beside = f" beside {gpus:g} of a GPU" if kind == "cpu" and gpus else ""
    whose = "" if wanted.gpu_kind is None else f" with GPUs of kind {wanted.gpu_kind}"
    raise SpecError(
        f"resources.{kind}s_per_trial asks for {number:g} on one machine, but none of the cluster{whose} has "
        f"more than {most:g}{beside}; "
        "lower it, or connect to another cluster"
    )


def _holds(wanted: Resources, have: Sequence[Node]) -> bool:
    cpus, gpus = wanted.cpus_per_trial, _fewest_gpus(wanted)
    return any(node.num_slots(cpus, gpus) for node in of_kind(have, wanted.gpu_kind))


def _fewest_gpus(wanted: Resources) -> float:
    """What a trial takes at least: a named kind makes it a GPU study."""
    if wanted.gpus_per_trial == "auto":
        return 0.0 if wanted.gpu_kind is None else 1.0
    return wanted.gpus_per_trial
