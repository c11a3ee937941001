"""A study in a notebook, and what its report says of a study that lacks something."""

from pathlib import Path

import pytest
from made_up_study import NAME, make_study
from plotly.graph_objects import Figure

from study.errors import SpecError, StudyError
from study.home import Home
from study.report.report_page import report_html
from study.results.study_result import StudyResult


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> StudyResult:
    """One objective, measured; its dataset is gone."""
    return make_study(Home(tmp_path_factory.mktemp("home")))


@pytest.mark.parametrize(
    "picture",
    ["history", "importance", "parallel", "curves", "confusion", "recall", "reliability", "timeline"],
)
def test_a_result_draws_itself(result: StudyResult, picture: str) -> None:
    figure = getattr(result, f"plot_{picture}")()
    assert isinstance(figure, Figure)
    assert len(figure.data) > 0


def test_an_effect_has_a_curve_for_each_group(result: StudyResult) -> None:
    figure = result.plot_effect("freeze_depth", by="architecture")
    named = {trace.name for trace in figure.data if trace.showlegend is not False}
    assert {"resnet50", "mobilenet_v3_small"} <= named


def test_what_cannot_be_drawn_says_why(result: StudyResult) -> None:
    with pytest.raises(StudyError, match="one objective, so there is no Pareto front"):
        result.plot_pareto()
    with pytest.raises(SpecError, match="no trials differ in 'colour'; they differ in architecture,"):
        result.plot_effect("colour")


def test_a_notebook_shows_the_summary_and_the_best_trials(result: StudyResult) -> None:
    html = result._repr_html_()
    assert "made-up on digits: finished" in html
    assert "trial-0012" in html
    assert "<script" not in html


def test_what_a_study_lacks_is_said_in_a_sentence(result: StudyResult, tmp_path: Path) -> None:
    gone = report_html(result, Home(result.folder.parent.parent))
    assert "The dataset is not on this machine any more, so its images cannot be shown." in gone
    assert 'id="pareto"' not in gone
    few = make_study(Home(tmp_path), num_trials=2, ends=False)
    page = report_html(few, Home(tmp_path))
    assert "Parallel coordinates need three trials" in page
    assert "What the winner says of each image was not kept" in page
    assert NAME in page


def test_a_study_without_a_trial_has_a_report(tmp_path: Path) -> None:
    page = report_html(make_study(Home(tmp_path), num_trials=0, ends=False), Home(tmp_path))
    assert "No trial has reported a value." in page
    assert 'class="plot"' not in page
