"""What a study optimises."""

from collections.abc import Sequence
from typing import Any

from study.errors import SpecError
from study.study_file.measures import MEASURES
from study.written import Written
from trainables.metrics.classification import METRICS


class Objective(Written):
    """What the search optimises: a metric of the validation split, or a measure of the trial."""

    metric: str = "macro_f1"
    """A metric (`accuracy`, `balanced_accuracy`, `macro_f1`, `log_loss`, `kappa`, `worst_class_recall`), or,
    after the first objective, a measure (`parameters_million`, `latency_ms`, `train_seconds`)."""

    def model_post_init(self, _: Any) -> None:
        """Raises SpecError for a metric that does not exist."""
        if self.metric not in METRICS and self.metric not in MEASURES:
            raise SpecError(
                f"objective.metric must be one of {', '.join((*METRICS, *MEASURES))}, got {self.metric!r}"
            )

    @property
    def maximise(self) -> bool:
        """Whether more of it is better."""
        return METRICS.get(self.metric) == "maximise"

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
