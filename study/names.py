"""Names, tags and metrics sent to MLflow, Optuna and the file system; built nowhere else."""

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
"""What studies and datasets may be called: it serves as folder, MLflow experiment and registered model."""
WAITS = "waits for a"
"""Begins what a study says in its job's log that has no slot."""
STOPS = "stops once"
"""Begins what a study says there that was asked to stop."""

LONGEST_SELECTION = 100
"""Characters of what a selection consists of in the names of files, of which systems take 255."""
LONGEST_CLASS = 200
"""Characters of a class name in the name of a metric, of which MLflow takes 250."""

STUDY = "study.name"
TRIAL = "study.trial"
CONFIRMS = "study.confirms"
"""On the run of a further training, in place of the trial: the number of the trial with its configuration."""
FURTHER_SEED = "study.further_seed"
"""Beside it: which of the further seeds, from 1."""
KIND = "study.kind"
"""On a version of a model: `single` training (one network, or one for each fold), `ensemble` of seeds, or
what was `selected` of several trainings."""
MADE_OF = "study.made_of"
"""On a version of a model: the candidate's name."""
CONTINUES = "study.continues"
"""On the run of a trial that goes on from another one's checkpoint: the number of that one."""
CONTINUES_FROM = "study.continues_from_epoch"
"""Beside it: the last epoch that the checkpoint had."""
OBJECTIVE = "study.objective"
"""On a version of a model: the metric that its study optimised."""
OBJECTIVE_VALUE = "study.objective_value"
"""Beside it, for a single training: its value on the validation split, or its mean over folds, to the last
digit."""
FOLDS = "study.folds"
"""On a version of a model: over how many folds its values of validation are means; absent where they are of
the validation split."""
THREADS = "study.threads"
"""On a version of a model: the CPU threads that trained it."""
PROMOTION = "study.promotion"
"""On a version of a model: the rules under which it may be promoted, as JSON."""
COMPARED = "study.compared"
"""On a version of a model: how its study's single network and ensemble compare, in a sentence."""
LINEAGE = "study.lineage"
"""On a version of a model: the trials that its weights went through, if there are several."""
TEST_ACCURACY = "test.accuracy"
"""On a version of a model: its accuracy on the test split, with four digits."""
TEST_ACCURACY_INTERVAL = "test.accuracy_interval"
"""Beside it: the 95 % interval, such as `0.9444 to 0.9722`."""
TRIAL_IDENTITY = (TRIAL, CONFIRMS, FURTHER_SEED)
"""Tags by which one study's runs of trials differ."""
ALIASES = CHAMPION, CANDIDATE, PREVIOUS = "champion", "candidate", "previous"
"""Aliases of a dataset's model: the promoted version, the newest that has not been, and the champion before.
"""
STATE = "study.state"
REASON = "study.reason"
PRUNED_AT = "study.pruned_at_epoch"
DATASET_DIGEST = "dataset.digest"
DATASET_TRAITS = "dataset.traits"
"""On a study's run: what datasets are compared by, as JSON."""
POINT = "study.point"
"""On a trial's run: its configuration, as JSON."""
DEVICE = "device"
MICRO_BATCH = "micro_batch"
FROZEN_LAYERS = "frozen_layers"
"""On a trial's run: in words, whether the output of its frozen layers is computed once or at each epoch."""
BUDGET = "study.budget"
"""On a study's run: what it may spend by now, in words, with all that people added to it."""
BEST_TRIAL = "study.best_trial"
"""On a study's run: the number of the trial whose configuration was registered."""
MODEL = "model"
"""Beside it: the registered model and version."""
RECIPE = "recipe"
"""On the run of a study that reproduces a recipe: the recipe's name."""
VERDICT = "verdict"
"""Beside it: whether the recipe reaches what its source states."""
PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
"""The description of a run or an experiment, in Markdown, as MLflow's pages show it."""
USER = "mlflow.user"
COMMIT = "mlflow.source.git.commit"
SOURCE = "mlflow.source.name"
TABLES = "mlflow.loggedArtifacts"
"""By which MLflow knows the tables of a run."""
_VIEWS, _VIEW = "mlflow.sharedViewState.", "study-"
"""Begin the name of an experiment's tag that holds a view of its runs: MLflow's part, and ours."""
EXPERIMENT_KIND = {"mlflow.experimentKind": "custom_model_development"}
"""Opens the experiment on MLflow's pages for training, not on those for language models."""

