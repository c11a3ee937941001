"""What one trial takes."""

from typing import Any, Literal

from pydantic import Field

from study.errors import SpecError
from study.spec.written import Written

LEAST_SHARE = 0.01
"""Of a GPU."""


class Resources(Written):
    """What one trial takes."""

    cpus_per_trial: int = Field(1, ge=1, le=1024)
    gpus_per_trial: float | Literal["auto"] = Field("auto")
    """`auto`: where there are GPUs, as many trials share each as measured to fit, and none elsewhere; a fraction, at least 0.01, of a
    GPU; or a whole GPU."""
    max_concurrent: int | None = Field(None, ge=1)
    retries: int = Field(2, ge=0, le=100)
    """How often a trial goes on from its last checkpoint after its process died or broke; a lost node does not count."""

    def model_post_init(self, _: Any) -> None:
        gpus = self.gpus_per_trial
        if gpus != "auto" and not (gpus == 0 or LEAST_SHARE <= gpus <= 1):
            raise SpecError(
                f"resources.gpus_per_trial must be auto, 0, a share of a GPU from {LEAST_SHARE} to 1, or 1, got {gpus:g}; "
                "a training uses one GPU at most"
            )
