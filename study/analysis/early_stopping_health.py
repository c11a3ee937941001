"""Whether the rule of early stopping would have lost the winner, had chance ordered the trials otherwise."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from study.analysis.health_card import HealthCard
from study.results.study_result import StudyResult
from study.search.record.trial import Trial
from study.stopping.early_stopping import EarlyStopping, build_rules
from study.stopping.groups import group_at
from study.stopping.simulation import Curve, simulate
from study.study_file.objective import Objective

MIN_CURVES = 8
MAX_CURVES = 60
"""Whole curves that are replayed."""
NUM_ORDERS = 20
"""Orders in which they are replayed, drawn from a fixed seed."""
UNSAFE, SAFE = 0.25, 0.1
"""Share of the orders in which the winner is lost, above which a rule is unsafe, and up to which it is safe.
"""
LATER_RUNGS = (0.3, 0.4, 0.5, 0.6, 0.7)


@dataclass(frozen=True, kw_only=True)
class ReplayedOrders:
    """One rule over the whole curves, in some orders."""

    lost_share: float
    """Of the orders: those in which the best trial was stopped."""
    mean_loss: float
    """By how much the winner was worse then; 0 where it was never lost."""
    saved_share: float
    """Of the epochs."""


def early_stopping_card(result: StudyResult) -> HealthCard:
    """By the study's own rule; a study without one cannot have lost anything."""
    settings = result.spec.early_stopping
    if settings.rule == "none":
        return _card("No trial was stopped early, so no winner was lost.", "Nothing was stopped early")
    if settings.rule == "pbt":
        return _card(
            "Trials of a population go on from each other's weights, so no curve can be replayed.",
            "Early stopping cannot be judged",
        )
    curves = _curves(result)
    if len(curves) < MIN_CURVES:
        return _card(
            f"Only {len(curves)} trials were trained to the end; to judge the rule takes {MIN_CURVES}.",
            "Early stopping cannot be judged",
        )
    found = replay_orders(curves, settings, result.spec.objective)
    text = (
        f"The {len(curves)} trials that were trained to the end were played again, in {NUM_ORDERS} other "
        f"orders, under the study's rule ({settings.rule}, which looks first after {settings.first_rung:.0%} "
        f"of the epochs). It would have stopped the best of them in {found.lost_share:.0%} of the orders"
    )
    if found.lost_share <= UNSAFE:
        return _card(f"{text}.", "Early stopping looks safe")
    metric = result.spec.objective.metric
    return HealthCard(
        kind="early_stopping_unsafe",
        is_warning=True,
        title="Early stopping may lose the best",
        sentence=(
            f"{text}; the winner's {metric.replace('_', ' ')} is then {found.mean_loss:.4f} worse. Trials "
            "that were stopped may have been better than they looked."
        ),
        way_out=_way_out(result, curves),
    )


def _card(sentence: str, title: str) -> HealthCard:
    return HealthCard(
        kind="early_stopping_unsafe", is_warning=False, title=title, sentence=sentence, way_out=None
    )


def _curves(result: StudyResult) -> list[Curve]:
    """Those of complete trials, the best among them; where there are very many, a part drawn from a seed."""
    objective, num_epochs = result.spec.objective, result.spec.budget.epochs
    whole = [
        trial
        for trial in result.trials
        if trial.state == "complete"
        and len(trial.values) > 1
        and trial.continues is None
        and all(map(math.isfinite, trial.values.values()))
    ]
    if len(whole) > MAX_CURVES:
        best = max(whole, key=lambda trial: objective.merit(trial.value or 0.0))
        others = [trial for trial in whole if trial is not best]
        whole = [best, *random.Random(0).sample(others, MAX_CURVES - 1)]
    return [_curve(trial, num_epochs) for trial in whole]


def _curve(trial: Trial, num_epochs: int) -> Curve:
    groups = {epoch: group_at(trial.point, epoch, num_epochs) for epoch in trial.values}
    return Curve(
        trial=trial.number,
        values=trial.values,
        num_epochs=num_epochs,
        group_at=groups.__getitem__,
        epoch_seconds=trial.seconds / len(trial.values) or 1.0,
    )


def replay_orders(curves: Sequence[Curve], settings: EarlyStopping, objective: Objective) -> ReplayedOrders:
    """The rule over curves that are whole, one trial at a time."""
    merits = {curve.trial: max(map(objective.merit, curve.values.values())) for curve in curves}
    best = max(merits, key=lambda trial: merits[trial])
    losses: list[float] = []
    num_spent = 0
    for seed in range(NUM_ORDERS):
        order = random.Random(seed).sample(curves, len(curves))
        endings = simulate(order, build_rules(settings, objective.maximise), 1)
        num_spent += sum(ending.epoch for ending in endings.values())
        if endings[best].decision.action != "continue":
            left = [
                merits[trial] for trial, ending in endings.items() if ending.decision.action == "continue"
            ]
            losses.append(merits[best] - max(left, default=min(merits.values())))
    num_epochs = sum(max(curve.values) for curve in curves) * NUM_ORDERS
    return ReplayedOrders(
        lost_share=len(losses) / NUM_ORDERS,
        mean_loss=sum(losses) / len(losses) if losses else 0.0,
        saved_share=1 - num_spent / num_epochs,
    )


def _way_out(result: StudyResult, curves: Sequence[Curve]) -> str:
    """The first later rung that is safe; no early stopping where there is none."""
    settings, study = result.spec.early_stopping, result.spec.study
    for first_rung in LATER_RUNGS:
        if first_rung <= settings.first_rung:
            continue
        later = settings.model_copy(update={"first_rung": first_rung, "brackets": None})
        found = replay_orders(curves, later, result.spec.objective)
        if found.lost_share <= SAFE:
            return (
                "Let the rule look later (in the study file, early_stopping: "
                f"{{rule: {settings.rule}, first_rung: {first_rung:g}}}): that stops the best in "
                f"{found.lost_share:.0%} of the orders, and still saves {found.saved_share:.0%} of these "
                f"epochs. What it would have done to this study: study replay {study} "
                f"--early-stopping {settings.rule} --first-rung {first_rung:g}"
            )
    return "No first rung up to 70% is safe with these curves: early_stopping: none, with fewer trials."
