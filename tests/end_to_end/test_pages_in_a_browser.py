"""MLflow's pages on a study that has ended, in a real Chromium: what a person sees who opens them."""

import json
import os
import re
import sys
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from browser import Browser, Tab, running_browser
from finished_study import Finished
from mlflow_server import running_server

from study.tracking.objective_view import TRAINING, links

pytestmark = pytest.mark.slow

OF_MLFLOW = (
    r"404 \(Not Found\) \S+/mlflow/users/current",
    r"^AG Grid: ",
    r"WebGL",
)
"""What MLflow's pages write to the console whatever they show."""
HEADS = "[...document.querySelectorAll('.ag-header-cell')].map((one) => one.getAttribute('col-id'))"
ROWS = """[...document.querySelectorAll('[role=row][row-index]')]
  .sort((one, other) => one.getAttribute('row-index') - other.getAttribute('row-index'))
  .flatMap((one) => one.innerText.match(/trial-\\d+|digits-e2e/) || [])"""
LINKS = "Object.fromEntries([...document.querySelectorAll('a')].map((one) => [one.innerText, one.href]))"
AXES = "[...document.querySelectorAll('.parcoords .axis-title')].map((one) => one.textContent)"
LINES = "document.querySelectorAll('.js-plotly-plot .scatterlayer .js-line').length"


@pytest.fixture(scope="module")
def address(finished: Finished) -> Iterator[str]:
    """Where `study ui` shows the study."""
    command = [sys.executable, "-c", "from study.cli.main import main; main()", "ui"]
    with running_server(command, {**os.environ, "STUDY_HOME": str(finished.home.folder)}) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@pytest.fixture
def tab(browser: Browser) -> Iterator[Tab]:
    """A wide one, as tables draw only the columns in sight."""
    opened = browser.open(width=2600, height=1000)
    yield opened
    problems = [text for text in opened.problems if not any(re.search(known, text) for known in OF_MLFLOW)]
    opened.close()
    assert problems == []


def test_runs_have_the_columns_that_a_person_would_choose(tab: Tab, finished: Finished, address: str) -> None:
    ((dataset, metric, view),) = links(finished.client, address)
    assert (dataset, metric) == ("digits", "macro_f1")
    tab.go(view)
    tab.wait_for(f"{ROWS}.length >= 5")
    heads = [str(one) for one in tab.evaluate(HEADS) if one]
    for name in ("best/macro_f1", "validation/accuracy", "test/macro_f1", "test/accuracy", "learning_rate"):
        assert any(name in one for one in heads), (name, heads)
    first = next(one for one in heads if "/" in one)
    assert "best/macro_f1" in first, "MLflow has metrics in the order of their names"
    best = finished.result.best
    assert best is not None
    assert set(tab.evaluate(ROWS)[:2]) == {"digits-e2e", f"trial-{best.number:04d}"}, "the best run first"


def test_the_description_of_a_study_is_its_summary_with_links(
    tab: Tab, finished: Finished, address: str
) -> None:
    run = finished.parent.info
    tab.go(f"{address}/#/experiments/{run.experiment_id}/runs/{run.run_id}?{TRAINING}")
    tab.wait_for("document.body.innerText.includes('The study looked for the way of training')")
    shown = tab.text()
    assert "It recognises " in shown
    assert "As it began" in shown
    assert re.search(r"</?[a-z]+>|\\_|\*\*|&[a-z]+;|\]\(", shown) is None, (
        "formatted, with no markup left over"
    )
    hrefs = tab.evaluate(LINKS)
    best = finished.result.best
    assert best is not None
    assert f"#/experiments/{run.experiment_id}/runs/{best.run_id}" in hrefs[f"trial-{best.number:04d}"]
    assert "#/models/digits/versions/1" in hrefs["digits version 1 (single)"]
    tab.go(hrefs["the report, with pictures"])
    tab.wait_for("document.body.innerText.includes('leaderboard.json')")
    frame = "document.querySelector('iframe')"
    tab.wait_for(f"{frame} && {frame}.getBoundingClientRect().height > 100")


def test_charts_and_comparison_show_the_objective_as_they_are(
    tab: Tab, finished: Finished, address: str
) -> None:
    ((_, metric, view),) = links(finished.client, address)
    tab.go(f"{view}&compareRunsMode=CHART")
    tab.wait_for(f"document.body.innerText.includes('best/{metric}') && {LINES} >= 2")
    ended = [run for run in finished.children.values() if f"best/{metric}" in run.data.metrics]
    runs = quote(json.dumps([run.info.run_id for run in ended]))
    experiment = quote(json.dumps([finished.parent.info.experiment_id]))
    tab.go(f"{address}/#/compare-runs?runs={runs}&experiments={experiment}")
    tab.wait_for(f"{AXES}.length >= 2")
    axes = tab.evaluate(AXES)
    assert "learning_rate" in axes
    assert axes[-1] == f"best/{metric}", "lines are coloured by the objective"


def test_pages_are_whole_on_a_narrow_screen(browser: Browser, finished: Finished, address: str) -> None:
    run = finished.parent.info
    tab = browser.open(width=420, height=900)
    try:
        tab.go(f"{address}/#/experiments/{run.experiment_id}/runs/{run.run_id}?{TRAINING}")
        tab.wait_for("document.body.innerText.includes('The study looked for the way of training')")
        tab.wait_for("[...document.querySelectorAll('a')].some((one) => one.innerText.startsWith('trial-'))")
    finally:
        tab.close()
