"""What each trial gets of the cluster: CPUs, and GPUs as the study file says, or, for `auto`, as measured on
them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ray.exceptions import RayError

from cluster.autoscaler import largest_cluster
from cluster.connection import is_shared
from cluster.nodes import Node, nodes
from cluster.packing import OVERHEAD_BYTES, Packing, pack
from study.errors import StopRequestedError, StudyError
from study.execution.capacity import check_cluster_fits, with_whole_gpu
from study.execution.memory_probe import Probed, probe_on_gpus
from study.execution.peak_memory import configuration_text, heaviest_recipes, num_architectures
from study.execution.slots import await_gpu_node
from study.planning.plan import Plan
from study.search.record.driver_lock import OnPhase
from study.search.record.study_record import StudyRecord
from study.study_file.edits import is_stopped, last_priority, read_edits
from trainables.recipe.tree import Recipe
from trainables.training.probe_result import DeviceMemory, Probe

_FACT = "gpu_share"


@dataclass(frozen=True, kw_only=True)
class GpuShare:
    """Decided once for a study, so that its trials compare: what one trial gets, and why."""

    gpus_per_trial: float
    overhead_bytes: int = OVERHEAD_BYTES
    """What a trial's process takes of a GPU besides its tensors."""
    reason: str | None = None
    """A sentence for a person; None where the study file said it all."""
    gpu_kinds: tuple[str | None, ...] = ()
    """Those that were there."""
    measured: tuple[dict[str, Any], ...] = ()
    """By configuration and kind of GPU."""

    @classmethod
    def noted(cls, record: StudyRecord) -> "GpuShare | None":
        """The one that a study's record has; None before its first."""
        tree = record.facts.get(_FACT)
        return (
            None
            if tree is None
            else cls(**{**tree, "gpu_kinds": tuple(tree["gpu_kinds"]), "measured": tuple(tree["measured"])})
        )

    def note(self, record: StudyRecord) -> None:
        """Keeps it in a study's record."""
        record.note(**{_FACT: asdict(self)})


def decide_gpu_share(
    plan: Plan, record: StudyRecord, say: Callable[[str], object], on_phase: OnPhase
) -> GpuShare:
    """What each trial gets of the connected cluster's GPUs: as the record has it, as long as the GPUs are of
    the same kinds.

    Where all machines with GPUs are still to be started, waits for the first one, and tells `on_phase`.
    Raises SpecError if no machine that the cluster has or may start can hold a trial, StudyError if torch
    cannot use a GPU that is there, StopRequestedError if somebody stops the study while it waits.
    """
    wanted = plan.spec.resources
    check_cluster_fits(wanted)
    if wanted.gpus_per_trial != "auto":
        return GpuShare(gpus_per_trial=wanted.gpus_per_trial)
    known, with_gpus = GpuShare.noted(record), with_whole_gpu(wanted, nodes())
    with_gpus_at_most = with_whole_gpu(wanted, largest_cluster()) if is_shared() else with_gpus
    if with_gpus_at_most and not with_gpus:
        if known is not None and known.gpu_kinds:
            return _told(known, say)  # the study waits when its first trial is to start
        _await_gpu_node(plan, record, on_phase)
        with_gpus = with_whole_gpu(wanted, nodes())
    kinds = tuple(sorted({node.gpu_kind for node in with_gpus}, key=str))
    if known is not None and known.gpu_kinds == kinds:
        share = known
    elif kinds:
        num_gpus = sum(node.num_gpus for node in with_gpus_at_most)
        share = _measured(plan, with_gpus, kinds, _most_at_once(plan, num_gpus), say)
    else:
        share = GpuShare(
            gpus_per_trial=0.0,
            reason=None if known is None else "no GPU is there any more: trials go on with CPUs alone",
        )
    if share is not known:
        share.note(record)
    return _told(share, say)


def _told(share: GpuShare, say: Callable[[str], object]) -> GpuShare:
    if share.reason is not None:
        say(share.reason)
    return share


def _await_gpu_node(plan: Plan, record: StudyRecord, on_phase: OnPhase) -> None:
    study = plan.spec.study

    def check_goes_on() -> None:
        if is_stopped(read_edits(plan.folder)):
            raise StopRequestedError(f"study {study!r} was asked to stop")

    edit = last_priority(read_edits(plan.folder))
    await_gpu_node(
        plan.spec.resources, study, record, edit, lambda why: on_phase("queued", why), check_goes_on
    )
    on_phase("starting", "a GPU node is there")


def _measured(
    plan: Plan,
    with_gpus: Sequence[Node],
    kinds: tuple[str | None, ...],
    most_at_once: int,
    say: Callable[[str], object],
) -> GpuShare:
    recipes, cpus = heaviest_recipes(plan), plan.spec.resources.cpus_per_trial
    say(_what_is_measured(plan, recipes, kinds))
    try:
        probed = probe_on_gpus(recipes, plan.dataset_folder, plan.spec.num_folds, cpus, kinds, say)
    except RayError as error:
        if isinstance(error, StudyError):  # a task's error is one of Ray's and one of its cause's kind
            raise StudyError(str(error.args[0] if error.args else error)) from error
        lines = str(error).strip().splitlines()
        return GpuShare(
            gpus_per_trial=1.0,
            gpu_kinds=kinds,
            reason=f"one trial on each GPU, as measuring failed: {lines[-1]}",
        )
    return largest_share(recipes, dict(zip(kinds, probed, strict=True)), with_gpus, cpus, most_at_once)


