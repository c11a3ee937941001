"""What one trial takes."""

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from study.errors import SpecError
from study.written import Written
from trainables.printable import quoted

LEAST_SHARE = 0.01
"""Of a GPU."""
MOST_GPUS = 1024
"""Of one trial."""
KIND_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$"
"""Of a kind's name, which is a part of a resource's name and a label's value."""


def _read_gpus(written: Any) -> Any:
    if written == "auto":
        return written
    is_number = isinstance(written, int | float) and not isinstance(written, bool)
    if not (
        is_number
        and (
            written == 0
            or LEAST_SHARE <= written <= 1
            or (1 < written <= MOST_GPUS and float(written).is_integer())
        )
    ):
        raise SpecError(
            f"resources.gpus_per_trial must be auto, 0, a share of a GPU from {LEAST_SHARE} to 1, or "
            f"whole GPUs, at most {MOST_GPUS:,}; got {quoted(written)}"
        )
    return float(written)


Gpus = Annotated[float | Literal["auto"], PlainValidator(_read_gpus)]


class Resources(Written):
    """What one trial takes."""

    cpus_per_trial: int = Field(1, ge=1, le=1024)
    """CPU cores of each trial, which are its threads, too."""
    gpus_per_trial: Gpus = Field("auto", examples=[0.25])
    """GPUs of each trial. `auto` measures how many trials fit on a GPU, lets that many share it, and takes no
    GPU where there is none; a number from 0.01 to 1 is a share of a GPU; a whole number above 1 is GPUs of
    one machine, which share every batch."""
    gpu_kind: str | None = Field(None, pattern=KIND_PATTERN, examples=["H100"])
    """The kind of GPU on which every trial runs, by Ray's name for it, such as H100, A100, L4 or T4; any
    kind, unless given."""
    max_concurrent: int | None = Field(None, ge=1, le=100_000, examples=[4])
    """The most trials that run at a time; as many as cores and GPUs allow, unless given."""
    retries: int = Field(2, ge=0, le=100)
    """How often a trial goes on from its last checkpoint after its process died or its training raised an
    error; a lost node does not count."""
    checkpoints_gb: float | None = Field(None, ge=0.001, le=1_000_000, examples=[200])
    """Gigabytes of disk for the checkpoints of trials that wait under `early_stopping: asha_pause`; half of
    what is free, unless given. Beyond it the worst trials lose theirs, and train their first epochs again
    should they go on."""

    def model_post_init(self, _: Any) -> None:
        """Raises SpecError for GPUs without a core for each, or of a kind for trials that take none."""
        gpus = self.gpus_per_trial
        if gpus == 0 and self.gpu_kind is not None:
            raise SpecError(
                f"resources.gpu_kind is {self.gpu_kind}, but resources.gpus_per_trial is 0; drop the kind, "
                "or give trials GPUs"
            )
        if gpus != "auto" and gpus > 1 and self.cpus_per_trial < gpus:
            raise SpecError(
                "resources.cpus_per_trial must be at least gpus_per_trial, as each GPU has a process of its "
                "own, "
                f"got {self.cpus_per_trial} for {gpus:g}"
            )
