"""The candidate that costs no training: a greedy selection among those whose weights the study keeps."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from study.evaluation.candidate_models import CHOICES_FOLDER, CandidateModel
from study.evaluation.confirmation import Confirmation
from study.evaluation.cross_fit import Opinions, best_one, can_be_halved, cross_fitted
from study.evaluation.final_result import Part
from study.evaluation.greedy_selection import Gain, gain_of, greedily
from study.evaluation.selection import is_result
from study.evaluation.trained_classifier import confirmed_classifier, trained_classifier
from study.names import candidate_name
from study.planning.plan import Plan
from study.search.record.kept_weights import weights_file
from study.search.record.study_record import StudyRecord
from study.search.record.trial import STOPPED
from trainables.atomic import atomic_file
from trainables.datasets.dataset import Dataset
from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble, members_of
from trainables.inference.fold_models import validation_of
from trainables.metrics.from_logits import metrics_of

MOST_IN_POOL = 12
"""Trainings that a selection is made of, the best by validation: the more there are, the more fit the
validation split by chance, and the longer it takes to ask them all."""
MOST_PROBABILITIES = 2**27
"""Of all trainings on all images together: half a gigabyte. Where there would be more, fewer are asked."""


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A training whose weights the study keeps in any case, so that the pool takes no disk of its own."""

    trial: int
    seed: int | None
    """The further seed; None for the training of the search itself."""
    value: float
    load: Callable[[], Classifier | Ensemble]

    @property
    def name(self) -> str:
        """As a candidate is named that consists of it alone."""
        return candidate_name(self.trial, () if self.seed is None else (self.seed,))


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What was selected, kept so that a study that was interrupted or extended comes to nothing else beside
    the same candidates.
    """

    pool: tuple[str, ...]
    parts: tuple[Part, ...]
    """None of them where no selection is offered."""
    gain: str
    """What it gains on validation, in words."""


def selected_candidate(plan: Plan, models: Sequence[CandidateModel]) -> CandidateModel | None:
    """A selection whose mean is better on validation than each of the other candidates, by more than the
    standard error; None where there is none, the study file wants none, or weights of it are gone.

    Its gain is told of images that did not choose it (`cross_fitted`). Constraints are on single
    configurations, so a study with some has no selection.
    """
    if plan.spec.ensemble != "auto" or plan.spec.constraints:
        return None
    pool = _pool(plan)
    if len(pool) < 2:
        return None
    file = plan.folder / CHOICES_FOLDER / f"{models[-1].name}-or-a-selection.json"
    if not file.exists():
        with atomic_file(file) as unfinished:
            text = json.dumps(asdict(_select(plan, models, pool)), indent=2)
            unfinished.write_text(text + "\n", encoding="utf-8")
    chosen = TypeAdapter(Selection).validate_json(file.read_bytes())
    by_part = {(kept.trial, kept.seed): kept for kept in pool}
    if not chosen.parts or not all((part.trial, part.seed) in by_part for part in chosen.parts):
        return None
    return _candidate(models[0], chosen, by_part)


def _pool(plan: Plan) -> list[Kept]:
    """The best of the search that it keeps, and all further seeds."""
    record, confirmation = StudyRecord.open(plan.folder), Confirmation.read(plan.folder)
    kept = [
        Kept(trial=one.number, seed=None, value=one.value, load=partial(trained_classifier, plan, one))
        for one in record.trials
        if one.state in ("complete", *STOPPED)
        and one.value is not None
        and weights_file(plan.folder, one.number).exists()
    ]
    if confirmation is not None:
        kept += [
            Kept(
                trial=number,
                seed=seed,
                value=one.value,
                load=partial(confirmed_classifier, plan, confirmation, one),
            )
            for (number, seed), one in zip(confirmation.wanted, confirmation.record.trials, strict=False)
            if is_result(one)
            and one.value is not None
            and weights_file(confirmation.folder, one.number).exists()
        ]
    merit = plan.spec.objective.merit
    return sorted(kept, key=lambda one: (-merit(one.value), one.name))[:MOST_IN_POOL]


def _select(plan: Plan, models: Sequence[CandidateModel], pool: Sequence[Kept]) -> Selection:
    dataset, metric = Dataset.open(plan.dataset_folder), plan.spec.objective.metric
    nothing = Selection(pool=tuple(kept.name for kept in pool), parts=(), gain="")
    shape = _stored_shape(models[0].classifier)
    others = Opinions.of(models[-1].trainings, dataset)
    num_asked = MOST_PROBABILITIES // others.probabilities_MNK[0].size
    usable, said = [], []
    for kept in pool[:num_asked]:
        classifier = kept.load()
        if _stored_shape(classifier) == shape:
            usable.append(kept)
            said.append(validation_of(classifier, dataset)[0])
    if len(usable) < 2 or not can_be_halved(others):
        return nothing
    opinions = replace(others, probabilities_MNK=np.stack(said))
    times_M = greedily(metric)(opinions)
    if times_M.sum() < 2:
        return nothing
    after_NK = cross_fitted(opinions, greedily(metric))
    gains = [gain_of(opinions, metric, before_NK, after_NK) for before_NK in _said_by_others(others, metric)]
    if not all(gain.is_beyond_noise for gain in gains):
        return nothing
    parts = tuple(
        Part(trial=kept.trial, seed=kept.seed, times=times)
        for kept, times in zip(usable, times_M.tolist(), strict=True)
        if times
    )
    if {(part.trial, part.seed, part.times) for part in parts} == {
        (model.trial, seed, 1) for model in models for seed in model.seeds
    }:
        return nothing  # the ensemble of all seeds is a candidate as it is
    return Selection(pool=nothing.pool, parts=parts, gain=_gain_text(metric, opinions, after_NK, gains[0]))


def _said_by_others(others: Opinions, metric: str) -> list[NDArray[np.float32]]:
    """By the best training, and the mean of all where there are several."""
    num = len(others.probabilities_MNK)
    best_NK = cross_fitted(others, best_one(metric))
    return [best_NK] if num == 1 else [best_NK, others.mean(np.ones(num, np.int64))]


def _gain_text(metric: str, opinions: Opinions, after_NK: NDArray[np.float32], gain: Gain) -> str:
    value = getattr(metrics_of(after_NK, opinions.labels_N), metric)
    return (
        f"{metric.replace('_', ' ')} {value:.4f} on validation, better by {gain.value:.4f} than the best "
        f"training (standard error {gain.error:.4f}), each half of the images by what the other half selects "
        f"of {len(opinions.probabilities_MNK)} trainings; all these images chose the epochs"
    )


def _candidate(
    single: CandidateModel, chosen: Selection, pool: dict[tuple[int, int | None], Kept]
) -> CandidateModel:
    loaded = [pool[part.trial, part.seed].load() for part in chosen.parts]
    networks = [
        (network, part.times)
        for part, classifier in zip(chosen.parts, loaded, strict=True)
        for network in members_of(classifier)
    ]
    return CandidateModel(
        kind="selected",
        trial=single.trial,
        seeds=(),
        run_id=None,
        value=None,
        classifier=Ensemble([network for network, _ in networks], [times for _, times in networks]),
        trainings=tuple(loaded),
        parts=chosen.parts,
        gain=chosen.gain,
    )


def _stored_shape(classifier: Classifier | Ensemble) -> tuple[int, ...]:
    """What images one model takes; those of encoded datasets are decoded to the size that each wants."""
    pixels = classifier.config.preprocessing
    return pixels.height, pixels.width, pixels.channels, pixels.scaled_size if pixels.is_encoded else 0
