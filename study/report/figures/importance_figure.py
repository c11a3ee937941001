"""How much each dimension decides over the objective."""

from study.analysis.importance import Importances
from study.report.figures.palette import BLUE, MIN_HEIGHT, ORANGE, ROW, framed
from study.report.figures.picture import Picture, Shown, Table, words
from study.results.study_result import StudyResult

MOST_ROWS = 20


def importance_picture(result: StudyResult, importances: Importances) -> Shown:
    """The share of each dimension, the largest first; those that exist in some trials only stand out."""
    if not importances.rows:
        return importances.remark or "The importance of dimensions cannot be told."
    rows = importances.rows[:MOST_ROWS]
    figure = framed(
        height=max(MIN_HEIGHT, 90 + ROW * len(rows)),
        x=f"share of the differences in {words(result.spec.objective.metric)}",
        y="",
        bargap=0.3,
    )
    for name, color, pattern, some in (
        ("exists in all trials", BLUE, "", False),
        ("exists in some trials only", ORANGE, "/", True),
    ):
        shown = [row for row in rows if (row.exists_when is not None) == some]
        if shown:
            figure.add_bar(
                x=[row.share for row in shown],
                y=[words(row.dimension) for row in shown],
                orientation="h",
                name=name,
                marker={"color": color, "pattern": {"shape": pattern}},
                text=[f"{row.share:.0%}" for row in shown],
                textposition="outside",
                cliponaxis=False,
                hoverinfo="text",
                hovertext=[
                    f"{words(row.dimension)}: {row.share:.1%}, {row.num_trials} trials" for row in shown
                ],
            )
    figure.update_xaxes(tickformat=".0%", range=[0, max(row.share for row in rows) * 1.18 or 1])
    figure.update_yaxes(
        type="category", categoryorder="array", categoryarray=[words(row.dimension) for row in rows][::-1]
    )
    first = rows[0]
    return Picture(
        figure=figure,
        title="Importance of dimensions",
        caption=(
            f"{first.dimension.replace('_', ' ').capitalize()} explains the largest part of the differences "
            f"between trials: {first.share:.0%}"
            + ("." if first.is_beyond_chance else ", which may be luck: it is not shown to matter.")
            + (f" {importances.remark}" if importances.remark else "")
        ),
        method=importances.method,
        table=Table(
            caption="Importance of dimensions",
            columns=("dimension", "share", "trials", "exists when"),
            rows=tuple(
                (row.dimension, f"{row.share:.1%}", str(row.num_trials), row.exists_when or "always")
                for row in importances.rows
            ),
        ),
    )
