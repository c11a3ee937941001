"""The parts of the report in words and tables: summary, health, leaderboard, cost, and how to do it again."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from platform import python_version

from study import names
from study.analysis.health import HealthCard
from study.evaluation.final_result import FinalResult
from study.number_text import number_text
from study.recipes.trial_seed import trial_seed
from study.report.figures.picture import Table, value_text, varied
from study.report.figures.trial_states import LOOKS
from study.report.kept_inspection import Mistake
from study.report.markup import code, folded, paragraph, rows_html, sentence, text
from study.results.cost import Cost
from study.results.price import Price
from study.results.study_result import StudyResult
from study.search.record.trial import Trial
from study.yaml_file import yaml_text

MOST_ROWS = 10
PACKAGES = ("study", "torch", "torchvision", "timm", "ray", "optuna", "mlflow", "numpy")


@dataclass(frozen=True, kw_only=True)
class Section:
    """One part of the page."""

    name: str
    """Its own on the page, for links."""
    title: str
    html: str


def summary_section(sentences: Sequence[str]) -> Section:
    """What a person who reads nothing else should know."""
    body = "".join(map(paragraph, sentences))
    return Section(name="summary", title="Summary", html=f'<div class="summary">{body}</div>')


def health_section(cards: Sequence[HealthCard]) -> Section:
    """One card of each check."""
    body = "".join(map(_card, cards)) or "<li>No check applies to this study.</li>"
    return Section(name="health", title="Can the numbers be trusted?", html=f'<ul class="cards">{body}</ul>')


def leaderboard_section(result: StudyResult) -> Section:
    """The best trials, all of them behind a click, the confirmed ones, and those that failed."""
    if not result.leaderboard:
        return Section(
            name="leaderboard", title="Leaderboard", html=paragraph("No trial has reported a value.")
        )
    table = _leaderboard(result)
    html = rows_html(best_trials(result))
    if len(table.rows) > MOST_ROWS:
        html += folded(f"All {len(table.rows)} trials", rows_html(table))
    failed = [trial for trial in result.trials if trial.state in ("failed", "infeasible")]
    if failed:
        rows = tuple((names.trial_name(one.number), one.state, one.reason or "") for one in failed)
        lost = Table(caption="Trials without a result", columns=("trial", "state", "why"), rows=rows)
        html += folded(f"{len(failed)} trials failed", rows_html(lost))
    if result.final is not None and result.final.confirmed:
        html += "<h3>Trained again with further seeds</h3>" + rows_html(_confirmed(result, result.final))
    return Section(name="leaderboard", title="Leaderboard", html=html)


def best_trials(result: StudyResult) -> Table:
    """The first rows of the leaderboard."""
    table = _leaderboard(result)
    caption = f"The best {min(MOST_ROWS, len(table.rows))} of {len(table.rows)} trials"
    return Table(caption=caption, columns=table.columns, rows=table.rows[:MOST_ROWS])


def tested_html(final: FinalResult) -> str:
    """The registered candidates on the sealed test split."""
    metrics = list(final.test.metrics)
    remarks = "".join(paragraph(sentence(remark)) for remark in final.test.remarks)
    table = Table(
        caption=(
            f"On {final.test.num_images:,} images of the sealed test split, with 95 % intervals; opened "
            f"{final.test.num_openings} time{'' if final.test.num_openings == 1 else 's'} by then"
        ),
        columns=("metric", *(f"{one.model} version {one.version} ({one.kind})" for one in final.candidates)),
        rows=tuple(
            (
                name.replace("_", " "),
                *(
                    ""
                    if (found := one.test.metrics.get(name)) is None
                    else f"{found.value:.4f} ({found.low:.4f} to {found.high:.4f})"
                    for one in final.candidates
                ),
            )
            for name in metrics
        )
        + _latencies(final),
    )
    return remarks + rows_html(table)


def _latencies(final: FinalResult) -> tuple[tuple[str, ...], ...]:
    known = [one.latency_ms for one in final.candidates if one.latency_ms is not None]
    if len(known) < len(final.candidates):
        return ()
    return (("time for one image", *(f"{number_text(one)} ms" for one in known)),)


def mistakes_html(mistakes: Sequence[Mistake]) -> str:
    """The gallery; each image has its words below it, and in place of it where it is not seen."""
    return f'<ul class="gallery">{"".join(map(_mistake, mistakes))}</ul>'


def cost_html(cost: Cost) -> str:
    """What the study cost, and what each training did; with a price where the environment says one.

    Raises SpecError where it says no price that can be read.
    """
    sums = (
        *_priced(cost),
        ("training and validating", duration(cost.seconds)),
        ("of that on GPUs, times their number", duration(cost.gpu_seconds) if cost.gpu_seconds else "none"),
        ("saved by early stopping, about", duration(cost.saved_seconds)),
        ("in trainings that failed", duration(cost.wasted_seconds)),
        ("trainings", str(len(cost.items))),
    )
    each = Table(
        caption="Each training",
        columns=("training", "state", "time", "saved"),
        rows=tuple(
            (
                one.name,
                one.state,
                duration(one.seconds),
                duration(one.saved_seconds) if one.saved_seconds else "",
            )
            for one in cost.items
        ),
    )
    whole = Table(caption="What the study cost", columns=("what", "how much"), rows=sums)
    return rows_html(whole) + folded("Each training", rows_html(each))


def _priced(cost: Cost) -> list[tuple[str, str]]:
    price = Price.of_environment()
    if not cost.wall_seconds:
        return []
    whole = [("from begin to end of search and confirmation", duration(cost.wall_seconds))]
    return whole if price is None else [(f"price, at {price.rate}", price.text(cost.wall_seconds)), *whole]


def reproduction_html(result: StudyResult) -> str:
    """Commands and files with which the study, or its winner, is made again."""
    spec, name = result.spec, result.spec.study
    html = paragraph(
        f"Save the study file below as {name}.yaml, choose another name for the study in it, and run it. "
        "Its configurations follow from the seed and from what earlier trials measured. Trials that run side "
        "by side may end in another order, and then later configurations may differ."
    )
    html += code(f"study check {name}.yaml\nstudy run {name}.yaml")
    html += folded("The study file", code(yaml_text(spec.to_public_dict())))
    number = (
        result.final.trial
        if result.final is not None
        else None
        if result.best is None
        else result.best.number
    )
    if number is not None:
        trial = result.trials[number]
        html += (
            f"<h3>The winner, {names.trial_name(number)}</h3>"
            + paragraph(
                f"Its configuration, trained for at most {spec.budget.epochs} epochs with the seed "
                f"{trial_seed(spec.seed, number)} in the search."
            )
            + code(yaml_text(dict(trial.point)))
        )
    if result.final is not None:
        chosen = f"{result.final.model}/{result.final.version}"
        html += code(
            f"study predict {chosen} IMAGE\nstudy evaluate {chosen} --from FOLDER\nstudy promote {chosen}"
        )
    rows = [("Python", python_version()), *((one, version(one)) for one in PACKAGES)]
    if result.run_id:
        rows.append(("run in MLflow, with all packages and the commit", result.run_id))
    made = Table(caption="Versions where this report was made", columns=("what", "which"), rows=tuple(rows))
    return html + folded("Versions", rows_html(made))


def duration(seconds: float) -> str:
    """A span of time for a person."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def _card(card: HealthCard) -> str:
    kind = "Warning" if card.is_warning else "Checked"
    way_out = "" if card.way_out is None else f"<p><strong>What to do:</strong> {text(card.way_out)}</p>"
    warning = ' class="warning"' if card.is_warning else ""
    return (
        f'<li{warning}><span class="kind">{kind}</span><h3>{text(card.title)}</h3>'
        f"<p>{text(card.sentence)}</p>{way_out}</li>"
    )


