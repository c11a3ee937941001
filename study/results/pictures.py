"""The pictures of a study for a notebook.

They are drawn by `study.report`, a layer above this one that nothing here knows when it is imported: a
picture is found by its name once somebody asks for it, as `study.driver.own_process` finds the work of its
processes. So a result is read without Plotly, and a notebook has `result.plot_importance()` all the same.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_ABOVE = "study.report.notebook"


class Pictures:
    """What a `StudyResult` shows of itself.

    Each figure is Plotly's, to be changed or written as a person likes. Raises StudyError, with the reason,
    where the study has nothing to draw.
    """

    def plot_history(self) -> "Figure":
        """The value of each trial, and the best so far."""
        return _drawn("history", self)

    def plot_importance(self) -> "Figure":
        """How much each dimension decides over the objective."""
        return _drawn("importance", self)

    def plot_effect(self, dimension: str, by: str | None = None) -> "Figure":
        """The marginal effect of a dimension with its interval; a curve for each value of `by`."""
        return _drawn("effect", self, dimension, by)

    def plot_parallel(self) -> "Figure":
        """Each trial as a line over the dimensions, the most important first."""
        return _drawn("parallel", self)

    def plot_pareto(self) -> "Figure":
        """The Pareto front of several objectives."""
        return _drawn("pareto", self)

    def plot_curves(self) -> "Figure":
        """The objective over epochs, trials that were stopped early faded."""
        return _drawn("curves", self)

    def plot_confusion(self) -> "Figure":
        """What the winner takes each class for."""
        return _drawn("confusion", self)

    def plot_recall(self) -> "Figure":
        """The share of each class that the winner recognises, with its interval."""
        return _drawn("recall", self)

    def plot_reliability(self) -> "Figure":
        """How far the winner's probabilities can be taken at their word."""
        return _drawn("reliability", self)

    def plot_timeline(self) -> "Figure":
        """Which trial ran where, and when."""
        return _drawn("timeline", self)

    def _repr_html_(self) -> str:
        return str(import_module(_ABOVE).html_of(self))


def _drawn(picture: str, result: Pictures, *options: Any) -> "Figure":
    figure: Figure = import_module(_ABOVE).figure(picture, result, *options)
    return figure
