"""Measuring steps on this machine, in processes of their own: as many at once as trials would run."""

import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from study.execution.one_task import where_a_trial_runs
from study.quote.site import whole_gpus
from study.quote.step_times import MeasuredStep
from study.study_file.resources import Resources
from trainables.recipe.tree import Recipe

if TYPE_CHECKING:  # it takes seconds to import
    import torch

MEASURING_SECONDS = 12.0
"""After which no further architecture is begun; the others are inferred from those before."""
MOST_AT_ONCE = 8
"""Processes; more would take more memory than a quote is worth."""
_FEWEST_SECONDS, _MOST_SECONDS = 0.3, 1.5
"""Of each step that is asked for."""
_START_SECONDS, _STEP_SECONDS = 120.0, 120.0
"""How long a process may be silent before it counts as hung."""
_CLUSTER_SECONDS = 120.0
"""How long a cluster may take until it has room, and has measured."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What came of measuring."""

    steps: tuple[MeasuredStep, ...]
    """Of what was asked for, as far as time and memory went; in that order."""
    slowdown: float = 1.0
    """How many times as long the first step took beside the other trainings as alone."""
    failure: str | None = None
    """Why there are not more, for a person."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is measured: plain values, which travel to the processes."""

    recipes: tuple[dict[str, Any], ...]
    """The most telling first."""
    dataset_folder: Path
    threads: int
    uses_gpu: bool

    @property
    def seconds_each(self) -> float:
        """For each recipe."""
        return min(max(MEASURING_SECONDS / 2 / len(self.recipes), _FEWEST_SECONDS), _MOST_SECONDS)


def measure_steps(
    recipes: Sequence[Recipe],
    dataset_folder: Path,
    *,
    threads: int,
    uses_gpu: bool,
    num_at_once: int,
    say: Callable[[str], object],
) -> Measured:
    """Steps of the recipes in the first of `num_at_once` processes, which all do the same; some seconds.

    The processes end with this call, and with this process. Never raises for what a process does: the result
    says what failed.
    """
    work = Work(
        recipes=tuple(recipe.to_dict() for recipe in recipes),
        dataset_folder=dataset_folder,
        threads=threads,
        uses_gpu=uses_gpu,
    )
    say(
        f"measuring {len(recipes)} kind{'s' if len(recipes) > 1 else ''} of step, once for this machine: "
        f"about {_duration(work)} s"
    )
    team = _Team(work, num_at_once)
    try:
        return team.measure()
    finally:
        team.end()


def measure_where_trials_run(
    recipes: Sequence[Recipe],
    dataset_folder: Path,
    *,
    wanted: Resources,
    uses_gpu: bool,
    say: Callable[[str], object],
) -> Measured:
    """The same on a machine of the connected cluster, with what one trial has there; never raises for what
    happens there.
    """
    work = Work(
        recipes=tuple(recipe.to_dict() for recipe in recipes),
        dataset_folder=dataset_folder,
        threads=wanted.cpus_per_trial,
        uses_gpu=uses_gpu,
    )
    say(
        f"measuring {len(recipes)} kind{'s' if len(recipes) > 1 else ''} of step, once for this cluster: "
        f"about {_duration(work)} s, as soon as a machine has room"
    )
    gpus = whole_gpus(wanted) if uses_gpu else 0.0
    try:
        steps: tuple[MeasuredStep, ...] = where_a_trial_runs(
            _measured_alone, work, wanted=wanted, gpus=gpus, seconds=_CLUSTER_SECONDS
        )
    except Exception as error:  # noqa: BLE001  whoever asked says it
        return Measured(steps=(), failure=next(iter(str(error).splitlines()), type(error).__name__))
    return Measured(steps=steps)


def _measured_alone(work: Work) -> tuple[MeasuredStep, ...]:
    """The body of a task of Ray."""
    from study.execution.trial_device import trial_device

    timed, begun = _stopwatch(work, trial_device() if work.uses_gpu else None), time.monotonic()
    steps = []
    for index in range(len(work.recipes)):
        if index and time.monotonic() - begun > MEASURING_SECONDS:
            break
        steps.append(timed(index))
    return tuple(steps)


def _duration(work: Work) -> int:
    return round(5 + min(MEASURING_SECONDS, 3 * len(work.recipes) * work.seconds_each))


