"""The quote: what a study will take, from measured steps and from what its early stopping leaves."""

import heapq
import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from study.planning.plan import Plan
from study.quote.amount import Range
from study.quote.case import Case
from study.quote.drawn import Drawn, Shape, num_trials, shapes_of
from study.quote.earlier import BESIDE_FACT, EarlierStudy
from study.quote.epoch_time import EpochTime, wanted_recipes
from study.quote.epochs import ExpectedEpochs, epochs_of
from study.quote.measuring import MOST_AT_ONCE, Measured, measure_steps, measure_where_trials_run
from study.quote.site import Site, site_of
from study.quote.step_times import Conditions, StepTimes, package_versions
from study.results.price import Price
from trainables.recipe.tree import Recipe

START_SECONDS, END_SECONDS = 12.0, 12.0
"""Of Ray, MLflow and the first processes, and of measuring and registering, where no earlier study tells."""
_CONFIRMATION_START_SECONDS = 5.0
_MEASURED_SPREAD = 0.15
"""By how much a machine's speed differs from what it was when it was measured."""


@dataclass(frozen=True, kw_only=True)
class QuotedShape:
    """An architecture at an image size, with what an epoch of it takes."""

    architecture: str
    image_size: int
    batch_sizes: tuple[int, int]
    """The smallest and the largest that were drawn."""
    epoch_seconds: Range
    """The least, the middle and the most of the configurations drawn."""
    memory_bytes: int | None
    """Of a trial's process at its peak, or of its tensors on a GPU, with all images; None where it was not
    measured.
    """
    is_measured: bool
    """Whether its own steps were measured, and not inferred from others'."""
    share: float
    """Of the configurations drawn."""


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What a study will take."""

    num_trials: int
    epochs: ExpectedEpochs
    site: Site
    search_seconds: Range | None
    """From the command to the result, without confirmation; None where nothing could be measured."""
    confirmation_seconds: Range | None
    """What the confirmation adds; None where there is none, or nothing could be measured."""
    unlimited_seconds: Range | None
    """What the search would take if no budget of hours ended it."""
    shapes: tuple[QuotedShape, ...]
    """The one that most configurations have first; empty where nothing could be measured."""
    slowdown: float
    """How many times as long a step takes beside the other trials as alone."""
    was_disturbed: bool
    """Whether other work ran while steps were measured."""
    failure: str | None
    """Why nothing, or not all, could be measured."""
    price: Price | None
    """Where the environment says what an hour costs."""

    @property
    def total_seconds(self) -> Range | None:
        """Search and confirmation."""
        if self.search_seconds is None or self.confirmation_seconds is None:
            return self.search_seconds
        return self.search_seconds + self.confirmation_seconds

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        total = self.total_seconds
        return {
            "trials": self.num_trials,
            "epochs": asdict(self.epochs.range),
            "epochs_source": self.epochs.source,
            "devices": self.site.devices_text,
            "machine": self.site.machine,
            "trials_at_once": self.site.num_slots,
            "slowdown": round(self.slowdown, 3),
            "was_disturbed": self.was_disturbed,
            "search_seconds": None if self.search_seconds is None else asdict(self.search_seconds),
            "confirmation_seconds": None
            if self.confirmation_seconds is None
            else asdict(self.confirmation_seconds),
            "price": None
            if self.price is None or total is None
            else {"currency": self.price.currency, **asdict(total * (self.price.an_hour / 3600))},
            "architectures": [asdict(shape) for shape in self.shapes],
            "failure": self.failure,
        }


@dataclass(frozen=True, kw_only=True)
class _Pace:
    """How fast a configuration trains."""

    before: float
    epoch: float
    shared: dict[str, float]
    """Seconds of what the first trial that needs it computes for all, by what it is."""

    @classmethod
    def of(cls, epoch_time: EpochTime, drawn: Drawn, crowding: float) -> "_Pace":
        return cls(
            before=epoch_time.seconds_before(drawn.recipe) * crowding,
            epoch=epoch_time.seconds(drawn.recipe) * crowding,
            shared=epoch_time.shared_seconds(drawn.recipe),
        )

    def seconds(self, epochs: float) -> float:
        """Of a trial of so many epochs that finds there what trials share."""
        return self.before + epochs * self.epoch

    def seconds_after(self, epochs: float, known: set[str]) -> float:
        """The same where only what is `known` is there; what it computes is known from then on."""
        missing = self.shared.keys() - known
        known |= missing
        return self.seconds(epochs) + sum(self.shared[one] for one in missing)


def quote(case: Case, *, say: Callable[[str], object], measures_anew: bool = False) -> Quote:
    """What a study will take on this machine, or on the cluster that `RAY_ADDRESS` names, to which this
    process must be connected then: by steps that are measured where STUDY_HOME does not know them yet. `say`
    is told before that begins.

    Raises SpecError where the environment's price is none. What cannot be measured is left out, and the quote
    says why.
    """
    plan, drawn, earlier = case.plan, case.drawn, case.earlier
    price, site = Price.of_environment(), site_of(plan)
    epochs = epochs_of(plan, [one.point for one in drawn], site.num_slots, earlier)
    times, failure = _times(plan, drawn, site, say, measures_anew=measures_anew)
    if not times.steps:
        return Quote(
            num_trials=num_trials(plan),
            epochs=epochs,
            site=site,
            search_seconds=None,
            confirmation_seconds=None,
            unlimited_seconds=None,
            shapes=(),
            slowdown=1.0,
            was_disturbed=False,
            failure=failure,
            price=price,
        )
    epoch_time = EpochTime(plan, times.steps, device_type="cuda" if site.has_gpus else "cpu")
    paces = [_Pace.of(epoch_time, one, site.crowding) for one in drawn]
    beside = _beside(earlier)
    unlimited = _search_seconds(plan, epochs, paces, site)
    searching = unlimited.at_most(_limit_seconds(plan, site))
    return Quote(
        num_trials=num_trials(plan),
        epochs=epochs,
        site=site,
        search_seconds=searching + beside,
        confirmation_seconds=_confirmation_seconds(plan, paces, site),
        unlimited_seconds=unlimited,
        shapes=_quoted_shapes(plan, drawn, epoch_time, times),
        slowdown=times.slowdown,
        was_disturbed=times.was_disturbed,
        failure=failure,
        price=price,
    )


def conditions_of(plan: Plan, site: Site) -> Conditions:
    """Under what the steps of a study's trials are measured."""
    manifest = plan.manifest
    return Conditions(
        machine=site.machine,
        device=site.device,
        precision=site.precision,
        num_at_once=1 if site.has_gpus or site.is_cluster else min(site.num_slots, MOST_AT_ONCE),
        threads=site.threads,
        images=f"{manifest.form} {manifest.width}x{manifest.height}x{manifest.channels}",
        versions=package_versions(),
    )


