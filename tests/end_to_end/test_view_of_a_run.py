"""A real study in a real terminal: the view, a change of the size, Ctrl-C, and its end."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from terminal import Terminal, study_in_terminal

from study.home import Home

pytestmark = pytest.mark.slow  # two real studies' worth of Ray and MLflow

SPEC = {
    "study": "viewed",
    "dataset": "digits",
    "search_space": "digits",
    "budget": {"trials": 6, "epochs": 60},
    "early_stopping": {"rule": "asha", "first_rung": 0.1},
}
PATIENCE_SECONDS = 900.0
OWN_LINE = re.compile(r"^ *(?:\d+h)?(?:\d+m)?\d+s?  ")
"""A line of progress, which begins with a clock."""


def row(text: str) -> Callable[[Terminal], bool]:
    return lambda terminal: any(re.search(text, line) for line in terminal.screen)


def test_a_study_is_seen_interrupted_and_resumed(home_with_digits: Home, tmp_path: Path) -> None:
    home, file = home_with_digits, tmp_path / "viewed.yaml"
    file.write_text(yaml.safe_dump(SPEC))
    running = study_in_terminal(home.folder, "run", str(file), columns=80, lines=24)
    try:
        running.wait_for(lambda terminal: terminal.is_second_screen, PATIENCE_SECONDS)
        running.wait_for(row(r"^trial-000\d +\d+/60 .* [\d,]+ +\w+$"), PATIENCE_SECONDS)
        running.wait_for(row(r"^best +macro_f1 0\.\d{4}  trial-000\d at epoch \d+"), PATIENCE_SECONDS)
        assert len(running.terminal.screen) == 24
        running.resize(160, 50)
        running.wait_for(lambda terminal: len(terminal.screen) == 50)
        running.press("\x03")
        assert running.end(PATIENCE_SECONDS) == 130
    finally:
        running.close()
    assert_clean(running.terminal)
    assert running.terminal.num_wrapped == 0
    assert running.terminal.text.rstrip().endswith("Go on with: study resume viewed")

    resumed = study_in_terminal(home.folder, "resume", "viewed", columns=160, lines=50)
    try:
        assert resumed.end(PATIENCE_SECONDS) == 0
    finally:
        resumed.close()
    assert_clean(resumed.terminal)
    seen = ["\n".join(picture) for picture in resumed.terminal.pictures]
    assert any("viewed on digits: searching" in picture for picture in seen)
    assert any("viewed on digits: measuring" in picture for picture in seen)
    assert any(re.search(r"trial-000\d (passed|stopped at) rung 1", picture) for picture in seen)
    below = resumed.terminal.text
    assert "viewed on digits: finished" in below
    assert "on the test split" in below
    lines = below[: below.index("viewed on digits: finished")].splitlines()
    assert [line for line in lines if line.strip() and not OWN_LINE.match(line)] == [], "nobody else speaks"
    assert sum("  complete  " in line or "  pruned  " in line for line in lines) >= 5


def assert_clean(terminal: Terminal) -> None:
    """As it was before."""
    assert not terminal.is_second_screen
    assert terminal.is_cursor_shown
    assert "Traceback" not in terminal.text
