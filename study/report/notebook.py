"""A study in a notebook: its figures by name, and the few lines that it shows of itself."""

from collections.abc import Callable, Mapping

import plotly.graph_objects as go

from study.analysis.effects import Marginals
from study.analysis.importance import importances
from study.analysis.summary import summary
from study.errors import SpecError, StudyError
from study.report.figures.confusion_figure import confusion_picture
from study.report.figures.curves_figure import curves_picture
from study.report.figures.effect_figure import effect_picture
from study.report.figures.history_figure import history_picture
from study.report.figures.importance_figure import importance_picture
from study.report.figures.parallel_figure import parallel_picture
from study.report.figures.pareto_figure import pareto_picture
from study.report.figures.picture import Shown, varied
from study.report.figures.recall_figure import recall_picture
from study.report.figures.reliability_figure import reliability_picture
from study.report.figures.timeline_figure import timeline_picture
from study.report.judgement import Judgement, classes_of, judgement_of
from study.report.markup import paragraph, rows_html, text
from study.report.sections import best_trials
from study.results.study_result import StudyResult
from trainables.printable import quoted

NOT_KEPT = "What the winner says of each image was not kept, so its judgement is not shown."


def figure(picture: str, result: StudyResult, *options: str | None) -> go.Figure:
    """The figure that `study.results.pictures` asks for. Raises StudyError where there is nothing to draw."""
    shown = _effect(result, *options) if picture == "effect" else _PICTURES[picture](result)
    if isinstance(shown, str):
        raise StudyError(shown)
    return shown.figure


def html_of(result: StudyResult) -> str:
    """The summary and the best trials, as a notebook shows a value."""
    heading = f"<h3>{text(result.spec.study)} on {text(result.spec.dataset)}: {text(result.state)}</h3>"
    trials = rows_html(best_trials(result)) if result.leaderboard else ""
    return heading + "".join(map(paragraph, summary(result))) + trials


def _effect(result: StudyResult, dimension: str | None = None, by: str | None = None) -> Shown:
    known = varied(result.leaderboard)
    for name in (dimension, by):
        if name is not None and name not in known:
            raise SpecError(
                f"no trials differ in {quoted(name)}; they differ in {', '.join(known) or 'nothing'}"
            )
    assert dimension is not None, "plot_effect requires it"
    return effect_picture(result, dimension, Marginals(result), by=by)


def _importance(result: StudyResult) -> Shown:
    return importance_picture(result, importances(result))


def _parallel(result: StudyResult) -> Shown:
    known = [row.dimension for row in importances(result).rows]
    return parallel_picture(result, list(dict.fromkeys([*known, *varied(result.leaderboard)])))


def _of_judgement(draw: Callable[[Judgement], Shown]) -> Callable[[StudyResult], Shown]:
    def drawn(result: StudyResult) -> Shown:
        classes = classes_of(result)
        found = None if classes is None else judgement_of(result, classes)
        return NOT_KEPT if found is None else draw(found)

    return drawn


_PICTURES: Mapping[str, Callable[[StudyResult], Shown]] = {
    "history": history_picture,
    "importance": _importance,
    "parallel": _parallel,
    "pareto": pareto_picture,
    "curves": curves_picture,
    "confusion": _of_judgement(lambda one: confusion_picture(one.confusion_KK, one.classes, one.whose)),
    "recall": _of_judgement(lambda one: recall_picture(one.recalls, one.whose)),
    "reliability": _of_judgement(
        lambda one: reliability_picture(one.num_B, one.num_right_B, one.confidence_B, one.whose)
    ),
    "timeline": timeline_picture,
}
