"""A study in plain sentences, for somebody who knows neither the code nor the field's short forms."""

import numpy as np

from study.analysis.effects import Gap, Marginals
from study.analysis.health import health_cards, too_few, trials_missing
from study.analysis.health_card import HealthCard
from study.analysis.importance import Importance, Importances, importances
from study.analysis.words import listed, words
from study.evaluation.final_result import FinalResult
from study.results.more_trials import more_trials_sentence
from study.results.study_result import StudyResult
from study.study_file.objective import Objective

METRIC_WORDS = {
    "accuracy": "the share of images that are recognised",
    "balanced_accuracy": "the share of images that are recognised, each class counted equally",
    "macro_f1": "a score from 0 to 1 in which each class counts equally (macro F1)",
    "log_loss": "a penalty for wrong and unsure answers (log loss; less is better)",
    "kappa": "the agreement with the labels beyond chance (kappa; 1 is best)",
    "worst_class_recall": "the share of images that are recognised in the class where it is lowest",
}
MEASURE_WORDS = {
    "parameters_million": "a small network (few parameters)",
    "latency_ms": "a fast network (few milliseconds for each image)",
    "train_seconds": "a short training",
}
MEANINGS = {
    "architecture": "the kind of network",
    "augmentation_strength": "how much images are changed while it learns",
    "batch_norm": "which statistics of the images stay fixed",
    "batch_size": "images per step of learning",
    "class_weight_power": "how much rare classes count more",
    "dropout": "the share of signals left out while it learns",
    "fine_tuning": "which parts learn when",
    "flip_probability": "how often images are mirrored",
    "freeze_depth": "how much of the ready-made network stays as it is",
    "head_multiplier": "how much faster the last layer learns",
    "image_size": "the size of the images that the network sees",
    "label_smoothing": "how much doubt about the labels is taught",
    "learning_rate": "how fast the network learns",
    "momentum": "how much earlier steps of learning carry on",
    "optimizer": "the rule by which the network learns",
    "probe_fraction": "how long the last layer learns alone",
    "probe_multiplier": "how fast the last layer learns while it learns alone",
    "schedule": "how the speed of learning falls",
    "warmup_fraction": "how slowly learning begins",
    "weight_decay": "how strongly large weights are held back",
    "weights": "what the network knew before",
}
"""Dimensions in words that need no knowledge of the field."""
NAMED_FIRST = ("architecture", "freeze_depth", "learning_rate", "augmentation_strength", "optimizer")
MAX_NAMED = 3
"""Dimensions that are named as those that mattered."""


def summary(
    result: StudyResult,
    *,
    importance: Importances | None = None,
    cards: tuple[HealthCard, ...] | None = None,
    marginals: Marginals | None = None,
) -> tuple[str, ...]:
    """What was asked, what was tried, what came out, what mattered, what it cost, and what to do next: a
    sentence or two each, plain text.

    The others are those of this result, where they are known already.
    """
    marginals = Marginals(result) if marginals is None else marginals
    importance = importances(result, marginals) if importance is None else importance
    cards = health_cards(result, marginals) if cards is None else cards
    return (
        _asked(result),
        _tried(result, marginals),
        *_came_out(result),
        *_mattered(result, importance, marginals),
        *_cost(result),
        *_more_trials(result),
        *_warned(cards),
        _next(result, cards, marginals),
    )


def explained(dimension: str) -> str:
    """The same with what it is, where few would know."""
    meaning = MEANINGS.get(dimension)
    return words(dimension) + ("" if meaning is None else f" ({meaning})")


def plain_number(value: float | str) -> str:
    """Two digits without an exponent, such as 0.000053; a text as it is."""
    if isinstance(value, str):
        return words(value)
    return np.format_float_positional(float(f"{value:.2g}"), trim="-")


def _asked(result: StudyResult) -> str:
    spec = result.spec
    if spec.about is not None:
        about = " ".join(spec.about.split())
        asked = f"The study asked: {about}{'' if about.endswith(('.', '?', '!')) else '.'} It looked"
    else:
        asked = "The study looked"
    metric = METRIC_WORDS[spec.objective.metric]
    others = [_second(objective.metric) for objective in spec.objectives[1:]]
    also = f". A good result was also to have {listed(others)}" if others else ""
    return (
        f"{asked} for the way of training a model on the images of {spec.dataset} that gives the best "
        f"result; a result is measured by {metric}{also}."
    )


