"""Finalising: the best configuration by validation is measured once on the sealed test split and registered."""

from typing import Any

from scipy.stats import binomtest

from study import names
from study.final import Final, TestResult
from study.plan import Plan
from study.registry.registering import register
from study.search.record import Trial
from study.tracking.study_run import StudyRun
from study.trained import trained_classifier
from trainables.datasets.dataset import Dataset
from trainables.datasets.sealed_test import open_test_split, openings
from trainables.evaluation import metrics_of
from trainables.metrics import METRICS, Metrics
from trainables.prediction import Classifier

CONFIDENCE = 0.95


def finalise(plan: Plan, winner: Trial, run: StudyRun) -> Final:
    """Opens the test split, measures the winner, registers it, and writes the result."""
    classifier = trained_classifier(plan, winner)
    test = _measure(plan, classifier)
    tags = {
        names.STUDY: plan.spec.study,
        names.TRIAL: str(winner.number),
        names.DATASET_DIGEST: plan.manifest.digest,
        "test.accuracy": f"{test.metrics['accuracy']:.4f}",
        "test.accuracy_interval": f"{test.accuracy_low:.4f} to {test.accuracy_high:.4f}",
        f"validation.{plan.spec.objective.metric}": f"{winner.value:.4f}",
    }
    example_HWC = Dataset.open(plan.dataset_folder).validation.images[0]
    version = register(run.client, winner.run_id or run.run_id, classifier, example_HWC, tags)
    final = Final(trial=winner.number, test=test, model=names.model_name(plan.spec.dataset), version=version)
    final.write(plan.folder)
    return final


def _measure(plan: Plan, classifier: Classifier) -> TestResult:
    split, is_clean_N = open_test_split(plan.dataset_folder, opened_by=f"study {plan.spec.study}")
    probabilities_NK = classifier.probabilities_of_stored(split.images)
    metrics = metrics_of(probabilities_NK, split.labels)
    num_clean = int(is_clean_N.sum())
    interval = binomtest(round(metrics.accuracy * metrics.num_images), metrics.num_images).proportion_ci(CONFIDENCE, method="wilson")
    return TestResult(
        metrics=_scalars(metrics),
        accuracy_low=float(interval.low),
        accuracy_high=float(interval.high),
        num_images=metrics.num_images,
        clean_metrics=_scalars(metrics_of(probabilities_NK[is_clean_N], split.labels[is_clean_N])) if 0 < num_clean < len(split) else None,
        num_clean=num_clean,
        num_openings=len(openings(plan.dataset_folder)),
    )


def _scalars(metrics: Metrics) -> dict[str, Any]:
    return {name: getattr(metrics, name) for name in METRICS}
