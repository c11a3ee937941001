"""The report of a study in a real Chromium: what it shows, and what it cannot be made to do."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from browser import Browser, Tab, running_browser
from made_up_study import evidence_of, make_study

from study.home import Home
from study.report import report_page
from study.report.report_page import report_html
from study.results.study_result import StudyResult
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions

HOSTILE = '<script>window.hurt = 1</script><img src=x onerror="window.hurt=1">&amp;<b>%{x}</b>'
MARKS = """[...document.querySelectorAll('.plot')].map((plot) => [plot.id, plot.querySelectorAll(
  '.scatterlayer .point, .scatterlayer .js-line, .barlayer .point path, .heatmaplayer image').length])"""
"""How many marks each plot has, axes not counted."""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
MOST_BYTES = 10_000_000
ORDER = (
    "summary",
    "health",
    "leaderboard",
    "history",
    "importance",
    "parallel",
    "pareto",
    "curves",
    "winner",
    "recall",
    "reliability",
    "mistakes",
    "timeline",
    "cost",
    "again",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """With the digits, and without MLflow."""
    made = Home(tmp_path_factory.mktemp("home"))
    add_dataset(made.datasets, "digits", None, AddOptions())
    return made


@pytest.fixture(scope="module")
def result(home: Home) -> StudyResult:
    """Of a study whose texts are as bad as they can be."""
    names = (
        HOSTILE,
        "b</script>",
        "'c'",
        '"d"',
        "{e}",
        "f" * 300,
        "\u202eg",
        "<svg onload=hurt=1>",
        "i",
        "j",
    )
    return make_study(home, objectives=("macro_f1", "latency_ms"), classes=names, about=HOSTILE)


@pytest.fixture(scope="module")
def page(home: Home, result: StudyResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(report_html(result, home), encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with running_browser(tmp_path_factory.mktemp("chromium")) as running:
        yield running


def opened(browser: Browser, page: Path, *, width: int = 1400, scheme: str = "light") -> Tab:
    """The report with all its plots drawn."""
    tab = browser.open(width=width, height=900)
    tab.prefer(prefers_color_scheme=scheme)
    tab.call("Network.enable")
    tab.go(page.as_uri())
    tab.wait_for("document.documentElement.dataset.drawn")
    return tab


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (420, "dark")])
def test_every_plot_is_drawn_without_an_error_or_a_request(
    browser: Browser, page: Path, width: int, scheme: str
) -> None:
    tab = opened(browser, page, width=width, scheme=scheme)
    try:
        marks = dict(tab.evaluate(MARKS))
        assert len(marks) >= 15
        assert [name for name, num in marks.items() if not num] == []
        assert tab.problems == []
        assert requests(tab) == [page.as_uri()]
        assert tab.evaluate(OVERFLOW) <= 0
        assert tab.evaluate("window.hurt") is None
        assert (
            tab.evaluate("document.querySelectorAll('main script:not([type]), main b, svg b, main i').length")
            == 0
        )
        assert tab.evaluate("[...document.images].every((image) => image.naturalWidth > 0 && image.alt)")
        sections = tab.evaluate("[...document.querySelectorAll('main > section')].map((one) => one.id)")
        assert tuple(sections) == ORDER
        first = tab.evaluate("document.querySelector('#importance .plot').id")
        assert first == "plot-effect-first"
        assert tab.text("#importance h3") == "Effect of freeze depth by architecture"
    finally:
        tab.close()


@pytest.mark.slow
def test_colours_follow_the_reader_and_the_switch(browser: Browser, page: Path) -> None:
    tab = opened(browser, page, scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    line = "getComputedStyle(document.querySelector('#plot-history .js-line')).stroke"
    try:
        dark = tab.evaluate(ground), tab.evaluate(line)
        tab.evaluate("document.querySelector('#theme').click()")
        tab.wait_for("document.documentElement.dataset.drawn === 'light'")
        light = tab.evaluate(ground), tab.evaluate(line)
        assert dark[0] != light[0]
        assert dark[1] != light[1]
        assert tab.text("#theme") == "Dark colours"
    finally:
        tab.close()


def test_points_are_read_by_keyboard(browser: Browser, page: Path) -> None:
    tab = opened(browser, page)
    try:
        tab.evaluate("document.querySelector('#plot-history').focus()")
        tab.press("ArrowRight")
        first = tab.evaluate("document.querySelector('#live').textContent")
        assert re.match(r"trial-0000: macro f1 0\.\d{4}, complete, 12 epochs", first)
        tab.press("ArrowRight")
        assert tab.evaluate("document.querySelector('#live').textContent").startswith("trial-0001")
        tab.wait_for("document.querySelectorAll('#plot-history .hoverlayer .hovertext').length === 1")
        tab.evaluate("document.querySelector('#plot-confusion').focus()")
        tab.press("ArrowRight")
        assert "taken for" in tab.evaluate("document.querySelector('#live').textContent")
        assert tab.problems == []
    finally:
        tab.close()


@pytest.mark.slow
def test_paper_is_light_and_holds_every_plot(browser: Browser, page: Path) -> None:
    tab = opened(browser, page, scheme="dark")
    try:
        tab.evaluate("dispatchEvent(new Event('beforeprint'))")
        tab.wait_for("document.querySelector('#plot-timeline').dataset.drawn === 'light'")
        widths = "[...document.querySelectorAll('.plot .main-svg')].map((one) => one.clientWidth)"
        assert max(tab.evaluate(widths)) <= 680
        assert tab.call("Page.printToPDF")["data"]
        assert tab.problems == []
    finally:
        tab.close()


@pytest.mark.slow
def test_the_winner_is_set_against_the_champion_on_the_same_images(
    browser: Browser, home: Home, result: StudyResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert result.final is not None
    champion = evidence_of(
        tuple(one.name for one in result.final.test.classes), np.random.default_rng(9), skill=1.0
    )
    known = SimpleNamespace(number=1, name="digits/1")
    monkeypatch.setattr(report_page, "champion_of", lambda *_: (known, champion))
    file = tmp_path / "compared.html"
    file.write_text(report_html(result, home), encoding="utf-8")
    tab = opened(browser, file)
    try:
        assert dict(tab.evaluate(MARKS))["plot-difference"] == 1
        text = tab.text("#winner")
        assert "digits version 2 against the champion, version 1" in text
        assert "of 10 classes are recognised more often" in text
        assert tab.evaluate("document.querySelectorAll('#plot-recall .legend .traces').length") == 2
    finally:
        tab.close()


def test_what_stands_in_the_page_is_text(page: Path, result: StudyResult) -> None:
    html = page.read_text(encoding="utf-8")
    assert len(html.encode()) < MOST_BYTES
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "unsafe-inline" not in policy[1].partition("script-src")[2]
    body = html.partition("<main>")[2].partition("</main>")[0]
    assert "<script>" not in body
    assert 'onerror="' not in body
    assert "&lt;script&gt;window.hurt" in body
    for found in re.findall(
        r'<script type="application/json" id="figure-[^"]*">(.*?)</script>', body, re.DOTALL
    ):
        assert "<" not in found
        assert_plain(json.loads(found))


def assert_plain(tree: Any) -> None:
    """Plotly reads markup in texts, so a foreign one must have none."""
    if isinstance(tree, dict):
        for value in tree.values():
            assert_plain(value)
    elif isinstance(tree, list):
        for value in tree:
            assert_plain(value)
    elif isinstance(tree, str):
        assert "<" not in tree.replace("<br>", ""), tree


def requests(tab: Tab) -> list[str]:
    """Addresses that the page asked for; an image of its own is none."""
    events = [event for event in tab.events if event.get("method") == "Network.requestWillBeSent"]
    addresses = [event["params"]["request"]["url"] for event in events]
    return [address for address in addresses if not address.startswith("data:")]