def _second(metric: str) -> str:
    """A further objective, as something that a good result has."""
    return MEASURE_WORDS.get(metric) or f"a good {words(metric)}"


def _tried(result: StudyResult, marginals: Marginals) -> str:
    states = [trial.state for trial in result.trials]
    num_ended = sum(trial.has_ended for trial in result.trials)
    if not num_ended:
        return "No configuration has come to its end yet."
    parts = [_counted(states.count("complete"), "was", "were") + " trained to the end"]
    early = states.count("pruned") + states.count("killed")
    if early:
        parts.append(_counted(early, "was", "were") + " stopped early as less promising")
    broken = states.count("failed") + states.count("infeasible")
    if broken:
        parts.append(f"{broken} failed")
    going_on = "" if result.has_ended else "; the study has not ended, so all of this may still change"
    tried = _counted(num_ended, "configuration was", "configurations were")
    return f"{tried} tried{_varied(marginals)}: {listed(parts)}{going_on}."


def _varied(marginals: Marginals) -> str:
    names = [dimension.name for dimension in marginals.dimensions]
    if not names:
        return ""
    ordered = sorted(names, key=lambda name: NAMED_FIRST.index(name) if name in NAMED_FIRST else 99)
    named = [explained(name) for name in ordered[:MAX_NAMED]]
    if len(names) <= MAX_NAMED:
        return f", which differed in {listed(named)}"
    return f", which differed in {len(names)} settings (dimensions), among them {listed(named)}"


def _came_out(result: StudyResult) -> list[str]:
    best, final = result.best, result.final
    if best is None or best.value is None:
        return ["No configuration has come to a result."] if result.trials else []
    metric = words(result.spec.objective.metric)
    if final is None:
        return [
            f"The best configuration so far has {metric} {best.value:.3f} on the images that are kept apart "
            "to compare configurations. That number flatters, as it is the best of many."
        ]
    return [
        _tested(final, metric, result.spec.objective.metric),
        *_confirmed(final, metric, result.spec.objective),
    ]


def _tested(final: FinalResult, metric: str, key: str) -> str:
    shown = final.test.metrics.get(key) or final.test.metrics["accuracy"]
    name = metric if key in final.test.metrics else "accuracy"
    share = final.test.metrics.get("accuracy")
    recognised = (
        f"It recognises {share.value:.1%} of {final.test.num_images:,} images that no training and no choice "
        f"had seen; with 95 % certainty the true share lies between {share.low:.1%} and {share.high:.1%}."
        if share is not None
        else ""
    )
    text = f"The study's model is {final.model} version {final.version}. {recognised}"
    if name != "accuracy":
        text += (
            f" Its {name} there is {shown.value:.3f} (with 95 % certainty between {shown.low:.3f} and "
            f"{shown.high:.3f})."
        )
    return text


def _confirmed(final: FinalResult, metric: str, objective: Objective) -> list[str]:
    chosen = next((row for row in final.confirmed if row.is_chosen), None)
    if chosen is None or chosen.mean is None:
        return []
    num = sum(value is not None for value in chosen.values)
    half = chosen.half_width
    interval = (
        ""
        if half is None
        else f" (with 95 % certainty between {chosen.mean - half:.3f} and {chosen.mean + half:.3f})"
    )
    is_lower = objective.merit(chosen.search_value) > objective.merit(chosen.mean)
    luck = ", which may be luck, as it was among the best of many" if is_lower else ""
    sentences = [
        f"Trained again {num} time{'s' if num > 1 else ''} from other random starts, the chosen "
        f"configuration has {metric} {chosen.mean:.3f} on average{interval}. The search had seen "
        f"{chosen.search_value:.3f}{luck}."
    ]
    best = max((row.search_value for row in final.confirmed), key=objective.merit)
    if objective.merit(best) > objective.merit(chosen.search_value):
        sentences.append(
            f"Another configuration was better in the search ({best:.3f}), but trained again it was not "
            "shown to be better."
        )
    return [" ".join(sentences)]


