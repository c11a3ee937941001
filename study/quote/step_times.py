"""How long steps of trainings take on a kind of machine, kept in STUDY_HOME: measured once."""

import hashlib
import json
import statistics
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version

from pydantic import TypeAdapter, ValidationError

from study.home import Home
from study.quote.drawn import Shape
from trainables.atomic import atomic_file
from trainables.training.probe_result import FrozenTime

_PACKAGES = ("study", "torch", "torchvision", "timm")


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """Under what was measured: what was measured under others says nothing here."""

    machine: str
    """Kind of processor and number of cores."""
    device: str
    """`cpu`, or the name of the GPU."""
    precision: str
    num_at_once: int
    """Trainings that ran at the same time."""
    threads: int
    """Of each."""
    images: str
    """How the dataset's images are stored."""
    versions: str
    """Of this package and of those that train."""


@dataclass(frozen=True, kw_only=True)
class MeasuredStep:
    """What training a whole network took, for one architecture, image size and batch."""

    architecture: str
    image_size: int
    """Pixels."""
    batch_size: int
    num_images: int
    """Of the step that was timed: the batch, or fewer where that would have taken long."""
    seconds: float
    """Of that step."""
    fixed_seconds: float | None = None
    """Of these, what a step of any number of images takes; None where it was not measured."""
    evaluation_seconds: float
    """For each validated image."""
    build_seconds: float = 0.0
    """Of building the network, before the first step."""
    frozen: tuple[FrozenTime, ...] = ()
    """What is left of the step behind frozen stages whose output is there."""
    cpu_share: float = 1.0
    """Of the time of its threads that they had a core; less where other work ran."""
    memory_bytes: int | None = None
    """Of the process (on a GPU: of its tensors) at its peak with the whole batch, with hardly any images of
    the dataset; None where the system does not tell."""

    @property
    def shape(self) -> Shape:
        """What decides how long it takes, besides the batch."""
        return Shape(self.architecture, self.image_size)

    @property
    def batch_seconds(self) -> float:
        """Of a step with the whole batch."""
        return self.seconds * self.batch_size / self.num_images


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """All that is known of one kind of machine under one set of conditions."""

    conditions: Conditions
    steps: tuple[MeasuredStep, ...] = ()
    slowdown: float = 1.0
    """How many times as long a step takes with the other trainings beside it as alone."""
    tried: frozenset[str] = frozenset()
    """Architectures that were to be measured; those without steps are inferred, as time was short."""

    @classmethod
    def kept(cls, home: Home, conditions: Conditions) -> "StepTimes":
        """What `keep` wrote; nothing measured where there is nothing, or nothing that can be read."""
        with suppress(OSError, ValidationError):
            return TypeAdapter(cls).validate_json((home.step_times / _file_name(conditions)).read_bytes())
        return cls(conditions=conditions)

    @property
    def was_disturbed(self) -> bool:
        """Whether other work ran meanwhile, so that a quiet machine is faster."""
        least = 0.8 if self.conditions.threads == 1 else 0.5  # threads wait for each other, too
        shares = [step.cpu_share for step in self.steps]
        return self.conditions.device == "cpu" and bool(shares) and statistics.median(shares) < least

    def keep(self, home: Home) -> None:
        """Writes it into `home`. Raises OSError where that cannot be written to."""
        with atomic_file(home.step_times / _file_name(self.conditions)) as unfinished:
            unfinished.write_bytes(TypeAdapter(StepTimes).dump_json(self, indent=2))

    def with_steps(
        self, measured: Iterable[MeasuredStep], *, slowdown: float, tried: Iterable[str]
    ) -> "StepTimes":
        """With further steps, in place of what was known of the same ones."""
        by_key = {_key(step): step for step in (*self.steps, *measured)}
        return replace(self, steps=tuple(by_key.values()), slowdown=slowdown, tried=self.tried.union(tried))


def package_versions() -> str:
    """Of what decides how fast a training is."""
    return ", ".join(f"{name} {found}" for name in _PACKAGES if (found := _version(name)))


def _key(step: MeasuredStep) -> tuple[str, int, int]:
    return (step.architecture, step.image_size, step.batch_size)


def _file_name(conditions: Conditions) -> str:
    text = json.dumps(asdict(conditions), sort_keys=True)
    return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.json"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
