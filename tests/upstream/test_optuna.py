"""What Optuna does that nobody promised: each test stands for a row of README.md."""

import json
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe import sampler as tpe
from optuna.storages import BaseStorage, JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search_spaces.dimensions import Choice, Float, Int, one_of
from search_spaces.space import SearchSpace
from study.search.record.journal import JournalFile
from study.search.sampling.fast_tpe import QuickTPESampler
from study.search.sampling.samplers import History, sample, suggest_point, translate

SPACE = SearchSpace(
    name="conditional",
    about="",
    dimensions=(
        Choice(name="optimizer", options=("sgd", "adam")),
        Float(name="learning_rate", low=1e-4, high=1e-1, log=True, when={"optimizer": one_of("sgd")}),
        Float(name="learning_rate", low=1e-5, high=1e-2, log=True, when={"optimizer": one_of("adam")}),
        Float(name="dropout", low=0.0, high=0.5),
        Int(name="freeze_depth", low=0, high=4),
    ),
)


@pytest.fixture(autouse=True)
def _quiet() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def past(num: int) -> list[FrozenTrial]:
    """Trials drawn at random, a third of them stopped early."""
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    made = []
    for number in range(num):
        params, distributions = translate(SPACE, sample(SPACE, study.ask()))
        state = TrialState.PRUNED if number % 3 == 2 else TrialState.COMPLETE
        value = None if state == TrialState.PRUNED else number % 7 / 7
        made.append(
            create_trial(
                state=state,
                value=value,
                params=params,
                distributions=distributions,
                intermediate_values={1: number % 5},
            )
        )
        made[-1].number = number
    return made


def history(num: int) -> History:
    return History(past=past(num), directions=[StudyDirection.MAXIMIZE], study_notes={}, number=num)


