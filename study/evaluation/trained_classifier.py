"""A trial's trained classifier: its recipe and its kept weights; with folds, the networks of all folds."""

from pathlib import Path

from search_spaces.space import Point
from study.evaluation.confirmation import Confirmation
from study.planning.plan import Plan
from study.recipes.point import build_recipe
from study.recipes.trial_seed import confirmation_seed, trial_seed
from study.search.record.kept_weights import weights_file
from study.search.record.trial import Trial
from trainables.datasets.dataset import Dataset
from trainables.datasets.folds import FoldedDataset
from trainables.inference.classifier import Classifier, ClassifierConfig
from trainables.inference.ensemble import Ensemble
from trainables.inference.fold_models import fold_ensemble
from trainables.models.weights import read_tensors
from trainables.recipe.tree import Recipe


def trained_classifier(plan: Plan, trial: Trial) -> Classifier | Ensemble:
    """The classifier of a trial's best epoch, calibrated on what it was validated on if its recipe says
    so.
    """
    before = () if trial.continues is None else trial.continues.before
    earlier = tuple(
        (stretch.last_epoch, _recipe(plan, stretch.point, trial_seed(plan.spec.seed, stretch.trial)))
        for stretch in before
    )
    recipe = _recipe(plan, trial.point, trial_seed(plan.spec.seed, trial.number))
    return _classifier(plan, recipe, earlier, weights_file(plan.folder, trial.number))


def confirmed_classifier(plan: Plan, confirmation: Confirmation, training: Trial) -> Classifier | Ensemble:
    """The same of a further training of a trial's configuration."""
    seed = confirmation_seed(plan.spec.seed, *confirmation.wanted[training.number])
    recipe = _recipe(plan, training.point, seed)
    return _classifier(plan, recipe, (), weights_file(confirmation.folder, training.number))


def _recipe(plan: Plan, point: Point, seed: int) -> Recipe:
    return build_recipe(point, dataset=plan.manifest, epochs=plan.spec.budget.epochs, seed=seed)


def _classifier(
    plan: Plan, recipe: Recipe, earlier: tuple[tuple[int, Recipe], ...], file: Path
) -> Classifier | Ensemble:
    weights = read_tensors(file)
    if plan.spec.num_folds is not None:
        folded = FoldedDataset.of(Dataset.open(plan.dataset_folder), plan.spec.num_folds)
        return fold_ensemble(recipe, folded, weights)
    classifier = Classifier(ClassifierConfig.of(recipe, plan.manifest, earlier), weights)
    if recipe.evaluation.calibration == "temperature":
        return classifier.calibrated(Dataset.open(plan.dataset_folder).validation)
    return classifier