def _times(
    plan: Plan, drawn: Sequence[Drawn], site: Site, say: Callable[[str], object], *, measures_anew: bool
) -> tuple[StepTimes, str | None]:
    """What steps take at the site, as kept or as measured now, and why it is not all."""
    conditions = conditions_of(plan, site)
    wanted = wanted_recipes(drawn)
    kept = StepTimes.kept(plan.home, conditions)
    known = {step.shape.architecture for step in kept.steps}
    if not measures_anew and {recipe.model.architecture for recipe in wanted} <= known | kept.tried:
        return kept, None
    measured = _measured(plan, wanted, site, conditions.num_at_once, say)
    times = _merged(kept, measured, wanted)
    try:
        times.keep(plan.home)
    except OSError as error:
        return times, f"not kept for the next time, as {plan.home.step_times} cannot be written ({error})"
    return times, measured.failure


def _measured(
    plan: Plan, wanted: Sequence[Recipe], site: Site, num_at_once: int, say: Callable[[str], object]
) -> Measured:
    if site.is_cluster:
        return measure_where_trials_run(
            wanted, plan.dataset_folder, wanted=plan.spec.resources, uses_gpu=site.has_gpus, say=say
        )
    return measure_steps(
        wanted,
        plan.dataset_folder,
        threads=site.threads,
        uses_gpu=site.has_gpus,
        num_at_once=num_at_once,
        say=say,
    )


def _merged(kept: StepTimes, measured: Measured, wanted: Sequence[Recipe]) -> StepTimes:
    if not measured.steps:
        return kept
    tried = () if measured.failure else (recipe.model.architecture for recipe in wanted)
    return kept.with_steps(measured.steps, slowdown=measured.slowdown, tried=tried)


