"""A trial's trained classifier: its kept weights, as its recipe asks them."""

import torch

from study.execution.assignment import trial_seed
from study.plan import Plan
from study.point import build_recipe
from study.search.record import Trial
from study.weights_folder import weights_file
from trainables.datasets.dataset import Dataset
from trainables.prediction import Card, Classifier


def trained_classifier(plan: Plan, trial: Trial) -> Classifier:
    """The classifier of a trial's best epoch; where its recipe asks for it, with a temperature fitted to the validation split."""
    seed = trial_seed(plan.spec.seed, trial.number)
    recipe = build_recipe(trial.point, dataset=plan.manifest, epochs=plan.spec.budget.epochs, seed=seed)
    weights = torch.load(weights_file(plan.folder, trial.number), map_location="cpu", weights_only=True)
    classifier = Classifier(Card.of(recipe, plan.manifest), weights)
    if recipe.evaluation.calibration == "temperature":
        return classifier.calibrated(Dataset.open(plan.dataset_folder).validation)
    return classifier