@pytest.mark.parametrize(
    ("owner", "name"),
    [
        (tpe, "_split_trials"),
        (tpe, "default_gamma"),
        (tpe, "default_gamma_multiobjective"),
        (TPESampler, "_sample"),
        (TPESampler, "_build_parzen_estimator"),
        (TPESampler, "_compute_acquisition_func"),
        (TPESampler, "_compare"),
        (TPESampler, "_get_params"),
        (TPESampler, "_get_internal_repr"),
        (TPESampler(), "_rng"),
        (TPESampler()._rng, "rng"),
        (TPESampler(), "_n_ei_candidates"),
        (optuna.Study, "_get_trials"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_tpe_has_the_inner_members_that_the_quick_one_uses(owner: Any, name: str) -> None:
    assert hasattr(owner, name)


@pytest.mark.parametrize(
    "directions", [["maximize"], ["maximize", "minimize"]], ids=["one objective", "two objectives"]
)
def test_the_quick_tpe_draws_what_optunas_own_draws(
    directions: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: dict[type[TPESampler], list[Any]] = {}
    for kind in (TPESampler, QuickTPESampler):
        study = optuna.create_study(directions=directions)
        for trial in past(16):
            if trial.values:
                trial.values = trial.values * len(directions)
            elif len(directions) > 1:
                continue
            study.add_trial(trial)
        drawn[kind] = []
        for seed in range(4):  # the quick one is for a single draw, with others running
            study.sampler = kind(
                seed=seed, multivariate=True, group=True, constant_liar=True, n_startup_trials=5
            )
            drawn[kind].append(sample(SPACE, study.ask()))
    assert drawn[QuickTPESampler] == drawn[TPESampler]


def test_constraints_are_system_attributes() -> None:
    made = create_trial(state=TrialState.PRUNED, constraints={"latency_ms <= 5": 2.0, "infeasible": 1.0})
    assert len(made.system_attrs) == 2
    again = create_trial(state=TrialState.PRUNED, system_attrs=json.loads(json.dumps(made.system_attrs)))
    assert again.constraints == {"latency_ms <= 5": 2.0, "infeasible": 1.0}
    again.system_attrs = {}
    again.set_constraint("infeasible", 0.0)
    assert again.constraints == {"infeasible": 0.0}


@pytest.mark.parametrize("rule", ["tpe", "gp", "cma_es", "nsga2"])
def test_a_sampler_asks_no_more_than_the_drawn_trial_and_the_past(rule: str) -> None:
    look = history(25)
    before = [(trial.params, dict(trial.system_attrs)) for trial in look.past]
    suggestion = suggest_point(SPACE, rule, 7, look)
    SPACE.check(suggestion.point)
    assert suggest_point(SPACE, rule, 7, look).point == suggestion.point
    assert [(trial.params, dict(trial.system_attrs)) for trial in look.past] == before


def test_samplers_keep_their_state_in_system_attributes() -> None:
    assert suggest_point(SPACE, "nsga2", 7, history(25)).trial_notes, "the generation of a trial"
    notes = suggest_point(SPACE, "cma_es", 7, history(25)).trial_notes
    assert json.loads(json.dumps(dict(notes))) == notes


def test_a_storage_can_be_used_without_a_study(tmp_path: Path) -> None:
    storage = JournalStorage(JournalFile.create(tmp_path / "ours"))
    study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "s")
    made = create_trial(
        state=TrialState.WAITING, params={"x": 0.5}, distributions={"x": FloatDistribution(0, 1)}
    )
    trial_id = storage.create_new_trial(study_id, made)
    storage.set_study_user_attr(study_id, "fact", [1])
    storage.set_trial_state_values(trial_id, TrialState.RUNNING)
    storage.set_trial_intermediate_value(trial_id, 3, 0.25)
    storage.set_trial_user_attr(trial_id, "note", {"a": 1})
    storage.set_trial_system_attr(trial_id, "key", 1.5)
    storage.set_trial_state_values(trial_id, TrialState.COMPLETE, [0.25])
    assert storage.get_trial_id_from_study_id_trial_number(study_id, 0) == trial_id
    with pytest.raises(KeyError):
        storage.get_trial_id_from_study_id_trial_number(study_id, 1)
    theirs = JournalStorage(JournalFileBackend(str(tmp_path / "ours")))
    for one in (storage, theirs):
        assert [found.study_name for found in one.get_all_studies()] == ["s"]
        assert one.get_study_user_attrs(one.get_study_id_from_name("s")) == {"fact": [1]}
        trial = one.get_trial(trial_id)
        assert (trial.state, trial.values, trial.params) == (TrialState.COMPLETE, [0.25], {"x": 0.5})
        assert (trial.intermediate_values, trial.user_attrs, trial.system_attrs) == (
            {3: 0.25},
            {"note": {"a": 1}},
            {"key": 1.5},
        )


def test_a_journal_hands_out_its_own_trials_and_they_may_be_changed(tmp_path: Path) -> None:
    storage = JournalStorage(JournalFile.create(tmp_path / "ours"))
    study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "s")
    trial_id = storage.create_new_trial(study_id, create_trial(state=TrialState.COMPLETE, value=1.0))
    shared = {"x": FloatDistribution(0, 1)}
    storage.get_trial(trial_id).distributions = shared
    assert storage.get_trial(trial_id).distributions is shared


def test_a_database_is_opened_by_its_address(tmp_path: Path) -> None:
    storage = optuna.storages.get_storage(f"sqlite:///{tmp_path}/ours.db")
    assert isinstance(storage, BaseStorage)
    study_id = storage.create_new_study([StudyDirection.MAXIMIZE], "s")
    trial_id = storage.create_new_trial(study_id, create_trial(state=TrialState.COMPLETE, value=1.0))
    assert storage.get_trial(trial_id).values == [1.0]
    with pytest.raises(optuna.exceptions.DuplicatedStudyError):
        storage.create_new_study([StudyDirection.MAXIMIZE], "s")
    (tmp_path / "ours.db").unlink()
    with pytest.raises(optuna.exceptions.StorageInternalError) as failed:
        storage.create_new_study([StudyDirection.MAXIMIZE], "other")
    assert failed.value.__cause__ is not None, "it says why"
