"""The candidates of a chosen configuration: one training, and the ensemble of its seeds.

A training is one network, or, with folds, as many networks as there are folds, whose mean is the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from study.evaluation.confirmation import Confirmation
from study.evaluation.final_result import Kind, Part, made_of
from study.evaluation.selection import is_result
from study.evaluation.trained_classifier import confirmed_classifier, trained_classifier
from study.planning.plan import Plan
from study.search.record.lineage import lineage, lineage_text
from study.search.record.trial import Trial
from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble, members_of
from trainables.inference.fold_models import num_folds_of

CHOICES_FOLDER = "choices"
"""Inside a study's folder: what validation chose of the candidates, before the test split is opened."""


@dataclass(frozen=True, kw_only=True)
class CandidateModel:
    """A model that is about to be measured on the test split and registered."""

    kind: Kind
    trial: int
    """The trial that has its configuration; of a selection, that of the single training beside it."""
    seeds: tuple[int, ...]
    """The further trainings that it consists of; empty for the training of the search itself, and for a
    selection.
    """
    run_id: str | None
    """The MLflow run that trained it; None where several did, or where it is not known."""
    value: float | None
    """The study's objective on the validation split, or its mean over folds; None for an ensemble."""
    classifier: Classifier | Ensemble
    trainings: tuple[Classifier | Ensemble, ...]
    """What each of its trainings made: the classifier itself, or the seeds of an ensemble."""
    lineage: str | None = None
    """The trials that trained its weights, if there are several."""
    parts: tuple[Part, ...] = ()
    """Of what was selected: the trainings that make the mean."""
    gain: str | None = None
    """What a selection gains on validation, in words."""

    @property
    def name(self) -> str:
        """What it consists of: trial-0007, trial-0007-seed-1, trial-0007-seeds-1-2-3."""
        return made_of(self.trial, self.seeds, self.parts)

    @property
    def temperature(self) -> float:
        """The divisor of its logits; 1 where several networks have their own."""
        return 1.0 if isinstance(self.classifier, Ensemble) else self.classifier.config.temperature

    @property
    def num_folds(self) -> int | None:
        """How many folds its networks held out in turn; None without folds."""
        return num_folds_of(self.classifier)


def found_candidates(plan: Plan, winner: Trial) -> tuple[CandidateModel, ...]:
    """The search's best trial, where nothing was confirmed."""
    classifier = trained_classifier(plan, winner)
    return (
        CandidateModel(
            kind="single",
            trial=winner.number,
            seeds=(),
            run_id=winner.run_id,
            value=winner.value,
            classifier=classifier,
            trainings=(classifier,),
            lineage=None if winner.continues is None else lineage_text(lineage(winner)),
        ),
    )


def confirmed_candidates(plan: Plan, confirmation: Confirmation, number: int) -> tuple[CandidateModel, ...]:
    """The best further seed by validation and, of two or more seeds, the ensemble of all, unless the study
    file wants none.

    The search's own training is in neither: its value was selected for being high, and the mean that was
    confirmed leaves it out.
    """
    trainings = {
        seed: training for seed, training in confirmation.trainings(number).items() if is_result(training)
    }
    classifiers = {
        seed: confirmed_classifier(plan, confirmation, training) for seed, training in trainings.items()
    }
    merit = plan.spec.objective.merit
    best = max(trainings, key=lambda seed: (merit(trainings[seed].value or 0.0), -seed))
    single = CandidateModel(
        kind="single",
        trial=number,
        seeds=(best,),
        run_id=trainings[best].run_id,
        value=trainings[best].value,
        classifier=classifiers[best],
        trainings=(classifiers[best],),
    )
    return (single,) if plan.spec.ensemble == "none" else (single, *_ensemble(number, classifiers))


def _ensemble(number: int, classifiers: dict[int, Classifier | Ensemble]) -> Sequence[CandidateModel]:
    if len(classifiers) < 2:
        return ()
    members = Ensemble([member for one in classifiers.values() for member in members_of(one)])
    return (
        CandidateModel(
            kind="ensemble",
            trial=number,
            seeds=tuple(classifiers),
            run_id=None,
            value=None,
            classifier=members,
            trainings=tuple(classifiers.values()),
        ),
    )
