"""On which images a study's trials are compared."""

from pydantic import Field

from study.errors import SpecError
from study.stopping.early_stopping import EarlyStopping, rules_other_than
from study.study_file.resources import Resources
from study.written import Written


class Validation(Written):
    """Cross-validation, for small data: each trial trains its configuration once for each fold."""

    folds: int = Field(5, ge=2, le=20)
    """How many folds the images of train and validation are divided into; images of equal pixels or of one
    group are in one fold. Each trial trains as many networks, each validated on the fold that it is not
    trained on, and its values are means over folds. An epoch is one epoch of every fold."""


def check_folds(early_stopping: EarlyStopping, resources: Resources, reproduces: str | None) -> None:
    """Raises SpecError where another setting contradicts folds."""
    if reproduces is not None:
        raise SpecError(
            f"validate cannot be given with reproduces {reproduces!r}, whose stated result is that of the "
            "dataset's own splits; leave it away"
        )
    if early_stopping.rule == "pbt":
        raise SpecError(
            "validate.folds cannot be combined with early_stopping 'pbt', which copies the checkpoint of one "
            f"network, and a trial has one for each fold; choose {rules_other_than('pbt')}",
            key="validate.folds",
        )
    gpus = resources.gpus_per_trial
    if gpus != "auto" and gpus > 1:
        raise SpecError(
            f"validate.folds cannot be combined with resources.gpus_per_trial {gpus:g}: the folds of a trial "
            "are trained on one GPU; take auto, or at most 1",
            key="validate.folds",
        )