class _Team:
    """The processes: a leader, which is asked, and others, which train beside it."""

    def __init__(self, work: Work, num_processes: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._members: list[tuple[BaseProcess, Connection[Any, Any]]] = []
        for _ in range(num_processes):
            here, there = context.Pipe()
            process = context.Process(target=_serve, args=(there, work), daemon=True)
            process.start()
            there.close()
            self._members.append((process, here))

    def measure(self) -> Measured:
        """What the leader measures."""
        steps: list[MeasuredStep] = []
        alone: MeasuredStep | None = None
        try:
            for _, connection in self._members:
                _received(connection, _START_SECONDS)
            leader = self._members[0][1]
            if len(self._members) > 1:
                leader.send("first")
                alone = _received(leader, _STEP_SECONDS)
            for _, connection in self._members:
                connection.send("all")
            while (step := _received(leader, _STEP_SECONDS)) is not None:
                steps.append(step)
        except _MeasuringError as error:
            return Measured(steps=tuple(steps), slowdown=_slowdown(alone, steps), failure=str(error))
        return Measured(steps=tuple(steps), slowdown=_slowdown(alone, steps))

    def end(self) -> None:
        """Ends all processes, whatever they do."""
        for process, connection in self._members:
            process.kill()
            process.join()
            connection.close()


def _slowdown(alone: MeasuredStep | None, steps: Sequence[MeasuredStep]) -> float:
    if alone is None or not steps:
        return 1.0
    return max(steps[0].batch_seconds / alone.batch_seconds, 1.0)


class _MeasuringError(Exception):
    """A process that measures raised, died or fell silent."""


def _received(connection: "Connection[Any, Any]", seconds: float) -> Any:
    try:
        if not connection.poll(seconds):
            raise _MeasuringError(f"a process that measures was silent for {seconds:.0f} s")
        kind, content = connection.recv()
    except (EOFError, OSError):
        raise _MeasuringError("a process that measures died, as where memory runs out") from None
    if kind == "raised":
        raise _MeasuringError(content)
    return content


def _serve(connection: "Connection[Any, Any]", work: Work) -> None:
    """The body of a process: readies itself, then does as it is told until it is ended."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        from trainables.devices.device import find_device

        timed = _stopwatch(work, find_device() if work.uses_gpu else None)
        connection.send(("ready", None))
        while True:
            if connection.recv() == "first":
                connection.send(("step", timed(0)))
            else:
                _measure_all(connection, work, timed)
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # noqa: BLE001  whoever asked says it
        connection.send(("raised", f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"))


def _measure_all(
    connection: "Connection[Any, Any]", work: Work, timed: Callable[[int], MeasuredStep]
) -> None:
    """One recipe after the other; those that are not asked go on as company until they are ended."""
    begun = time.monotonic()
    for index in range(len(work.recipes)):
        if index and time.monotonic() - begun > MEASURING_SECONDS:
            break
        connection.send(("step", timed(index)))
    connection.send(("done", None))
    while True:
        timed(0)


def _stopwatch(work: Work, gpu: "torch.device | None") -> Callable[[int], MeasuredStep]:
    """What measures the recipe of a number, on the GPU if there is one to be used."""
    import torch

    from trainables.datasets.dataset import Dataset
    from trainables.devices.threads import use_threads
    from trainables.training.step_times import time_steps

    use_threads(work.threads)
    device = torch.device("cpu") if gpu is None else gpu
    dataset = Dataset.open(work.dataset_folder)

    def timed(index: int) -> MeasuredStep:
        recipe = Recipe.from_dict(work.recipes[index])
        before, begun, begun_cpu = _reset_peak(device), time.perf_counter(), time.process_time()
        step = time_steps(recipe, dataset, device, work.seconds_each)
        seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - begun_cpu
        peak = _peak_bytes(device)
        return MeasuredStep(
            architecture=recipe.model.architecture,
            image_size=recipe.data.image_size,
            batch_size=recipe.batch_size,
            cpu_share=min(cpu_seconds / seconds / work.threads, 1.0),
            memory_bytes=None
            if before is None or peak is None
            else round(before + (peak - before) * recipe.batch_size / step.num_images),
            num_images=step.num_images,
            seconds=step.seconds,
            fixed_seconds=step.fixed_seconds,
            evaluation_seconds=step.evaluation_seconds,
            build_seconds=step.build_seconds,
            frozen=step.frozen,
        )

    return timed


def _reset_peak(device: Any) -> int | None:
    """Begins to look for the peak of memory anew; what is taken now, None where the system does not tell."""
    if device.type == "cuda":
        import torch

        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return int(torch.cuda.memory_reserved(device))
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        return _status_bytes("VmRSS")
    return None


def _peak_bytes(device: Any) -> int | None:
    if device.type == "cuda":
        import torch

        return int(torch.cuda.max_memory_reserved(device))
    return _status_bytes("VmHWM")


def _status_bytes(name: str) -> int | None:
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return None


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a child"
    parent.join()
    os._exit(1)
