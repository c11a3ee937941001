"""What each trial gets of the cluster: CPUs, and GPUs as the study file says, or, for `auto`, as measured on
them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ray.exceptions import RayError

from cluster.nodes import Node, nodes
from cluster.packing import OVERHEAD_BYTES, Packing, pack
from study.errors import StudyError
from study.execution.capacity import check_fits
from study.execution.memory_probe import Probed, probe_on_gpus
from study.execution.peak_memory import configuration_text, heaviest_recipes, num_architectures
from study.planning.plan import Plan
from study.search.record.study_record import StudyRecord
from trainables.recipe.tree import Recipe
from trainables.training.resource_probe import DeviceMemory, Probe

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


def decide_gpu_share(plan: Plan, record: StudyRecord, say: Callable[[str], object]) -> GpuShare:
    """What each trial gets of the connected cluster's GPUs: as the record has it, as long as the GPUs are of
    the same kinds.

    Raises SpecError if no machine of the cluster can hold a trial, StudyError if torch cannot use a GPU that
    is there.
    """
    wanted, have = plan.spec.resources, nodes()
    check_fits(wanted, have)
    if wanted.gpus_per_trial != "auto":
        return GpuShare(gpus_per_trial=wanted.gpus_per_trial)
    with_gpus = [node for node in have if node.num_slots(wanted.cpus_per_trial, 1)]
    kinds = tuple(sorted({node.gpu_kind for node in with_gpus}, key=str))
    known = GpuShare.noted(record)
    if known is not None and known.gpu_kinds == kinds:
        share = known
    elif kinds:
        share = _measured(plan, with_gpus, kinds, say)
    else:
        share = GpuShare(
            gpus_per_trial=0.0,
            reason=None if known is None else "no GPU is there any more: trials go on with CPUs alone",
        )
    if share is not known:
        share.note(record)
    if share.reason is not None:
        say(share.reason)
    return share


def _measured(
    plan: Plan, with_gpus: Sequence[Node], kinds: tuple[str | None, ...], say: Callable[[str], object]
) -> GpuShare:
    recipes, cpus = heaviest_recipes(plan), plan.spec.resources.cpus_per_trial
    say(_what_is_measured(plan, recipes, kinds))
    try:
        probed = probe_on_gpus(recipes, plan.dataset_folder, cpus, kinds, say)
    except RayError as error:
        if isinstance(error, StudyError):  # a task's error is one of Ray's and one of its cause's kind
            raise StudyError(str(error.args[0] if error.args else error)) from error
        lines = str(error).strip().splitlines()
        return GpuShare(
            gpus_per_trial=1.0,
            gpu_kinds=kinds,
            reason=f"one trial on each GPU, as measuring failed: {lines[-1]}",
        )
    return largest_share(
        recipes, dict(zip(kinds, probed, strict=True)), with_gpus, cpus, _most_at_once(plan, with_gpus)
    )


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
            f"took {self.peak_bytes / 1e9:.1f} of {self.total_bytes / 1e9:.0f} GB{speed}; "
            f"{self.packing.limit}"
        )


def _most_at_once(plan: Plan, with_gpus: Sequence[Node]) -> int:
    """Trials that the study could have for each GPU: more would leave other GPUs idle, as Ray fills one after
    the other.
    """
    wanted = min(plan.spec.budget.trials, plan.spec.resources.max_concurrent or plan.spec.budget.trials)
    return math.ceil(wanted / sum(node.num_gpus for node in with_gpus))


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
