"""The view in the terminal of a study's own driver: there while it runs, gone after any end, with the lines
below.
"""

import re
import sys
from collections.abc import Callable, Iterator

import pytest
from terminal import InTerminal, Terminal

from study.home import Home

Run = Callable[..., InTerminal]
"""Starts a driver in a terminal."""
DRIVER = """
import sys, time
sys.path[:0] = {path!r}
from driven_study import SPEC, DrivenStudy
from study.cli.commands.own_words import own_words
from study.home import Home
from study.study_file.study_spec import StudySpec
with own_words("seen", quiet={quiet}, verbose=False) as progress:
    progress.say("starting Ray and MLflow")
    study = DrivenStudy(Home.current())
    with progress.following(study.folder):
        with progress.watching(StudySpec.parse(SPEC), study.record) as on_change:
            for epoch in range(1, 10):
                print("noise of a library")
                study.report(epoch, 0.1 * epoch)
                on_change(0)
                time.sleep({pause})
            study.record.finish(0, "complete")
            on_change(0)
        progress.say("measuring trial-0000 on the [red]sealed[/] test split")
        {end}
    study.end()
print("the tables")
"""


@pytest.fixture
def run(home: Home) -> Iterator[Run]:
    """Starts such a driver in a terminal."""
    started: list[InTerminal] = []

    def start(end: str, *, quiet: bool = False, columns: int = 80, pause: float = 0.05) -> InTerminal:
        code = DRIVER.format(path=sys.path, end=end, quiet=quiet, pause=pause)
        environment = {"STUDY_HOME": str(home.folder)}
        started.append(InTerminal([sys.executable, "-c", code], environment, columns))
        return started[-1]

    yield start
    for one in started:
        one.close()


@pytest.mark.parametrize("columns", [80, pytest.param(160, marks=pytest.mark.slow)])
def test_the_view_goes_and_the_lines_come(run: Run, columns: int) -> None:
    running = run("time.sleep(2)", columns=columns, pause=0.3)
    assert running.end() == 0
    terminal = running.terminal
    assert_clean(terminal)
    pictures = ["\n".join(picture) for picture in terminal.pictures]
    assert any(re.search(r"macro_f1 0\.\d000  trial-0000 at epoch \d, running", one) for one in pictures)
    assert any(re.search(r"^trial-0000 +\d/9 +0% .* 0\.\d000", one, re.MULTILINE) for one in pictures)
    assert pictures[-1].startswith("seen on digits: measuring trial-0000 on the sealed test split")
    assert "trial-0000 complete: macro_f1 0.9000, the best so far" in pictures[-1]
    assert pictures[-1].endswith("Ctrl-C stops the study in order; study resume seen goes on with it.")
    assert {len(picture.splitlines()) for picture in pictures} == {24}
    below = terminal.text.split()
    for words in ("starting", "complete", "measuring", "tables"):
        assert words in below
    assert "noise" not in terminal.text + "".join(pictures)


@pytest.mark.parametrize("end", ["raise KeyboardInterrupt", "raise ZeroDivisionError"])
def test_the_terminal_is_as_it_was_after_any_end(run: Run, end: str) -> None:
    running = run(end)
    assert running.end() != 0
    terminal = running.terminal
    assert_clean(terminal)
    lines = terminal.text.splitlines()
    assert any("trial-0000  complete" in line for line in lines), "the lines are there"
    assert "noise" not in terminal.text


def test_a_process_that_ends_at_once_says_why_below_its_lines(run: Run) -> None:
    running = run("import os; progress.say_last('error: Ray is gone'); os._exit(2)")
    assert running.end() == 2
    terminal = running.terminal
    assert_clean(terminal)
    lines = terminal.text.splitlines()
    assert any("trial-0000  complete" in line for line in lines)
    assert lines[-1].startswith("error: Ray is gone")


def test_quiet_has_lines_at_once(run: Run) -> None:
    running = run("time.sleep(0)", quiet=True)
    running.wait_for(lambda terminal: "measuring" in terminal.text)
    assert running.end() == 0
    assert running.terminal.pictures == []
    assert "noise" not in running.terminal.text


def assert_clean(terminal: Terminal) -> None:
    assert not terminal.is_second_screen
    assert terminal.is_cursor_shown
    assert terminal.num_wrapped == 0