def _leaderboard(result: StudyResult) -> Table:
    objectives = [objective.metric for objective in result.spec.objectives]
    scores = tuple(dict.fromkeys((*objectives, "accuracy")))
    dimensions = varied(result.leaderboard)
    front = {trial.number for trial in result.pareto}
    return Table(
        caption="All trials, the best first",
        columns=("rank", "trial", "state", *scores, "best epoch", "epochs", "time", *dimensions),
        rows=tuple(
            (
                f"{rank}{', on the front' if trial.number in front else ''}",
                names.trial_name(trial.number),
                _state(trial),
                *(value_text(trial.objectives.get(one, trial.metrics.get(one))) for one in scores),
                str(trial.best_epoch or ""),
                f"{trial.last_epoch}/{result.spec.budget.epochs}",
                duration(trial.seconds),
                *(number_text(trial.point.get(one)) for one in dimensions),
            )
            for rank, trial in enumerate(result.leaderboard, start=1)
        ),
    )


def _state(trial: Trial) -> str:
    misses = "" if trial.is_feasible or trial.state == "infeasible" else ", misses a constraint"
    return f"{LOOKS[trial.state].name}{misses}"


def _confirmed(result: StudyResult, final: FinalResult) -> Table:
    metric = result.spec.objective.metric.replace("_", " ")
    return Table(
        caption="The best value of a search flatters its configuration; a mean over further seeds does not",
        columns=("configuration", f"{metric} in the search", "mean of further seeds", "seeds", "verdict"),
        rows=tuple(
            (
                names.trial_name(row.trial),
                value_text(row.search_value),
                value_text(row.mean) + ("" if row.half_width is None else f" ± {row.half_width:.4f}"),
                ", ".join("none" if value is None else value_text(value) for value in row.values),
                row.verdict,
            )
            for row in final.confirmed
        ),
    )


def _mistake(mistake: Mistake) -> str:
    sure = f"{mistake.probability:.0%}"
    words = f"An image of {mistake.true}, taken for {mistake.predicted} ({sure})"
    size = f'width="{mistake.width}" height="{mistake.height}"'
    return (
        f'<li><img src="data:image/png;base64,{mistake.png}" {size} alt="{text(words)}">'
        f"<p><bdi>{text(mistake.true)}</bdi>, taken for <bdi>{text(mistake.predicted)}</bdi> ({sure})</p>"
        "</li>"
    )
