"""What a study optimises."""

import math
from collections.abc import Sequence
from typing import Any

from study.errors import SpecError
from study.study_file.measures import MEASURES
from study.written import Written
from trainables.metrics.classification import METRICS, RANGES
from trainables.printable import quoted


class Objective(Written):
    """What the search optimises: a metric of the validation split, or a measure of the trial."""

    metric: str = "macro_f1"
    """A metric (`accuracy`, `balanced_accuracy`, `macro_f1`, `log_loss`, `kappa`, `worst_class_recall`), or,
    after the first objective, a measure (`parameters_million`, `latency_ms`, `train_seconds`)."""

    def model_post_init(self, _: Any) -> None:
        """Raises SpecError for a metric that does not exist."""
        if self.metric not in METRICS and self.metric not in MEASURES:
            raise SpecError(
                f"objective.metric must be one of {', '.join((*METRICS, *MEASURES))}, "
                f"got {quoted(self.metric)}"
            )

    @property
    def maximise(self) -> bool:
        """Whether more of it is better."""
        return METRICS.get(self.metric) == "maximise"

    @property
    def bound(self) -> float:
        """The value that nothing exceeds, such as 1 for an accuracy, and 0 for what is minimised."""
        low, high = RANGES.get(self.metric, (0.0, math.inf))
        return high if self.maximise else low

    def merit(self, value: float) -> float:
        """The value, or its negative where less of it is better: the better of two has the greater merit."""
        return value if self.maximise else -value


def check_objectives(objectives: Sequence[Objective]) -> None:
    """Raises SpecError unless the first objective is known at every epoch, and each occurs once."""
    names = [objective.metric for objective in objectives]
    if not names:
        raise SpecError("objective needs at least one metric, got an empty list")
    if names[0] not in METRICS:
        raise SpecError(
            f"the first objective ranks trials at every epoch, so it must be one of {', '.join(METRICS)}; "
            f"got {names[0]!r}: "
            "put it after one of them, or make it a constraint"
        )
    if repeated := [name for i, name in enumerate(names) if name in names[:i]]:
        raise SpecError(f"objective names {repeated[0]!r} twice; name each metric once")


def check_reach(objective: Objective, target: float | None, minimum_gain: float) -> None:
    """Raises SpecError for a target that every trial reaches or none can, and for a gain that no version can
    have.
    """
    low, high = RANGES[objective.metric]
    if target is not None and not low <= target <= high:
        raise SpecError(
            f"budget.target must lie in [{low:g}, {high:g}], as {objective.metric} does, got {target:g}",
            key="budget.target",
        )
    if abs(minimum_gain) > high - low:
        raise SpecError(
            f"promotion.minimum_gain must lie in [{low - high:g}, {high - low:g}], as {objective.metric} "
            f"lies in [{low:g}, {high:g}], got {minimum_gain:g}",
            key="promotion.minimum_gain",
        )
