"""A trial's trained classifier: its recipe and its kept weights."""

from pathlib import Path

from search_spaces.space import Point
from study.evaluation.confirmation import Confirmation
from study.planning.plan import Plan
from study.recipes.point import build_recipe
from study.recipes.trial_seed import confirmation_seed, trial_seed
from study.search.record.kept_weights import weights_file
from study.search.record.trial import Trial
from trainables.datasets.dataset import Dataset
from trainables.inference.classifier import Classifier, ClassifierConfig
from trainables.models.weights import read_tensors
from trainables.recipe.tree import Recipe


def trained_classifier(plan: Plan, trial: Trial) -> Classifier:
    """The classifier of a trial's best epoch, calibrated on the validation split if its recipe says so."""
    before = () if trial.continues is None else trial.continues.before
    earlier = tuple(
        (stretch.last_epoch, _recipe(plan, stretch.point, trial_seed(plan.spec.seed, stretch.trial)))
        for stretch in before
    )
    recipe = _recipe(plan, trial.point, trial_seed(plan.spec.seed, trial.number))
    return _classifier(
        plan, ClassifierConfig.of(recipe, plan.manifest, earlier), weights_file(plan.folder, trial.number)
    )


def confirmed_classifier(plan: Plan, confirmation: Confirmation, training: Trial) -> Classifier:
    """The same of a further training of a trial's configuration."""
    seed = confirmation_seed(plan.spec.seed, *confirmation.wanted[training.number])
    config = ClassifierConfig.of(_recipe(plan, training.point, seed), plan.manifest)
    return _classifier(plan, config, weights_file(confirmation.folder, training.number))


def _recipe(plan: Plan, point: Point, seed: int) -> Recipe:
    return build_recipe(point, dataset=plan.manifest, epochs=plan.spec.budget.epochs, seed=seed)


def _classifier(plan: Plan, config: ClassifierConfig, file: Path) -> Classifier:
    weights = read_tensors(file)
    classifier = Classifier(config, weights)
    if config.recipe.evaluation.calibration == "temperature":
        return classifier.calibrated(Dataset.open(plan.dataset_folder).validation)
    return classifier
