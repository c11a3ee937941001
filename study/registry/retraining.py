"""Training a registered version again from its record, in this process."""

import dataclasses
import math
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path

import torch

from study import names
from study.connections.model_registry import registry_of
from study.errors import SpecError
from study.home import Home
from study.planning.plan import is_registered_model
from study.registry.version_files import fetch_weights
from study.registry.versions import Version
from study.study_file.objective import Objective
from trainables.datasets.dataset import Dataset
from trainables.datasets.folds import FoldedDataset
from trainables.datasets.listing import find_dataset, read_manifest
from trainables.devices.device import device_name, find_device
from trainables.inference.classifier import Classifier, ClassifierConfig
from trainables.inference.ensemble import Ensemble, members_of
from trainables.inference.fold_models import fold_ensemble, validation_of
from trainables.metrics.from_logits import metrics_of
from trainables.recipe.tree import Recipe
from trainables.training.cross_validation import CrossValidation
from trainables.training.epoch import Epoch
from trainables.training.loop import Training

Watch = Callable[[int, int, Epoch, int, float], None]
"""Gets the network's number, the number of networks, the epoch, the number of epochs and the metric."""


@dataclass(frozen=True, kw_only=True)
class Retrained:
    """The result of training a version again."""

    metric: str
    recorded: float
    """The metric on the validation split, or its mean over folds, at registration; of an ensemble of seeds,
    of its registered weights now."""
    obtained: float
    tolerance: float
    """The largest difference that counts as the same."""
    because: str
    """Why it is so large."""
    num_networks: int
    seconds: float

    @property
    def is_within(self) -> bool:
        """Whether the two lie within tolerance."""
        return abs(self.obtained - self.recorded) <= self.tolerance


@dataclass(frozen=True, kw_only=True)
class _Conditions:
    """The conditions of the recorded training, as far as they are known."""

    device: str | None
    torch: str | None
    threads: int | None
    micro_batch: int | None
    """Images that went through the network together, where memory did not hold a batch."""


def retrain(home: Home, version: Version, classifier: Classifier | Ensemble, watch: Watch) -> Retrained:
    """Trains each network of a version again and compares the objective's value in validation.

    Raises SpecError where no study registered the version or the dataset is another one, and what training
    raises.
    """
    version.check_is_of_a_study()
    dataset = _dataset(home, version, classifier.config)
    metric, before = version.tags[names.OBJECTIVE], _conditions(home, version)
    torch.set_num_threads(before.threads or torch.get_num_threads())
    configs = _configs_of_trainings(classifier)
    folded = _folded(dataset, configs[0].num_folds)
    trained: list[Classifier] = []
    start, best = time.monotonic(), math.nan
    for number, config in enumerate(configs, start=1):

        def on_epoch(epoch: Epoch, num_epochs: int, value: float, number: int = number) -> None:
            watch(number, len(configs), epoch, num_epochs, value)

        again, best = _trained(home, config, dataset, folded, metric, before.micro_batch, on_epoch)
        trained += members_of(again)
    recorded = version.tags.get(names.OBJECTIVE_VALUE)
    is_recorded = recorded is not None and len(configs) == 1
    num_validated = len(dataset.validation) if folded is None else len(folded.fold_N)
    tolerance, because = _tolerance(metric, before, num_validated)
    return Retrained(
        metric=metric,
        recorded=float(recorded)
        if is_recorded and recorded is not None
        else _measured(classifier, dataset, metric),
        obtained=best if is_recorded else _measured(_joined(classifier, trained), dataset, metric),
        tolerance=tolerance,
        because=because,
        num_networks=len(trained),
        seconds=time.monotonic() - start,
    )


def _joined(before: Classifier | Ensemble, trained: list[Classifier]) -> Classifier | Ensemble:
    """The networks that were trained again, as the version has them."""
    return before.with_members(trained) if isinstance(before, Ensemble) else trained[0]


def _configs_of_trainings(classifier: Classifier | Ensemble) -> list[ClassifierConfig]:
    """One for each training that made the networks; that of a cross-validation is of its first fold."""
    return [member.config for member in members_of(classifier) if member.config.held_out_fold in (None, 0)]


def _folded(dataset: Dataset, num_folds: int | None) -> FoldedDataset | None:
    return None if num_folds is None else FoldedDataset.of(dataset, num_folds)


