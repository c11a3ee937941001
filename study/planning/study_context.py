"""What all trials of a study share: plain values that travel to each trial's process."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from study import names
from study.recipes.trial_seed import confirmation_seed, trial_seed


@dataclass(frozen=True, kw_only=True)
class StudyContext:
    """All that the trials of one study share."""

    study: str
    study_folder: str
    log_folder: str
    """Where trials write what MLflow is to have, until it has it."""
    dataset_folder: str
    metric: str
    maximise: bool
    epochs: int
    seed: int
    cpus: int
    weights: Mapping[str, str]
    """Files of pretrained weights, by the names that points give them."""
    tracking_uri: str
    experiment_id: str
    parent_run_id: str
    is_resumed: bool
    """Whether an earlier driver of this study died, so that a trial may already have a run."""
    seconds_between_checkpoints: float
    """A trial writes its state if the last time is longer ago; 0 for each epoch."""
    measures_latency: bool
    """Whether an objective or a constraint wants to know how long an image takes."""
    tags: Mapping[str, str]
    """Put on every trial's run: commit, package versions."""
    dataset_address: str | None = None
    """Where the dataset is published, if each machine shall have its own copy."""
    gpus: float = 0.0
    """Of each trial; a fraction is a part of one that it shares."""
    gpu_overhead_bytes: int = 0
    """What a trial's process takes of a shared GPU besides its tensors."""
    num_folds: int | None = None
    """Into how many folds the images of train and validation are divided; None for the dataset's own
    splits."""
    pause_epochs: tuple[int, ...] = ()
    """After these a trial may wait, and go on in another process: each is reported once its checkpoint is
    written.
    """
    confirmations: tuple[tuple[int, int], ...] = ()
    """Of each trial that confirms: the trial whose configuration it trains again, and which further seed,
    from 1. None in a search.
    """

    def to_config(self) -> dict[str, Any]:
        """The part of Ray Tune's configuration that is the same for all trials."""
        return {"context": asdict(self)}

    def trial_seed(self, number: int) -> int:
        """The seed of a trial's training."""
        return (
            confirmation_seed(self.seed, *self.confirmations[number])
            if self.confirmations
            else trial_seed(self.seed, number)
        )

    def run_name(self, number: int) -> str:
        """What a trial's run is called in MLflow."""
        return (
            names.confirmation_name(*self.confirmations[number])
            if self.confirmations
            else names.trial_name(number)
        )

    def run_tags(self, number: int) -> dict[str, str]:
        """By what a trial's run is found again in MLflow."""
        return (
            names.confirmation_tags(*self.confirmations[number])
            if self.confirmations
            else names.trial_tags(number)
        )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "StudyContext":
        """The context in a trial's configuration."""
        return cls(**config["context"])
