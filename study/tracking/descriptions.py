"""Descriptions of runs in MLflow, in Markdown: what each is, and which commands go on from it."""

import re
from collections.abc import Mapping, Sequence

from search_spaces.dimensions import Choice
from study import names
from study.planning.plan import Plan
from study.planning.study_context import StudyContext
from study.study_file.budget import Budget
from study.study_file.study_spec import StudySpec

_BEGUN = "### As it began\n\n"
MOST_NAMED = 12
"""Dimensions that a description names."""


def study_description(plan: Plan) -> str:
    """What a study searches, on which data, with which budget, and how a person goes on with it.

    Written when the study begins: what people change afterwards stands in the run's metrics, tags and edits.
    """
    spec, manifest = plan.spec, plan.manifest
    sizes = (
        f"{manifest.splits['train'].num_images:,} training images of {manifest.sizes}, "
        f"{manifest.num_classes} classes"
    )
    parts = [
        *([spec.about.strip()] if spec.about else []),
        f"A study on the dataset `{manifest.name}` ({sizes}). {_search(plan)}",
        _budget(spec),
        "\n".join(f"- `{command}`: {what}" for command, what in _commands(spec.study).items()),
    ]
    return "\n\n".join(parts)


def ended_description(before: str, summary: Sequence[str], links: Mapping[str, str]) -> str:
    """The links and the summary of an ended study, and below them the description of its beginning; those of
    an earlier end are replaced. The links come first: MLflow's pages fold all but the first lines.
    """
    _, mark, begun = before.rpartition(_BEGUN)
    told = "\n\n".join(map(_plain, summary))
    listed = " · ".join(f"[{_plain(text)}]({address})" for text, address in links.items())
    return f"{listed}\n\n{told}\n\n{_BEGUN}{begun if mark else before}"


def _plain(text: str) -> str:
    """A text in which Markdown finds nothing to format, nor HTML."""
    return re.sub(r"([\\`*_{}\[\]<>#|~])", r"\\\1", " ".join(text.split()))


def trial_description(context: StudyContext, number: int) -> str:
    """What one training of a study is."""
    if context.confirmations:
        trial, seed = context.confirmations[number]
        return (
            f"The configuration of {names.trial_name(trial)} of the study `{context.study}`, trained again "
            f"with further seed {seed}. The mean over the further seeds decides which configuration is "
            "registered."
        )
    return (
        f"One configuration of the study `{context.study}`: the parameters have its values, and "
        f"`{names.best_metric(context.metric)}` its best value up to each epoch, by which trials are ranked. "
        f"All trials: `study show {context.study}`"
    )


def budget_sentence(budget: Budget) -> str:
    """What a study may spend: `40 trials of at most 30 epochs, 6 hours`."""
    limits = {
        "hours": budget.hours,
        "GPU-hours": budget.gpu_hours,
        "epochs in all": budget.total_epochs,
    }
    return ", ".join(
        (
            f"{budget.trials:,} trials of at most {budget.epochs:,} epochs",
            *(f"{value:,g} {unit}" for unit, value in limits.items() if value is not None),
        )
    )


def _search(plan: Plan) -> str:
    spec = plan.spec
    if spec.reproduces is not None:
        return f"It reproduces the recipe `{spec.reproduces}`."
    varied = [
        one.name for one in plan.space.dimensions if not (isinstance(one, Choice) and len(one.options) == 1)
    ]
    varied = list(dict.fromkeys(varied))
    named = ", ".join(f"`{name}`" for name in varied[:MOST_NAMED])
    more = f" and {len(varied) - MOST_NAMED} more" if len(varied) > MOST_NAMED else ""
    best = " and ".join(f"`{objective.metric}`" for objective in spec.objectives)
    space = spec.search_space.rpartition("/")[2]
    return (
        f"It searches {named or 'nothing'}{more} in the space `{space}` for the best {best} on the "
        "validation split."
    )


def _budget(spec: StudySpec) -> str:
    confirm = spec.confirm
    confirmed = (
        ""
        if confirm is None
        else f" The best {confirm.top} are confirmed with {confirm.seeds} further seeds each."
    )
    return (
        f"Budget in its study file: {budget_sentence(spec.budget)}; sampler {spec.sampler.rule}, early "
        f"stopping {spec.early_stopping.rule}.{confirmed} The tag `{names.BUDGET}` has the budget with all "
        "that `study extend` added."
    )


def _commands(study: str) -> dict[str, str]:
    return {
        f"study show {study}": "its trials, its test result and its model",
        f"study resume {study}": "go on after an interruption",
        f"study extend {study} --trials 20": "try more configurations",
    }