def largest_share(
    recipes: Sequence[Recipe],
    probed: Mapping[str | None, Probed],
    with_gpus: Sequence[Node],
    cpus: int,
    most_at_once: int,
) -> GpuShare:
    """The share that follows from what was measured of the recipes on each kind of GPU: the kind that holds
    fewest trials decides.
    """
    kinds = tuple(probed)
    memories = {kind: one.memory for kind, one in probed.items() if one.memory is not None}
    if len(memories) < len(kinds):
        return GpuShare(
            gpus_per_trial=1.0,
            gpu_kinds=kinds,
            reason="one trial for each GPU that Ray counts; torch sees none to measure",
        )
    overhead_bytes = max(memory.overhead for memory in memories.values())
    choices = [
        _Choice.of(
            recipes,
            probed[kind].probes,
            [node for node in with_gpus if node.gpu_kind == kind],
            replace(memory, overhead=overhead_bytes),
            cpus,
            most_at_once,
        )
        for kind, memory in memories.items()
    ]
    smallest = min(choices, key=lambda choice: choice.packing.processes_per_gpu)
    return GpuShare(
        gpus_per_trial=smallest.packing.gpus_per_process,
        overhead_bytes=overhead_bytes,
        reason=smallest.sentence(is_one_of_several=len(kinds) > 1),
        gpu_kinds=kinds,
        measured=tuple(
            _measurement(recipe, kind, one, i)
            for kind, one in probed.items()
            for i, recipe in enumerate(recipes)
        ),
    )


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """What follows for one kind of GPU."""

    packing: Packing
    kind: str | None
    largest: Recipe
    peak_bytes: int
    total_bytes: int
    images_per_second: float | None
    is_streamed: bool

    @classmethod
    def of(
        cls,
        recipes: Sequence[Recipe],
        probes: Sequence[Probe],
        nodes: Sequence[Node],
        memory: DeviceMemory,
        cpus: int,
        most_at_once: int,
    ) -> "_Choice":
        index, probe = max(enumerate(probes), key=lambda one: one[1].peak_bytes or 0)
        peak_bytes = probe.peak_bytes or 0
        packing = pack(
            peak_bytes=peak_bytes,
            total_bytes=memory.total,
            overhead_bytes=memory.overhead,
            cores_per_gpu=min(node.num_cpus / node.num_gpus for node in nodes),
            cpus_per_process=cpus,
            max_processes=most_at_once,
        )
        return cls(
            packing=packing,
            kind=nodes[0].gpu_kind,
            largest=recipes[index],
            peak_bytes=peak_bytes,
            total_bytes=memory.total,
            images_per_second=probe.images_per_second,
            is_streamed=probe.is_streamed,
        )

    def sentence(self, *, is_one_of_several: bool) -> str:
        """For a person: how many trials, what they take, and what keeps it from being more."""
        num, where = (
            self.packing.processes_per_gpu,
            f", by what {self.kind} has, the smallest" if is_one_of_several else "",
        )
        speed = (
            ""
            if self.images_per_second is None
            else f" and trained {self.images_per_second:,.0f} images/s alone"
        )
        return (
            f"{num} trial{'s' if num > 1 else ''} on each GPU{where}: the largest configuration, "
            f"{configuration_text(self.largest)}, "
            f"took {self.peak_bytes / 1e9:.1f} of {self.total_bytes / 1e9:.0f} GB{speed}"
            f"{', its images streamed from the disk' if self.is_streamed else ''}; "
            f"{self.packing.limit}"
        )


def _most_at_once(plan: Plan, num_gpus: float) -> int:
    """Trials that the study could have for each GPU: more would leave other GPUs idle, as Ray fills one after
    the other.
    """
    wanted = min(plan.spec.budget.trials, plan.spec.resources.max_concurrent or plan.spec.budget.trials)
    return math.ceil(wanted / num_gpus)


def _what_is_measured(plan: Plan, recipes: Sequence[Recipe], kinds: tuple[str | None, ...]) -> str:
    left = num_architectures(plan.space) - len(recipes)
    those = f"; {left} architectures that compute less are left out" if left > 0 else ""
    where = f"one GPU of each kind ({', '.join(map(str, kinds))})" if len(kinds) > 1 else "a GPU"
    return (
        f"measuring on {where} what trials take, by the largest images and batches of each architecture "
        f"({len(recipes)}){those}"
    )


def _measurement(recipe: Recipe, kind: str | None, probed: Probed, index: int) -> dict[str, Any]:
    return {"configuration": configuration_text(recipe), "gpu": kind, **asdict(probed.probes[index])}
