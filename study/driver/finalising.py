"""Finalising: the chosen configuration is measured once on the sealed test split, and its candidates are
registered.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from study import names
from study.connections.mlflow_client import connect, tracking_errors
from study.evaluation.candidate_models import CandidateModel, confirmed_candidates, found_candidates
from study.evaluation.confirmation import Confirmation
from study.evaluation.final_result import Candidate, Confirmed, FinalResult
from study.evaluation.selected_candidate import selected_candidate
from study.evaluation.selection import compare_repeated
from study.evaluation.test_split import Measurement, is_measured, measure_once
from study.home import Home
from study.planning.plan import Plan, plan_study
from study.registry.decision_log import DecisionLog
from study.registry.model_card import Origin, model_card
from study.registry.registration import make_candidate, register
from study.registry.seen_images import leak_of
from study.registry.siblings import Verdict, choose_once
from study.registry.split_use import num_comparisons
from study.results.study_result import find_study
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.tracking.result_tables import log_final
from trainables.datasets.dataset import Dataset
from trainables.inference.ensemble import members_of


@dataclass(frozen=True, kw_only=True)
class ParentRun:
    """The study's run in MLflow."""

    client: Any
    """MLflow's, which has no types here."""
    run_id: str


def finalise_study(
    home: Home,
    name: str,
    run_id: str,
    winner: int,
    confirmed: tuple[int, ...],
    *,
    say: Callable[[str], object],
) -> None:
    """`finalise` of the study of that name, for a process that has nothing of it yet."""
    plan = plan_study(find_study(home, name).spec, home)
    record = StudyRecord.open(plan.folder)
    run = ParentRun(client=connect(home.tracking_uri), run_id=run_id)
    finalise(plan, record.trial(winner), tuple(map(record.trial, confirmed)), run, say)


def finalise(
    plan: Plan, winner: Trial, confirmed: tuple[Trial, ...], run: ParentRun, say: Callable[[str], object]
) -> FinalResult:
    """Chooses a configuration and its candidate, measures, registers, and writes the result.

    The choice is among the configurations that were confirmed; where none was, it is the search's winner. All
    is chosen by validation. Then the test split is opened, and nothing more is chosen.

    May be interrupted anywhere: what was measured is not measured again, and what was registered not
    registered again.
    """
    rows, models = _chosen(plan, winner, confirmed)
    verdict = choose_once(plan, models)
    selected = selected_candidate(plan, models)
    if selected is not None:
        models = (*models, selected)
    what = " and ".join(one.name for one in models)
    say(
        f"registering {what}"
        if is_measured(plan, models)
        else f"measuring {what} on the sealed test split and registering"
    )
    networks = [network for model in models for network in members_of(model.classifier)]
    first_weights = dict.fromkeys(network.config.recipe.model.weights for network in networks)
    leaks = [leak for weights in first_weights if (leak := leak_of(plan, weights)) is not None]
    measurements = measure_once(
        plan,
        models,
        known=frozenset().union(*(leak.digests for leak in leaks)),
        remarks=tuple(leak.sentence for leak in leaks),
    )
    measured = {model.kind: one for model, one in zip(models, measurements, strict=True)}
    kind = "single" if verdict is None else verdict.kind
    # The newest version is the model's candidate, so the study's result comes last.
    registered = {
        model.kind: _registered(plan, run, model, measured[model.kind], verdict)
        for model in sorted(models, key=lambda model: model.kind == kind)
    }
    final = FinalResult(
        candidates=tuple(registered[model.kind] for model in models),
        confirmed=rows,
        kind=kind,
        verdict=None if verdict is None else verdict.sentence,
    )
    log_final(run.client, run.run_id, final)
    final.write(plan.folder)
    return final


