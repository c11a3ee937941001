"""Whether a cluster can hold a trial, which is checked before anything is written."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cluster.connection import connected
from cluster.nodes import Node, nodes
from study.errors import SpecError
from study.study_file.resources import Resources


@contextmanager
def connected_where_named(wanted: Resources) -> Iterator[None]:
    """Connects to the cluster that `RAY_ADDRESS` names, if it does, and makes sure that it can hold a trial.

    This machine's own cores and GPUs are counted without Ray, by the plan. Raises SpecError, or ClusterError.
    """
    if "RAY_ADDRESS" not in os.environ:
        yield
        return
    with connected():
        check_fits(wanted, nodes())
        yield


def check_fits(wanted: Resources, have: Sequence[Node]) -> None:
    """Raises SpecError if none of the machines can hold a single trial."""
    cpus, gpus = wanted.cpus_per_trial, 0.0 if wanted.gpus_per_trial == "auto" else wanted.gpus_per_trial
    if any(node.num_slots(cpus, gpus) for node in have):
        return
    enough_gpus = [node for node in have if node.num_gpus >= gpus]
    kind, number, most = (
        ("cpu", float(cpus), max(node.num_cpus for node in enough_gpus))
        if enough_gpus
        else ("gpu", gpus, max((node.num_gpus for node in have), default=0.0))
    )
    beside = f" beside {gpus:g} of a GPU" if kind == "cpu" and gpus else ""
    raise SpecError(
        f"resources.{kind}s_per_trial asks for {number:g} on one machine, but none of the cluster has more "
        f"than {most:g}{beside}; "
        "lower it, or connect to another cluster"
    )
