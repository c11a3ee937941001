"""What a study optimises."""

from typing import Any

from study.errors import SpecError
from study.spec.written import Written
from trainables.metrics import METRICS


class Objective(Written):
    """What the search optimises, always measured on the validation split."""

    metric: str = "macro_f1"

    def model_post_init(self, _: Any) -> None:
        if self.metric not in METRICS:
            raise SpecError(f"objective.metric must be one of {', '.join(METRICS)}, got {self.metric!r}")

    @property
    def maximise(self) -> bool:
        """Whether more of the metric is better."""
        return METRICS[self.metric] == "maximise"
