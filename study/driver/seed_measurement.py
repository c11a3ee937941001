"""Measuring trained classifiers on the sealed test split."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from search_spaces.named import find_recipe
from study.evaluation.intervals import metric_intervals
from study.evaluation.test_split import own_measurement
from study.evaluation.trained_classifier import trained_classifier
from study.home import Home
from study.planning.plan import Plan, plan_study
from study.results.reproduction import Reproduction, scaled_down
from study.results.study_result import find_study
from study.search.record.study_record import StudyRecord
from trainables.datasets.sealed_test import open_test_split
from trainables.datasets.split import Split
from trainables.metrics.from_logits import metrics_of


def measure_reproduction_of(home: Home, name: str, *, say: Callable[[str], object]) -> None:
    """`measure_reproduction` of the study of that name, for a process that has nothing of it yet."""
    plan = plan_study(find_study(home, name).spec, home)
    say("measuring every seed on the sealed test split")
    measure_reproduction(plan, StudyRecord.open(plan.folder))


def measure_reproduction(plan: Plan, record: StudyRecord) -> Reproduction:
    """Opens the test split once, measures every complete trial on it, and writes the result of the recipe."""
    assert plan.spec.reproduces is not None, "the study reproduces a recipe"
    recipe = find_recipe(plan.spec.reproduces)
    trials = [trial for trial in record.trials if trial.state == "complete"]
    split, _ = open_test_split(
        plan.dataset_folder,
        opened_by=f"study {plan.spec.study}",
        measurement=own_measurement(plan, f"recipe {recipe.name}"),
    )
    merged = [
        merged_classes(
            classifier.probabilities_of_stored(split.images),
            split.labels,
            plan.manifest.classes,
            recipe.groups,
        )
        for classifier in (trained_classifier(plan, trial) for trial in trials)
    ]
    metric = plan.spec.objective.metric
    reproduction = Reproduction(
        recipe=recipe.name,
        metric=metric,
        stated=None if recipe.result is None else recipe.result.value,
        values=tuple(getattr(metrics_of(*one), metric) for one in merged),
        over_groups=_over_groups(merged[0], split, metric) if len(merged) == 1 else None,
        validation=tuple(trial.value for trial in trials if trial.value is not None),
        num_images=len(split),
        epochs=tuple(len(trial.values) for trial in trials),
        scaled_down=scaled_down(plan.spec, recipe),
        not_rebuilt=recipe.not_rebuilt,
        seconds=sum(trial.seconds for trial in trials),
    )
    reproduction.write(plan.folder)
    return reproduction


def _over_groups(
    merged: tuple[NDArray[np.float32], NDArray[np.int64]], split: Split, metric: str
) -> tuple[float, float] | None:
    """The ends of the metric's interval over the groups of the images; None where they have none."""
    if split.groups is None:
        return None
    interval = metric_intervals(*merged, split.groups)[metric]
    return interval.low, interval.high


def merged_classes(
    probabilities_NK: NDArray[np.float32],
    labels_N: NDArray[np.int64],
    classes: Sequence[str],
    groups: Mapping[str, Sequence[str]] | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Probabilities and labels where the classes of a group count as one, whose probability is their sum;
    without groups of classes as they are.
    """
    if groups is None:
        return probabilities_NK, labels_N
    group_of = {name: index for index, members in enumerate(groups.values()) for name in members}
    group_of_class_K = np.array([group_of[name] for name in classes])
    membership_KG = np.eye(len(groups), dtype=np.float32)[group_of_class_K]
    return probabilities_NK @ membership_KG, group_of_class_K[labels_N]
