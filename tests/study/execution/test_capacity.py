"""What a cluster lacks for a trial is named before anything is written."""

import pytest

from cluster.nodes import Node
from study.errors import SpecError
from study.execution.capacity import check_fits
from study.study_file.resources import Resources


def test_what_no_machine_has_is_named() -> None:
    have = [Node(num_cpus=8, num_gpus=0, gpu_kind=None), Node(num_cpus=2, num_gpus=1, gpu_kind="H200")]
    check_fits(Resources(cpus_per_trial=8), have)
    check_fits(Resources(cpus_per_trial=2, gpus_per_trial=1), have)
    with pytest.raises(
        SpecError, match="gpus_per_trial asks for 1 on one machine, but none of the cluster has more than 0;"
    ):
        check_fits(Resources(gpus_per_trial=1), have[:1])
    with pytest.raises(
        SpecError, match=r"cpus_per_trial asks for 4 on one machine.* more than 2 beside 0.5 of a GPU"
    ):
        check_fits(Resources(cpus_per_trial=4, gpus_per_trial=0.5), have)


def test_a_kind_of_gpu_is_looked_for_on_machines_that_have_it() -> None:
    have = [
        Node(num_cpus=8, num_gpus=0, gpu_kind=None),
        Node(num_cpus=8, num_gpus=4, gpu_kind="T4"),
        Node(num_cpus=2, num_gpus=1, gpu_kind="H200"),
    ]
    check_fits(Resources(gpu_kind="H200"), have)
    check_fits(Resources(gpu_kind="T4", gpus_per_trial=4, cpus_per_trial=4), have)
    with pytest.raises(SpecError, match="asks for A100, but the cluster has GPUs of these kinds: H200, T4;"):
        check_fits(Resources(gpu_kind="A100"), have)
    with pytest.raises(SpecError, match="asks for A100, but the cluster knows the kind of no GPU;"):
        check_fits(Resources(gpu_kind="A100"), have[:1])
    with pytest.raises(
        SpecError, match="asks for 4 on one machine, but none of the cluster with GPUs of kind H200 has more"
    ):
        check_fits(Resources(gpu_kind="H200", gpus_per_trial=4, cpus_per_trial=4), have)
    with pytest.raises(
        SpecError, match=r"cpus_per_trial asks for 4 .* of kind H200 has more than 2 beside 1"
    ):
        check_fits(Resources(gpu_kind="H200", cpus_per_trial=4), have)
