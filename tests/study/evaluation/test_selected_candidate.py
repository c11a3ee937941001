"""The selection among the trainings whose weights a study keeps: offered where it helps, and what it is."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from study.evaluation.candidate_models import CandidateModel, found_candidates
from study.evaluation.selected_candidate import selected_candidate
from study.evaluation.test_split import measure_once
from study.home import Home
from study.planning.plan import Plan, plan_study
from study.recipes.point import build_recipe
from study.registry.model_card import Origin, model_card
from study.search.record.kept_weights import weights_file
from study.search.record.study_record import StudyRecord
from study.search.record.trial import EpochReport
from study.study_file.study_spec import StudySpec
from trainables.atomic import atomic_file
from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.sealed_test import openings
from trainables.devices.device import find_device
from trainables.inference.ensemble import Ensemble, load_classifier
from trainables.inference.frozen import frozen
from trainables.inference.program import Program
from trainables.metrics.from_logits import metrics_of
from trainables.training.loop import Training

LOW_CLASSES, HIGH_CLASSES = range(5), range(5, 10)


@pytest.fixture(scope="module", autouse=True)
def _single_thread() -> Iterator[None]:
    """Networks this small take longer on two threads than on one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """A study of three kept trials: the first two know the digits from 5, and the third those below."""
    home = Home(tmp_path_factory.mktemp("selected"))
    add_dataset(home.datasets, "digits", None, AddOptions())
    tree = {
        "study": "s",
        "dataset": "digits",
        "search_space": "digits",
        "budget": {"trials": 3, "epochs": 8},
    }
    plan = plan_study(StudySpec.parse(tree), home)
    plan.folder.mkdir(parents=True)
    record = StudyRecord.create(plan.folder, "s", objectives=plan.spec.objectives)
    weights: dict[str, Tensor] | None = None
    for number, (value, blind) in enumerate(((0.5, LOW_CLASSES), (0.49, LOW_CLASSES), (0.4, HIGH_CLASSES))):
        asked = record.ask(plan.space, 0)
        assert asked is not None
        record.report(
            number,
            EpochReport(epoch=1, value=value, metrics={}, seconds=1.0, run_id=f"run-{number}"),
        )
        record.finish(number, "complete")
        weights = weights or trained(plan)
        write(plan, number, blinded(weights, blind))
    return plan


def trained(plan: Plan) -> dict[str, Tensor]:
    recipe = build_recipe(
        StudyRecord.open(plan.folder).trial(0).point, dataset=plan.manifest, epochs=8, seed=0
    )
    training = Training(recipe, Dataset.open(plan.dataset_folder), device=find_device())
    for _ in training:
        pass
    return dict(training.weights())


def blinded(weights: dict[str, Tensor], classes: range) -> dict[str, Tensor]:
    """A network that has the same logit for all these classes, whatever it sees."""
    bias = next(key for key, tensor in reversed(weights.items()) if tensor.shape == (10,))
    weight = f"{bias.removesuffix('bias')}weight"
    changed = {key: tensor.clone() for key, tensor in weights.items()}
    for name in (bias, weight):
        changed[name][list(classes)] = 0
    return changed


def write(plan: Plan, number: int, weights: dict[str, Tensor]) -> None:
    with atomic_file(weights_file(plan.folder, number)) as file:
        torch.save(weights, file)


@pytest.fixture(scope="module")
def candidates(plan: Plan) -> tuple[CandidateModel, CandidateModel]:
    (single,) = found_candidates(plan, StudyRecord.open(plan.folder).trial(0))
    selected = selected_candidate(plan, (single,))
    assert selected is not None
    return single, selected


def test_what_helps_is_offered_and_says_so(
    plan: Plan, candidates: tuple[CandidateModel, CandidateModel]
) -> None:
    _, selected = candidates
    assert [(part.trial, part.seed) for part in selected.parts] in (
        [(0, None), (2, None)],
        [(1, None), (2, None)],
    )
    assert selected.name.startswith("selection-of-000")
    assert "of 3 trainings; all these images chose the epochs" in (selected.gain or "")
    validation = Dataset.open(plan.dataset_folder).validation
    alone, together = (
        metrics_of(one.classifier.probabilities_of_stored(validation.images), validation.labels).macro_f1
        for one in candidates
    )
    assert together > alone + 0.2
    assert openings(plan.dataset_folder) == (), "validation alone chose"


def test_a_second_look_comes_to_the_same(
    plan: Plan, candidates: tuple[CandidateModel, CandidateModel]
) -> None:
    again = selected_candidate(plan, candidates[:1])
    assert again is not None
    assert (again.parts, again.gain) == (candidates[1].parts, candidates[1].gain)


@pytest.mark.parametrize(
    "changed", [{"ensemble": "none"}, {"ensemble": "seeds"}, {"constraints": ["kappa >= 0.1"]}]
)
def test_none_is_offered_where_none_is_wanted(
    plan: Plan, candidates: tuple[CandidateModel, CandidateModel], changed: dict[str, object]
) -> None:
    spec = StudySpec.parse({**plan.spec.to_dict(), **changed})
    assert selected_candidate(replace(plan, spec=spec), candidates[:1]) is None


def test_none_is_offered_where_it_does_not_help(plan: Plan) -> None:
    """The first two trials are equal."""
    record = StudyRecord.open(plan.folder)
    (single,) = found_candidates(plan, record.trial(1))
    kept = weights_file(plan.folder, 2)
    elsewhere = kept.rename(kept.with_suffix(".aside"))
    try:
        assert selected_candidate(plan, (single,)) is None
    finally:
        elsewhere.rename(kept)
    assert selected_candidate(plan, (single,)) is None, "decided is decided, as versions may be registered"


def test_both_are_measured_in_one_opening_and_the_card_tells_the_selection(
    plan: Plan, candidates: tuple[CandidateModel, CandidateModel]
) -> None:
    single, selected = measure_once(plan, candidates)
    assert len(openings(plan.dataset_folder)) == 1
    assert selected.result.metrics["accuracy"].value > single.result.metrics["accuracy"].value + 0.2
    assert selected.evidence.latency_ms > 0
    origin = Origin(
        study="s",
        trial=0,
        seeds=(),
        parent_run_id="r",
        run_id="r",
        metric="macro_f1",
        value=None,
        made_of=candidates[1].name,
        gain=candidates[1].gain,
    )
    card = model_card(origin, plan.manifest, candidates[1].classifier, selected.result)
    assert f"# digits: {candidates[1].name} of study s" in card
    assert "The mean of 2 networks" in card
    assert "selected among trainings: macro f1" in card


def test_a_network_that_counts_three_times_does_so_wherever_the_model_goes(
    plan: Plan, candidates: tuple[CandidateModel, CandidateModel], tmp_path: Path
) -> None:
    classifier = candidates[1].classifier
    assert isinstance(classifier, Ensemble)
    made = Ensemble(classifier.members, (3, 1))
    images = Dataset.open(plan.dataset_folder).validation.images[:20]
    one, other = (member.probabilities_of_stored(images) for member in classifier.members)
    expected_NK = (3 * one + other) / 4
    made.save(tmp_path)
    loaded = load_classifier(tmp_path)
    assert isinstance(loaded, Ensemble)
    program = Program(loaded)
    with torch.no_grad():
        from_program_NK = program(torch.tensor(np.array(images))).numpy()
    for said_NK in (
        made.probabilities_of_stored(images),
        loaded.probabilities_of_stored(images),
        frozen(loaded).probabilities_of_stored(images),
        from_program_NK,
    ):
        np.testing.assert_allclose(said_NK, expected_NK, atol=1e-5)