_OWN_TAGS = (BEST_TRIAL, MODEL, RECIPE, VERDICT, DEVICE, MICRO_BATCH, FROZEN_LAYERS)
_OWN_PREFIXES = (
    "mlflow.",
    "study.",
    "dataset.",
    "version.",
    "test.",
    "validation.",
    "verdict.",
    "decisions.",
)

DECISIONS_RUN = "decisions.run"
"""On the experiment of a log of decisions: the id of the run that holds it."""
DECISIONS_RUN_TAGS = {"mlflow.runName": "decisions", KIND: "decisions"}
"""On that run."""
REPRODUCTIONS = "reproductions"
"""MLflow's experiment for the tables of reproductions."""


def is_own_tag(key: str) -> bool:
    """Whether MLflow or a study sets a tag of this name itself, so that no person can."""
    return key.lower() in _OWN_TAGS or key.lower().startswith(_OWN_PREFIXES)


def experiment_name(dataset: str) -> str:
    """MLflow's experiment for a dataset: one for all its studies, so that their runs compare."""
    return dataset


def model_name(dataset: str) -> str:
    """The registered model for a dataset: the best configuration of any study becomes its next version."""
    return dataset


def decisions_name(model: str) -> str:
    """MLflow's experiment by which the log of decisions on a model is found; no dataset's has such a name."""
    return f"decisions/{model}"


def decision_name(number: int) -> str:
    """The parameter that holds a decision: decision-0007."""
    return f"decision-{number:04d}"


def evidence_name(key: str, part: int) -> str:
    """A parameter that holds a part of a decision's tables."""
    return f"evidence-{key}-{part:03d}"


def trial_name(number: int) -> str:
    """A trial's name everywhere: trial-0007."""
    return f"trial-{number:04d}"


def confirmation_name(trial: int, seed: int) -> str:
    """The name of a further training of a trial's configuration: trial-0007-seed-1."""
    return f"{trial_name(trial)}-seed-{seed}"


def candidate_name(trial: int, seeds: Sequence[int]) -> str:
    """A candidate's name, which says what it consists of: trial-0007, trial-0007-seed-1,
    trial-0007-seeds-1-2-3.
    """
    if len(seeds) < 2:
        return confirmation_name(trial, seeds[0]) if seeds else trial_name(trial)
    return f"{trial_name(trial)}-seeds-{'-'.join(map(str, seeds))}"


def selection_name(parts: Sequence[tuple[int, int | None, int]]) -> str:
    """The name of a candidate that was selected of several trainings, each a trial, its further seed and how
    often it counts: selection-of-0003-seed-2-and-0005-twice; of many, with a number in place of the last of
    them, as files are named so.
    """
    often = {1: "", 2: "-twice"}
    each = (
        candidate_name(trial, () if seed is None else (seed,)).removeprefix("trial-")
        + often.get(times, f"-{times}-times")
        for trial, seed, times in parts
    )
    name = f"selection-of-{'-and-'.join(each)}"
    if len(name) <= LONGEST_SELECTION:
        return name
    return f"{name[:LONGEST_SELECTION]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def trial_tags(number: int) -> dict[str, str]:
    """The tags that identify a trial's run among its study's runs."""
    return {TRIAL: str(number)}


def continuing_tags(trial: int, epoch: int) -> dict[str, str]:
    """The tags that say which trial a run goes on from, and after which epoch."""
    return {CONTINUES: str(trial), CONTINUES_FROM: str(epoch)}


def confirmation_tags(trial: int, seed: int) -> dict[str, str]:
    """The tags that identify the run of a further training among its study's runs."""
    return {CONFIRMS: str(trial), FURTHER_SEED: str(seed)}


def gpu_share_tags(gpus_per_trial: float, reason: str | None) -> dict[str, str]:
    """The tags that say on a study's run what each trial gets of the GPUs, and why."""
    return {"study.gpus_per_trial": f"{gpus_per_trial:g}", **({"study.gpu_share": reason} if reason else {})}


