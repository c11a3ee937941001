"""Tiny classifiers of the digits, registered without a study: what the tests of the registry compare, promote
and ask.
"""

from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from study import names
from study.connections.mlflow_client import prepare_experiment
from study.evaluation.scoring import calibration_of, test_result
from study.evaluation.test_evidence import TestEvidence
from study.home import Home
from study.registry.model_card import Origin, model_card
from study.registry.registration import register
from study.study_file.promotion_rules import PromotionRules
from trainables.datasets.dataset import Dataset
from trainables.datasets.sealed_test import open_test_split, openings
from trainables.inference.classifier import Classifier, ClassifierConfig
from trainables.inference.ensemble import Ensemble
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training

CPU = torch.device("cpu")


def trained(
    home: Home,
    *,
    epochs: int = 1,
    seed: int = 0,
    name: str = "digits",
    learning_rate: float = 0.01,
    **recipe: Any,
) -> Classifier:
    """A tiny network after some epochs; the more, the better."""
    tree = {
        "data": {"image_size": 8},
        "model": {"architecture": "cnn2-32x64"},
        "phases": [{"epochs": epochs, "learning_rate": learning_rate}],
        "seed": seed,
        **recipe,
    }
    torch.set_num_threads(1)
    training = Training(Recipe.from_dict(tree), Dataset.open(home.datasets / name), device=CPU)
    for _ in training:
        pass
    return Classifier(ClassifierConfig.of(training.recipe, training.manifest), training.weights(), device=CPU)


@dataclass(frozen=True)
class Registry:
    """A home with its MLflow, into which classifiers are registered as a study would."""

    home: Home
    client: Any

    def add(
        self,
        classifier: Classifier | Ensemble,
        *,
        study: str = "by-hand",
        rules: PromotionRules | None = None,
        **facts: Any,
    ) -> int:
        """The number of the version; `facts` replace what its evidence says."""
        folder = self.home.datasets / classifier.config.dataset
        dataset = Dataset.open(folder)
        experiment = prepare_experiment(self.client, self.home, classifier.config.dataset)
        run_id = self.client.create_run(
            experiment,
            tags={names.DEVICE: "cpu, 1 thread", names.version_tag("torch"): version("torch")},
            run_name=study,
        ).info.run_id
        split, is_clean_N = open_test_split(folder, opened_by=f"study {study}")
        probabilities_NK = facts.pop("probabilities_NK", None)
        probabilities_NK = (
            classifier.probabilities_of_stored(split.images) if probabilities_NK is None else probabilities_NK
        )
        validation_NK = classifier.probabilities_of_stored(dataset.validation.images)
        value = float((validation_NK.argmax(1) == dataset.validation.labels).mean())
        calibration = calibration_of(
            probabilities_NK, split.labels, validation_NK, dataset.validation.labels, temperature=1.0
        )
        result = test_result(
            probabilities_NK,
            split.labels,
            is_clean_N,
            classifier.config.classes,
            split.groups,
            calibration=calibration,
            num_openings=len(openings(folder)),
        )
        evidence = TestEvidence(
            **{
                "dataset": classifier.config.dataset,
                "dataset_digest": dataset.manifest.digest,
                "classes": classifier.config.classes,
                "labels_N": np.array(split.labels),
                "is_clean_N": is_clean_N,
                "probabilities_NK": probabilities_NK,
                "latency_ms": 1.5,
                "groups_N": None if split.groups is None else np.array(split.groups),
                **facts,
            }
        )
        accuracy = result.metrics["accuracy"]
        is_single = isinstance(classifier, Classifier)
        origin = Origin(
            study=study,
            trial=7,
            seeds=() if is_single else (1, 2),
            parent_run_id=run_id,
            run_id=run_id,
            metric="accuracy",
            value=value if is_single else None,
        )
        tags = {
            names.STUDY: study,
            names.TRIAL: "7",
            names.KIND: "single" if is_single else "ensemble",
            names.MADE_OF: names.candidate_name(7, origin.seeds),
            names.DATASET_DIGEST: dataset.manifest.digest,
            names.OBJECTIVE: "accuracy",
            names.THREADS: "1",
            "test.accuracy": f"{accuracy.value:.4f}",
            "test.accuracy_interval": f"{accuracy.low:.4f} to {accuracy.high:.4f}",
            **({names.OBJECTIVE_VALUE: repr(value)} if is_single else {}),
        }
        return register(
            self.client,
            run_id,
            classifier,
            dataset.validation.pixels(0),
            tags=tags,
            model_card=model_card(origin, dataset.manifest, classifier, result, num_comparisons=2),
            evidence=evidence,
            rules=rules or PromotionRules(max_recall_loss=None),
        )

    def alias(self, name: str, model: str = "digits") -> int | None:
        """The version that an alias of the model points to."""
        found = self.client.get_registered_model(model).aliases.get(name)
        return None if found is None else int(found)


def add(registry: Registry, classifier: Classifier, share: float, **facts: Any) -> int:
    """A version that claims to be right for this share of the test images."""
    split, _ = open_test_split(registry.home.datasets / "digits", opened_by="the test")
    return registry.add(classifier, probabilities_NK=_right_in(share, split.labels, 10), **facts)


def _right_in(
    share: float, labels_N: NDArray[np.int64], num_classes: int, seed: int = 0
) -> NDArray[np.float32]:
    """Made-up probabilities (N, K) that are right for this share of the images; more of them for a higher
    share, the same ones too.
    """
    order = np.random.default_rng(seed).permutation(len(labels_N))
    predicted_N = np.where(order < round(share * len(labels_N)), labels_N, (labels_N + 1) % num_classes)
    return np.where(np.eye(num_classes)[predicted_N] > 0, 0.9, 0.1 / (num_classes - 1)).astype(np.float32)
