"""Names and tags sent to MLflow, Optuna and the file system; built nowhere else."""

import re

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What studies and datasets may be called: it serves as folder, MLflow experiment and registered model."""

STUDY = "study.name"
TRIAL = "study.trial"
STATE = "study.state"
REASON = "study.reason"
PRUNED_AT = "study.pruned_at_epoch"
DATASET_DIGEST = "dataset.digest"
DEVICE = "device"
MICRO_BATCH = "micro_batch"
BEST_TRIAL = "study.best_trial"
PARENT = "mlflow.parentRunId"
USER = "mlflow.user"
COMMIT = "mlflow.source.git.commit"
SOURCE = "mlflow.source.name"
EXPERIMENT_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Opens the experiment on MLflow's pages for training, not on those for language models."""


REPRODUCTIONS = "reproductions"
"""MLflow's experiment for the tables of reproductions."""


def experiment_name(dataset: str) -> str:
    """MLflow's experiment for a dataset: one for all its studies, so that their runs compare."""
    return dataset


def model_name(dataset: str) -> str:
    """The registered model for a dataset: the best configuration of any study becomes its next version."""
    return dataset


def trial_name(number: int) -> str:
    """How a trial is called everywhere: trial-0007."""
    return f"trial-{number:04d}"


def version_tag(package: str) -> str:
    """The tag that holds a package's version."""
    return f"version.{package}"


def class_metric(kind: str, class_name: str) -> str:
    """The metric of one class, such as recall/happy; characters that MLflow refuses become underscores."""
    return f"{kind}/{re.sub(r'[^0-9A-Za-z_. :-]', '_', class_name)}"