def view_tag(metric: str) -> str:
    """The tag of an experiment that holds the view with this objective as the first column."""
    return f"{_VIEWS}{view_name(metric)}"


def view_name(metric: str) -> str:
    """By which an address of MLflow's pages asks for that view."""
    return f"{_VIEW}{metric}"


def view_of_tag(key: str) -> str | None:
    """The objective whose view a tag holds; None for a tag that holds none of ours."""
    ours = f"{_VIEWS}{_VIEW}"
    return key.removeprefix(ours) if key.startswith(ours) else None


def verdict_tag(recipe: str) -> str:
    """The tag that holds a recipe's verdict, on the run of a table of reproductions."""
    return f"verdict.{recipe}"


def validation_tag(metric: str) -> str:
    """The tag that holds the objective's value on the validation split, on a version of a model."""
    return f"validation.{metric}"


def version_tag(package: str) -> str:
    """The tag that holds a package's version."""
    return f"version.{package}"


TRAIN_LOSS = "train/loss"
LEARNING_RATE = "learning_rate"
TRAIN_SECONDS = "seconds/train"
VALIDATION_SECONDS = "seconds/validation"
IMAGES_PER_SECOND = "images_per_second"


def validation_metric(metric: str) -> str:
    """A metric of the validation split, at every epoch of a trial."""
    return f"validation/{metric}"


def deviation_metric(metric: str) -> str:
    """The standard deviation of a metric over folds, at every epoch of a trial that has folds."""
    return f"folds/{metric}_deviation"


def best_metric(metric: str) -> str:
    """The best value of the objective so far, at every epoch of a trial."""
    return f"best/{metric}"


def system_metric(name: str) -> str:
    """How busy the machine is, as MLflow names its own system metrics."""
    return f"system/{name}"


def cost_metric(name: str) -> str:
    """What a study cost, such as cost/seconds."""
    return f"cost/{name}"


def budget_metric(name: str) -> str:
    """What a study may spend, such as budget/trials: a metric, as people change it and MLflow keeps
    parameters for ever.
    """
    return f"budget/{name}"


def metric_on_test_split(
    metric: str, *, kind: str = "single", clean: bool = False, end: Literal["", "low", "high"] = ""
) -> str:
    """A metric of the test split: test/accuracy, test_clean/accuracy_low, ensemble/macro_f1, of a kind of
    candidate.
    """
    prefix = ("test" if kind == "single" else kind) + ("_clean" if clean else "")
    return f"{prefix}/{metric}" + (f"_{end}" if end else "")


def calibration_metric(score: str, when: Literal["before", "after"], *, kind: str = "single") -> str:
    """A score of the probabilities before or after temperature scaling: test_calibration/ece_before."""
    return f"{'test' if kind == 'single' else kind}_calibration/{score}_{when}"


def reproduction_metric(name: str) -> str:
    """What the reproduction of a recipe obtained: reproduction/accuracy, reproduction/low,
    reproduction/high.
    """
    return f"reproduction/{name}"


def recipe_metric(recipe: str, metric: str) -> str:
    """What one recipe obtained, on the run of a table of reproductions."""
    return f"{recipe}/{metric}"


def class_metrics(kind: str, classes: Sequence[str]) -> tuple[str, ...]:
    """The metric of each class, such as within_class/recall/happy: MLflow shows charts by alphabet, so these,
    which are many, come last.

    What MLflow refuses becomes an underscore; classes that no longer differ then have their number, too.
    """
    texts = [_class_text(name) for name in classes]
    counts = Counter(text.lower() for text in texts)  # MySQL takes `a` and `A` for equal
    while len(set(map(str.lower, texts))) < len(texts):
        texts = [
            f"{text}-{number}" if counts[text.lower()] > 1 else text for number, text in enumerate(texts)
        ]
        counts = Counter(text.lower() for text in texts)
    return tuple(f"within_class/{kind}/{text}" for text in texts)


def _class_text(name: str) -> str:
    text = re.sub(r"[^0-9A-Za-z_. :-]", "_", name)[:LONGEST_CLASS]
    return text if text.strip(".") else "_" * max(len(text), 1)  # MLflow reads `..` as a folder