def _mattered(result: StudyResult, importance: Importances, marginals: Marginals) -> list[str]:
    if importance.remark is not None:
        return [f"What mattered cannot be told. {importance.remark}"]
    shown = [row for row in importance.rows if row.is_beyond_chance]
    if not shown and too_few(marginals):
        num = len(marginals.trials)
        return [f"Which setting mattered cannot be told: {num} configurations are too few for that."]
    if not shown:
        return [
            "No setting is shown to matter: the differences between configurations are not larger than "
            "chance makes them."
        ]
    metric, maximise = words(result.spec.objective.metric), result.spec.objective.maximise
    sentences = []
    for row in shown[:MAX_NAMED]:
        gap = marginals.gap(row.dimension, maximise=maximise)
        if gap is not None:
            sentences.append(_gap_text(row, gap, metric))
    if shown[MAX_NAMED:]:
        sentences.append(f"So did {listed([explained(row.dimension) for row in shown[MAX_NAMED:]])}.")
    num_others = len(marginals.dimensions) - len(shown)
    if num_others:
        sentences.append(
            f"{_counted(num_others, 'other setting is', 'other settings are')} not shown to matter: "
            f"{'its effect' if num_others == 1 else 'their effects'} cannot be told from chance."
        )
    return sentences


def _gap_text(row: Importance, gap: Gap, metric: str) -> str:
    """Where a setting is best and by how much worse it gets; no more than the interval carries."""
    where = "" if row.exists_when is None else f", where {words(row.exists_when)},"
    name = explained(row.dimension)
    return (
        f"{name[0].upper()}{name[1:]}{where} mattered: of the values tried, {plain_number(gap.best)} is best "
        f"on average; {plain_number(gap.worst)} is worst, with {metric} worse by {gap.loss:.3f} (with 95 % "
        f"certainty between {gap.low:.3f} and {gap.high:.3f}), all else being equal."
    )


def _cost(result: StudyResult) -> list[str]:
    cost = result.cost
    if not cost.seconds:
        return []
    text = f"It took {duration(cost.seconds)} of training and checking, all trainings added up"
    if cost.gpu_seconds:
        text += f", {duration(cost.gpu_seconds)} of it on graphics processors"
    if cost.saved_seconds:
        text += f"; stopping early saved about {duration(cost.saved_seconds)}"
    if cost.wasted_seconds:
        text += f"; {duration(cost.wasted_seconds)} went into configurations that failed"
    return [f"{text}."]


def _more_trials(result: StudyResult) -> list[str]:
    sentence = more_trials_sentence(result.spec, result.trials)
    return [] if sentence is None else [sentence]


def _warned(cards: tuple[HealthCard, ...]) -> list[str]:
    titles = [card.title for card in cards if card.is_warning]
    if not titles:
        return []
    named = "; ".join(title[0].lower() + title[1:] for title in titles)
    return [f"Before you rely on it, read the warnings: {named}."]


def _next(result: StudyResult, cards: tuple[HealthCard, ...], marginals: Marginals) -> str:
    name = result.spec.study
    if not result.has_ended:
        return f"Next: wait for its end, or continue it if it was interrupted (study resume {name})."
    if result.final is None:
        return f"Next: look at all numbers (study show {name} --all)."
    promote = f"put the model to use (study promote {result.final.model} {result.final.version})"
    compared = ", which first compares it with the one in use, if there is one"
    kinds = {card.kind for card in cards if card.is_warning}
    if "validation_test_gap" in kinds or "label_noise" in kinds:
        return f"Next: look into the warnings, then {promote}{compared}."
    if "too_few_trials" in kinds:
        more = f"study extend {name} --trials {trials_missing(marginals)}"
        return f"Next: let it try more ({more}), or {promote}."
    if "optimum_at_bound" in kinds:
        return f"Next: {promote}; a study with a wider range may find a better one."
    return f"Next: {promote}{compared}."


def duration(seconds: float) -> str:
    """Such as `42 seconds`, `12 minutes` or `3.5 hours`."""
    if seconds < 120:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _counted(num: int, one: str, many: str) -> str:
    return f"{num} {one if num == 1 else many}"
