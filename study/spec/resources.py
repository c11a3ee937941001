"""What one trial takes."""

from typing import Any, Literal

from pydantic import Field

from study.errors import SpecError
from study.spec.written import Written


class Resources(Written):
    """What one trial takes."""

    cpus_per_trial: int = Field(1, ge=1, le=1024)
    gpus_per_trial: float | Literal["auto"] = Field("auto")
    """`auto`: one GPU for each trial where there are any, none elsewhere; a fraction packs several trials on one."""
    max_concurrent: int | None = Field(None, ge=1)
    retries: int = Field(2, ge=0, le=100)
    """How often a trial goes on from its last checkpoint after its process died or broke; a lost node does not count."""

    def model_post_init(self, _: Any) -> None:
        if self.gpus_per_trial != "auto" and self.gpus_per_trial < 0:
            raise SpecError(f"resources.gpus_per_trial must be auto or at least 0, got {self.gpus_per_trial}")
