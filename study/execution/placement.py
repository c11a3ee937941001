"""What each trial of a study gets of the GPUs, as the study's record keeps it."""

from dataclasses import asdict, dataclass
from typing import Any

from cluster.packing import OVERHEAD_BYTES
from study.search.record.study_record import StudyRecord

FACT = "placement"


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Decided once for a study, so that its trials compare: what one trial gets, and why."""

    gpus_per_trial: float
    overhead_bytes: int = OVERHEAD_BYTES
    """What a trial's process takes of a GPU besides its tensors."""
    reason: str | None = None
    """A sentence for a person; None where the study file said it all."""
    gpu_kinds: tuple[str | None, ...] = ()
    """Those that were there."""
    measured: tuple[dict[str, Any], ...] = ()
    """By configuration and kind of GPU."""

    @classmethod
    def noted(cls, record: StudyRecord) -> "Placement | None":
        """The one that a study's record has; None before its first."""
        tree = record.facts.get(FACT)
        return None if tree is None else cls(**{**tree, "gpu_kinds": tuple(tree["gpu_kinds"]), "measured": tuple(tree["measured"])})

    def note(self, record: StudyRecord) -> None:
        """Keeps it in a study's record."""
        record.note(**{FACT: asdict(self)})