def _search_seconds(plan: Plan, epochs: ExpectedEpochs, paces: Sequence[_Pace], site: Site) -> Range:
    """Of trials alone, where each is one of those drawn."""
    source = np.random.default_rng(0)
    games = epochs.games if len(epochs.games) > 1 else epochs.games * 10
    lengths = []
    for game in games:
        order = source.permutation(len(paces))
        known: set[str] = set()
        trials = [
            paces[order[index % len(paces)]].seconds_after(
                min(each * epochs.factor, plan.spec.budget.epochs), known
            )
            for index, each in enumerate(game.epochs)
        ]
        lengths.append(_makespan(trials, site.num_slots))
    low, expected, high = map(float, np.quantile(lengths, (0.1, 0.5, 0.9)))
    return Range(low=low, expected=expected, high=high).widened(_MEASURED_SPREAD)


def _confirmation_seconds(plan: Plan, paces: Sequence[_Pace], site: Site) -> Range | None:
    confirm = plan.spec.confirm
    if confirm is None:
        return None
    rounds = math.ceil(confirm.top * confirm.seeds / site.num_slots)
    seconds = [pace.seconds(plan.spec.budget.epochs) for pace in paces]
    low, high = map(float, np.quantile(seconds, (0.1, 0.9)))
    # The best are few, so their mean may lie anywhere among the means of all.
    found = Range(low=low * rounds, expected=statistics.mean(seconds) * rounds, high=high * rounds)
    found = Range(
        low=min(found.low, found.expected), expected=found.expected, high=max(found.high, found.expected)
    )
    return found.widened(_MEASURED_SPREAD) + Range.exactly(_CONFIRMATION_START_SECONDS)


def _makespan(seconds: Sequence[float], num_slots: int) -> float:
    """When the last of the trials ends, each of which takes the slot that is free first."""
    free = [0.0] * min(num_slots, len(seconds))
    for one in seconds:
        heapq.heapreplace(free, free[0] + one)
    return max(free)


def _limit_seconds(plan: Plan, site: Site) -> float:
    """At which a budget of hours ends the search, at the latest."""
    budget, gpus = plan.spec.budget, plan.spec.resources.gpus_per_trial
    limits = [math.inf]
    if budget.hours is not None:
        limits.append(budget.hours * 3600)
    if budget.gpu_hours is not None and site.has_gpus:
        limits.append(budget.gpu_hours * 3600 / site.num_slots / (1.0 if gpus == "auto" else max(gpus, 1.0)))
    return min(limits)


def _beside(earlier: Sequence[EarlierStudy]) -> Range:
    """What a study takes beside its trials."""
    noted = [study.facts[BESIDE_FACT] for study in earlier if BESIDE_FACT in study.facts]
    if not noted:
        return Range.exactly(START_SECONDS + END_SECONDS).widened(0.3)
    sums = [one["start"] + one["end"] for one in noted]
    return Range(low=min(sums), expected=statistics.median(sums), high=max(sums))


def _quoted_shapes(
    plan: Plan, drawn: Sequence[Drawn], epoch_time: EpochTime, times: StepTimes
) -> tuple[QuotedShape, ...]:
    quoted = []
    for shape, recipes in shapes_of(drawn).items():
        seconds = sorted(map(epoch_time.seconds, recipes))
        memory = [step.memory_bytes for step in times.steps if step.shape == shape and step.memory_bytes]
        quoted.append(
            QuotedShape(
                architecture=shape.architecture,
                image_size=shape.image_size,
                batch_sizes=(recipes[0].batch_size, recipes[-1].batch_size),
                epoch_seconds=Range(low=seconds[0], expected=statistics.median(seconds), high=seconds[-1]),
                memory_bytes=max(memory) + _image_bytes(plan, shape) if memory else None,
                is_measured=epoch_time.is_measured(recipes[0]),
                share=len(recipes) / len(drawn),
            )
        )
    return tuple(sorted(quoted, key=lambda one: -one.share))


def _image_bytes(plan: Plan, shape: Shape) -> int:
    """Of the images of train and validation, as they lie in memory."""
    manifest = plan.manifest
    side = shape.image_size if manifest.is_encoded else min(shape.image_size, manifest.width)
    num_images = manifest.splits["train"].num_images + plan.num_validated
    return num_images * manifest.channels * side * side