def _chosen(
    plan: Plan, winner: Trial, confirmed: tuple[Trial, ...]
) -> tuple[tuple[Confirmed, ...], tuple[CandidateModel, ...]]:
    confirmation = Confirmation.read(plan.folder)
    rows = (
        ()
        if confirmation is None
        else compare_repeated(confirmation.repeated(confirmed), plan.spec.objective)
    )
    chosen = [row.trial for row in rows if row.is_chosen]
    if confirmation is None or not chosen:
        return rows, found_candidates(plan, winner)
    return rows, confirmed_candidates(plan, confirmation, chosen[0])


def _registered(
    plan: Plan, run: ParentRun, model: CandidateModel, measured: Measurement, verdict: Verdict | None
) -> Candidate:
    run_id = model.run_id or run.run_id
    version = _find_version(plan, run, run_id, model) or register(
        run.client,
        run_id,
        model.classifier,
        Dataset.open(plan.dataset_folder).validation.pixels(0),
        tags=_tags(plan, model, measured, verdict),
        model_card=model_card(
            _origin(plan, run, model),
            plan.manifest,
            model.classifier,
            measured.result,
            num_comparisons(DecisionLog.read(run.client, plan.home, plan.spec.dataset), plan.manifest.digest),
        ),
        evidence=measured.evidence,
        rules=plan.spec.promotion,
    )
    registered = names.model_name(plan.spec.dataset)
    return Candidate(
        kind=model.kind,
        trial=model.trial,
        seeds=model.seeds,
        test=measured.result,
        model=registered,
        version=version,
        num_folds=model.num_folds,
        parts=model.parts,
        gain=model.gain,
        latency_ms=measured.evidence.latency_ms,
    )


def _find_version(plan: Plan, run: ParentRun, run_id: str, model: CandidateModel) -> int | None:
    """The version that an earlier execution registered before it was interrupted."""
    with tracking_errors(run.client.tracking_uri):
        found = run.client.search_model_versions(
            f"name = '{names.model_name(plan.spec.dataset)}' and run_id = '{run_id}'"
        )
        versions = [int(one.version) for one in found if one.tags.get(names.MADE_OF) == model.name]
        if versions:  # that execution may have died before the alias followed
            make_candidate(run.client, names.model_name(plan.spec.dataset), max(versions))
    return max(versions, default=None)


def _origin(plan: Plan, run: ParentRun, model: CandidateModel) -> Origin:
    return Origin(
        study=plan.spec.study,
        trial=model.trial,
        seeds=model.seeds,
        parent_run_id=run.run_id,
        run_id=model.run_id or run.run_id,
        metric=plan.spec.objective.metric,
        value=model.value,
        num_folds=model.num_folds,
        made_of=model.name,
        gain=model.gain,
    )


def _tags(
    plan: Plan, model: CandidateModel, measured: Measurement, verdict: Verdict | None
) -> dict[str, str]:
    accuracy, metric = measured.result.metrics["accuracy"], plan.spec.objective.metric
    return {
        names.STUDY: plan.spec.study,
        names.TRIAL: str(model.trial),
        names.KIND: model.kind,
        names.MADE_OF: model.name,
        names.DATASET_DIGEST: plan.manifest.digest,
        names.OBJECTIVE: metric,
        names.THREADS: str(plan.spec.resources.cpus_per_trial),
        names.TEST_ACCURACY: f"{accuracy.value:.4f}",
        names.TEST_ACCURACY_INTERVAL: f"{accuracy.low:.4f} to {accuracy.high:.4f}",
        **({} if model.num_folds is None else {names.FOLDS: str(model.num_folds)}),
        **({} if verdict is None or model.gain is not None else {names.COMPARED: verdict.sentence}),
        **({} if model.gain is None else {names.COMPARED: f"the selection has {model.gain}"}),
        **({} if model.lineage is None else {names.LINEAGE: model.lineage}),
        **(
            {}
            if model.value is None
            else {
                names.validation_tag(metric): f"{model.value:.4f}",
                names.OBJECTIVE_VALUE: repr(model.value),
            }
        ),
    }