def _dataset(home: Home, version: Version, config: ClassifierConfig) -> Dataset:
    folder = find_dataset(home.datasets, config.dataset)
    manifest = read_manifest(folder)
    if manifest.digest != config.dataset_digest:
        raise SpecError(
            f"{version.name} was trained on {config.dataset} with digest {config.dataset_digest[:12]}, and "
            "the dataset here has "
            f"{manifest.digest[:12]}; add the same images with the same options in a STUDY_HOME that has the "
            "model's MLflow "
            "(MLFLOW_TRACKING_URI), then try again there"
        )
    return Dataset.open(folder)


def _conditions(home: Home, version: Version) -> _Conditions:
    from mlflow.exceptions import MlflowException

    tags: dict[str, str] = {}
    # A run may have been deleted whose version is there.
    with registry_of(home) as client, suppress(MlflowException):
        tags = client.get_run(version.run_id).data.tags if version.run_id else {}
    threads, micro_batch = version.tags.get(names.THREADS), tags.get(names.MICRO_BATCH)
    return _Conditions(
        device=tags.get(names.DEVICE),
        torch=tags.get(names.version_tag("torch")),
        threads=None if threads is None else int(threads),
        micro_batch=None if micro_batch is None else int(micro_batch),
    )


def _trained(
    home: Home,
    config: ClassifierConfig,
    dataset: Dataset,
    folded: FoldedDataset | None,
    metric: str,
    micro_batch: int | None,
    on_epoch: Callable[[Epoch, int, float], None],
) -> tuple[Classifier | Ensemble, float]:
    """The classifier of the best epoch, and the metric there; all recipes of its lineage are trained in
    order.
    """
    merit = Objective(metric=metric).merit
    best, weights = -math.inf, None
    with tempfile.TemporaryDirectory() as scratch:
        state = Path(scratch)
        for last_epoch, recipe in (*config.earlier, (config.recipe.num_epochs, config.recipe)):
            training = (
                Training(_with_weights(home, recipe), dataset, device=find_device(), micro_batch=micro_batch)
                if folded is None
                else CrossValidation(
                    _with_weights(home, recipe), folded, device=find_device(), micro_batch=micro_batch
                )
            )
            if any(state.iterdir()):
                training.load(state, with_other_values=True)
            for epoch in training:
                value = getattr(epoch.metrics, metric)
                on_epoch(epoch, config.recipe.num_epochs, value)
                if recipe is config.recipe and merit(value) > best:
                    best, weights = merit(value), training.weights()
                if epoch.number == last_epoch:
                    break
            training.save(state)
    assert weights is not None, "a recipe has epochs"
    if folded is not None:
        return fold_ensemble(config.recipe, folded, weights), merit(best)
    classifier = Classifier(config, weights)
    if config.recipe.evaluation.calibration == "temperature":
        classifier = classifier.calibrated(dataset.validation)
    return classifier, merit(best)


def _with_weights(home: Home, recipe: Recipe) -> Recipe:
    if not is_registered_model(recipe.model.weights):
        return recipe
    file = fetch_weights(recipe.model.weights, home)
    return dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, weights=str(file)))


def _measured(classifier: Classifier | Ensemble, dataset: Dataset, metric: str) -> float:
    return float(getattr(metrics_of(*validation_of(classifier, dataset)), metric))


def _tolerance(metric: str, before: _Conditions, num_images: int) -> tuple[float, str]:
    """The tolerance of a metric, and why: none where nothing changed, else that of two trainings of one
    recipe.
    """
    here = device_name(find_device())
    changed = [
        f"{what} was {then}, and is {now}"
        for what, then, now in (
            ("the device", before.device, here),
            ("torch", before.torch, version_of("torch")),
        )
        if then is not None and then != now
    ]
    if before.device is not None and not changed:
        return 1e-9, "exactly, as device, threads and torch are those of then"
    why = "; ".join(changed) or "it is not known on which device it was trained"
    if metric == "log_loss":
        return 0.1, f"by 0.1, as {why}"
    # Two standard errors of a share of that many images, at the worst; its difference under another rounding
    # is less.
    tolerance = 1 / math.sqrt(num_images)
    return (
        tolerance,
        f"by {tolerance:.4f} (two standard errors of a share of {num_images:,} images), as {why}",
    )
