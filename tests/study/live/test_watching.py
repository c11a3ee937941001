"""Watching a study from another terminal: at two widths, through a change of the size, until it ends, and
never touching it.
"""

import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from driven_study import DrivenStudy
from terminal import InTerminal, Terminal, study_in_terminal

from study.home import Home


@pytest.fixture
def driven(home: Home) -> Iterator[DrivenStudy]:
    study = DrivenStudy(home)
    yield study
    study.end()


@pytest.fixture
def watching(home: Home, driven: DrivenStudy) -> Iterator[InTerminal]:
    """`study watch seen` in a terminal of 80 columns."""
    started = study_in_terminal(home.folder, "watch", "seen")
    started.wait_for(lambda terminal: terminal.is_second_screen and bool(terminal.pictures))
    yield started
    started.close()


def shows(text: str) -> Callable[[Terminal], bool]:
    return lambda terminal: any(text in line for line in terminal.screen)


def test_the_view_follows_a_study_through_a_change_of_the_size_to_its_end(
    driven: DrivenStudy, watching: InTerminal
) -> None:
    terminal = watching.terminal
    assert not terminal.is_cursor_shown
    assert terminal.screen[0] == "seen on digits: searching"
    driven.report(1, 0.5)
    driven.happens("trial-0000 complete \x1b[31mor so")
    watching.wait_for(shows("macro_f1 0.5000  trial-0000 at epoch 1"))
    watching.wait_for(shows("trial-0000 complete \\x1b[31mor so"))
    assert len(terminal.screen) == 24
    narrow = next(line for line in terminal.screen if line.startswith("trials"))
    watching.resize(160, 50)
    watching.wait_for(lambda terminal: len(terminal.screen) == 50)
    wide = next(line for line in terminal.screen if line.startswith("trials"))
    assert len(narrow) == 79
    assert len(wide) == 159
    watching.resize(60, 16)
    driven.report(2, 0.6)
    watching.wait_for(shows("macro_f1 0.6000"))
    assert len(terminal.screen) == 16
    assert max(map(len, terminal.screen)) < 60
    assert terminal.screen[-1] == "Ctrl-C ends this view alone; the study goes on."
    driven.record.finish(0, "complete")
    driven.end()
    assert watching.end() == 1, "nobody drives it, and it has not finished"
    assert_restored(terminal)
    assert "seen on digits: interrupted" in terminal.text
    assert "Go on with: study resume seen" in terminal.text
    assert terminal.num_wrapped == 0


def test_ctrl_c_ends_the_view_and_leaves_the_study_alone(driven: DrivenStudy, watching: InTerminal) -> None:
    before = files(driven.folder)
    watching.press("\x03")
    assert watching.end() == 130
    assert_restored(watching.terminal)
    assert "Traceback" not in watching.terminal.text
    assert files(driven.folder) == before
    driven.report(1, 0.5)


def test_a_folder_that_goes_is_a_message_on_a_terminal_as_it_was(
    driven: DrivenStudy, watching: InTerminal
) -> None:
    (driven.folder / "edits.jsonl").write_text("nonsense\n")
    assert watching.end() == 2
    assert_restored(watching.terminal)
    assert "study 'seen' in" in watching.terminal.text
    assert "Traceback" not in watching.terminal.text


CUT_OFF = """
import sys, time
from pathlib import Path
from cluster.errors import ClusterError
from study.cli.commands import watching
from study.home import Home
from study.live import showing
from study.live.reading import LiveReader
showing.SECONDS_BEFORE_WAITING = 0.5
reader, cut = LiveReader.of(Home.current(), "seen"), Home.current().folder / "cut"
def source():
    while cut.exists() and cut.read_text() == "silent":
        time.sleep(0.05)
    if cut.exists():
        raise ClusterError("no Ray cluster answers at http://head:8265 (refused)")
    return reader.read()
watching.show_until_ended(source, "the cluster at http://head:8265", 0.2, is_plain={plain})
"""


@pytest.mark.parametrize(("plain", "kind"), [(False, "silent"), (True, "refused")])
def test_a_watcher_that_hears_nothing_says_that_it_waits_and_goes_on(
    home: Home, driven: DrivenStudy, plain: bool, kind: str
) -> None:
    driven.report(1, 0.4)
    watching = InTerminal(
        [sys.executable, "-c", CUT_OFF.format(plain=plain)], {"STUDY_HOME": str(home.folder)}
    )

    def sees(text: str) -> Callable[[Terminal], bool]:
        return lambda terminal: any(text in line for line in terminal.text.splitlines() + terminal.screen)

    try:
        watching.wait_for(sees("macro_f1 0.4000"))
        (home.folder / "cut").write_text(kind)
        watching.wait_for(sees("waiting: no answer for "))
        driven.report(2, 0.5)
        driven.happens("trial-0000 goes on")
        (home.folder / "cut").unlink()
        watching.wait_for(sees("trial-0000 goes on"))
        if plain:
            watching.wait_for(sees("the cluster at http://head:8265 answers again"))
        else:
            watching.wait_for(lambda terminal: not any("waiting: " in line for line in terminal.screen))
        driven.end()
        assert watching.end() == 1
    finally:
        watching.close()
    assert_restored(watching.terminal)


def test_lines_where_there_is_no_view(home: Home, driven: DrivenStudy, tmp_path: Path) -> None:
    quiet = study_in_terminal(home.folder, "watch", "seen", "--quiet")
    piped = InTerminal(
        ["sh", "-c", f'study watch seen >"{tmp_path / "piped"}"'],
        {"STUDY_HOME": str(home.folder), "PATH": path_with_study()},
    )
    try:
        quiet.wait_for(lambda terminal: "0 of 6 trials ended" in terminal.text)
        wait_for_text(tmp_path / "piped", "0 of 6 trials ended")
        driven.report(1, 0.5)
        driven.happens("trial-0000 complete: macro_f1 0.5000")
        wait_for_text(tmp_path / "piped", "trial-0000 complete")
        driven.end()
        assert (quiet.end(), piped.end()) == (1, 1)
    finally:
        quiet.close()
        piped.close()
    for text in (quiet.terminal.text, (tmp_path / "piped").read_text()):
        assert re.search(r"\d\d:\d\d  trial-0000 complete: macro_f1 0\.5000", text), text
        assert "best macro_f1 0.5000 (trial-0000)" in text
        assert text.rstrip().endswith("Go on with: study resume seen")
        assert "\x1b" not in text
    assert not quiet.terminal.pictures


def assert_restored(terminal: Terminal) -> None:
    assert not terminal.is_second_screen
    assert terminal.is_cursor_shown


def files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def wait_for_text(file: Path, text: str) -> None:
    deadline = time.monotonic() + 60
    while not (file.exists() and text in file.read_text()):
        assert time.monotonic() < deadline, file.read_text() if file.exists() else file
        time.sleep(0.05)


def path_with_study() -> str:
    """The command `study` of this environment comes first."""
    return f"{Path(sys.executable).parent}:{os.environ['PATH']}"
