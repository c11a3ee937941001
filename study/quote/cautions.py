"""What a person should think of before a study starts, each with a way out; a function for each."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from search_spaces.dimensions import Choice, Dimension, Float, Int
from study.quote.amount import duration_text
from study.quote.case import Case
from study.quote.earlier import EarlierStudy
from study.quote.quote import Quote
from study.search.record.trial import Trial
from study.search.sampling.enumeration import options_of
from study.stopping.rungs import rung_epoch
from trainables.datasets.manifest import SplitSummary

FEW_IMAGES = 50
"""Of a class to train on."""
RARE_SHARE = 0.05
"""Of the validation images: a class below it hardly moves a metric that counts images."""
TRIALS_A_DIMENSION = 3
NEAR_END = 0.05
"""Of a range."""
BEST_TRIALS = 3
"""Of each earlier study: those that say where good values lie."""
_NUM_NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Caution:
    """One thing to think of."""

    kind: str
    sentence: str
    """What is so."""
    way_out: str
    """What can be done."""


def cautions_of(case: Case, quote: Quote) -> tuple[Caution, ...]:
    """All that there is to think of, the dataset first."""
    return tuple(caution for find in CAUTIONS for caution in find(case, quote))


def duplicates_across_splits(case: Case, quote: Quote) -> Iterator[Caution]:
    """Images that stand in two splits."""
    manifest = case.plan.manifest
    found = {pair: number for pair, number in manifest.findings.num_duplicates_across.items() if number}
    if found:
        listed = ", ".join(f"{number:,} in {pair.replace('+', ' and ')}" for pair, number in found.items())
        yield Caution(
            kind="duplicates",
            sentence=f"Equal images stand in two splits: {listed}. What is measured there is too good.",
            way_out=f"study data add {manifest.name} --replace, from the training images alone: splits that "
            "are carved keep equal images together",
        )


def label_conflicts(case: Case, quote: Quote) -> Iterator[Caution]:
    """Equal images under different classes."""
    manifest = case.plan.manifest
    number = manifest.findings.num_label_conflicts
    if number:
        is_one = number == 1
        yield Caution(
            kind="label_conflicts",
            sentence=f"{number:,} image{' stands' if is_one else 's stand'} under more than one class, "
            "which no network can get right.",
            way_out=f"correct the labels in the source, and study data add {manifest.name} --replace",
        )


def few_images_of_a_class(case: Case, quote: Quote) -> Iterator[Caution]:
    """Classes that have little to learn from."""
    manifest, train = case.plan.manifest, case.plan.manifest.splits["train"]
    share = max(map(case.plan.num_images_of_epoch, case.plan.corner_recipes), default=0) / train.num_images
    kept = [int(number * min(share, 1.0)) for number in train.num_by_class]
    few = sorted(
        (number, name) for number, name in zip(kept, manifest.classes, strict=True) if number < FEW_IMAGES
    )
    if few:
        listed = ", ".join(f"{name} ({number})" for number, name in few[:_NUM_NAMED])
        more = f" and {len(few) - _NUM_NAMED} more" if len(few) > _NUM_NAMED else ""
        yield Caution(
            kind="few_images",
            sentence=f"Fewer than {FEW_IMAGES} images to train on: {listed}{more}.",
            way_out="more images of them (study data add --with), or fewer classes (--relabel)",
        )


def metric_blind_to_a_rare_class(case: Case, quote: Quote) -> Iterator[Caution]:
    """A metric that counts images, where a class has hardly any."""
    metric, manifest = case.plan.spec.objective.metric, case.plan.manifest
    validation = manifest.splits["validation"]
    rarest, share = _rarest(validation, manifest.classes)
    if metric in ("accuracy", "log_loss") and share < min(RARE_SHARE, 1 / (2 * manifest.num_classes)):
        yield Caution(
            kind="blind_metric",
            sentence=f"{metric} hardly sees class {rarest}, which {share:.1%} of the validation images have.",
            way_out="objective: {metric: macro_f1}, or balanced_accuracy, counts every class alike",
        )


def best_beyond_the_range(case: Case, quote: Quote) -> Iterator[Caution]:
    """Ranges whose best end, by earlier studies of this dataset, lies where none of them looked."""
    for dimension in case.plan.space.dimensions:
        if isinstance(dimension, Choice) or options_of(dimension) == (dimension.low,):
            continue
        for study in case.of_this_dataset:
            found = _beyond(dimension, study)
            if found is not None:
                yield found
                break


def more_dimensions_than_trials(case: Case, quote: Quote) -> Iterator[Caution]:
    """A space that so few trials cannot explore."""
    if case.plan.spec.sampler.rule == "grid":
        return
    free = {dimension.name for dimension in case.plan.space.dimensions if not _is_single(dimension)}
    num = round(statistics.median(sum(name in free for name in one.point) for one in case.drawn))
    wanted = TRIALS_A_DIMENSION * num
    if num and quote.num_trials < wanted and quote.num_trials == case.plan.spec.budget.trials:
        yield Caution(
            kind="many_dimensions",
            sentence=f"{quote.num_trials} trials search {num} dimensions at once: too few to tell what "
            "matters.",
            way_out=f"fix: or narrow: those that you are sure of, or budget: {{trials: {wanted}}}",
        )


def budget_too_small_for_the_rungs(case: Case, quote: Quote) -> Iterator[Caution]:
    """A rule of early stopping that cannot stop a trial, or only blindly."""
    rule, budget = case.plan.spec.early_stopping, case.plan.spec.budget
    if rule.rule in ("none", "pbt"):
        return
    first = rung_epoch(rule.first_rung, budget.epochs)
    least = rule.min_trials + 1 if rule.rule == "median" else max(rule.reduction, rule.protect_top) + 1
    if first >= budget.epochs:
        yield Caution(
            kind="no_rung",
            sentence=f"No trial can be stopped early: the first rung lies at epoch {first} of "
            f"{budget.epochs}.",
            way_out=f"budget: {{epochs: {max(math.ceil(2 / rule.first_rung), 3)}}}, or early_stopping: none",
        )
    elif quote.num_trials < least:
        yield Caution(
            kind="few_for_rungs",
            sentence=f"{rule.rule} hardly stops any of {quote.num_trials} trials.",
            way_out=f"budget: {{trials: {2 * least}}}, or early_stopping: none",
        )
    elif first == 1 and budget.epochs > 1 and rule.rule != "median":
        yield Caution(
            kind="early_rung",
            sentence=f"{rule.rule} compares trials after their first of {budget.epochs} epochs, when "
            "little can be told.",
            way_out=f"budget: {{epochs: {math.ceil(2 / rule.first_rung)}}}, or a later early_stopping: "
            "{first_rung: 0.5}",
        )


def cannot_end_within_its_hours(case: Case, quote: Quote) -> Iterator[Caution]:
    """A budget of hours or epochs that ends the study before its trials do."""
    budget, taken = case.plan.spec.budget, quote.unlimited_seconds
    if taken is not None and budget.hours is not None and taken.low > budget.hours * 3600:
        done = max(int(quote.num_trials * budget.hours * 3600 / taken.expected), 1)
        yield Caution(
            kind="hours",
            sentence=f"{budget.hours:g} hours end the study after about {done} of its "
            f"{quote.num_trials} trials, which take {duration_text(taken.expected)}.",
            way_out=f"budget: {{hours: {_up(taken.high / 3600)}}}, or {{trials: {done}}}, or fewer epochs",
        )
    most = budget.epochs * quote.num_trials
    epochs = quote.epochs
    left = sum(epochs.games[0].epochs) if epochs.games else most
    if budget.total_epochs is not None and budget.total_epochs < 0.8 * left:
        yield Caution(
            kind="total_epochs",
            sentence=f"{budget.total_epochs:,} epochs end the study before its {quote.num_trials} trials "
            f"do, which train about {left:,.0f}.",
            way_out=f"budget: {{total_epochs: {math.ceil(left)}}}, or fewer trials",
        )


CAUTIONS: tuple[Callable[[Case, Quote], Iterator[Caution]], ...] = (
    duplicates_across_splits,
    label_conflicts,
    few_images_of_a_class,
    metric_blind_to_a_rare_class,
    best_beyond_the_range,
    more_dimensions_than_trials,
    budget_too_small_for_the_rungs,
    cannot_end_within_its_hours,
)
"""In the order in which a person reads them."""


def _rarest(split: SplitSummary, classes: Sequence[str]) -> tuple[str, float]:
    fewest = min(split.num_by_class)
    return classes[split.num_by_class.index(fewest)], fewest / split.num_images


def _beyond(dimension: Float | Int, study: EarlierStudy) -> Caution | None:
    """Whether the best trials of an earlier study lie beyond an end of the range, or at one that the study's
    own trials never passed.
    """
    values, tried = _numbers(_best(study), dimension.name), _numbers(study.trials, dimension.name)
    if len(values) < BEST_TRIALS or min(tried) == max(tried):  # a study that fixed it says nothing
        return None
    name, low, high = dimension.name, _place(dimension, min(values)), _place(dimension, max(values))
    if low > 1 or high < 0:
        end, beyond = ("high", min(values)) if low > 1 else ("low", max(values))
        return Caution(
            kind="range",
            sentence=f"The best trials of {study.spec.study} had {name} {min(values):.3g} to "
            f"{max(values):.3g}, outside of {dimension}.",
            way_out=f"extend: {{{name}: …}} with a {end} end beyond {beyond:.3g}",
        )
    if low > 1 - NEAR_END and _place(dimension, max(tried)) <= 1 + NEAR_END:
        return _at_end(dimension, study, "high", max(tried))
    if high < NEAR_END and _place(dimension, min(tried)) >= -NEAR_END:
        return _at_end(dimension, study, "low", min(tried))
    return None


def _at_end(dimension: Float | Int, study: EarlierStudy, end: str, reached: float) -> Caution:
    return Caution(
        kind="range",
        sentence=f"The best trials of {study.spec.study} lie at the {end} end of {dimension.name} "
        f"({reached:.3g}), beyond which no study of this dataset has looked.",
        way_out=f"extend: {{{dimension.name}: …}} with a {end} end beyond {reached:.3g}",
    )


def _best(study: EarlierStudy) -> list[Trial]:
    merit = study.spec.objective.merit
    valued = [trial for trial in study.trials if trial.value is not None and trial.is_feasible]
    if len(valued) < 2 * BEST_TRIALS:
        return []
    return sorted(valued, key=lambda trial: merit(trial.value or 0.0), reverse=True)[:BEST_TRIALS]


def _place(dimension: Float | Int, value: float) -> float:
    """Where a value lies in the range: 0 at its low end, 1 at its high one, on its own scale."""
    if dimension.log:
        if value <= 0:
            return -math.inf
        return (math.log(value) - math.log(dimension.low)) / (
            math.log(dimension.high) - math.log(dimension.low)
        )
    return (value - dimension.low) / (dimension.high - dimension.low)


def _numbers(trials: Sequence[Trial], name: str) -> list[float]:
    """The values of a dimension in the trials that have it, where they are numbers."""
    values = (trial.point.get(name) for trial in trials)
    return [
        float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)
    ]


def _is_single(dimension: Dimension) -> bool:
    options = options_of(dimension)
    return options is not None and len(options) == 1


def _up(hours: float) -> str:
    """Hours that are enough, as a person writes them."""
    return f"{math.ceil(hours * 10) / 10:g}" if hours < 10 else f"{math.ceil(hours)}"
