"""What a person sees of a study that is about to run, on a narrow terminal and as JSON."""

import json
import re
from pathlib import Path

import pytest
from command_line import Study
from quoting import keep_speed

from study.home import Home
from study.planning.plan import plan_study
from study.study_file.study_spec import StudySpec

SPEC = """study: wide
dataset: digits
search_space: fine_tuning
fix: {weights: none}
narrow: {dropout: [0, 0.2]}
budget: {trials: 9, epochs: 20}
confirm: {top: 2, seeds: 2}
"""


@pytest.fixture
def file(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study of many dimensions and architectures, on a machine that is known."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    written = tmp_path / "wide.yaml"
    written.write_text(SPEC)
    keep_speed(plan_study(StudySpec.read(written), home))
    return written


def test_what_a_person_decides_fits_80_columns(study: Study, home: Home, file: Path) -> None:
    shown = study(home, "check", file)
    assert shown.returncode == 0, shown.stderr
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.stdout)
    assert [line for line in plain.splitlines() if len(line.rstrip()) > 80] == []
    assert len(shown.stdout.splitlines()) <= 60
    text = " ".join(plain.split())
    for words in (
        "9 trials, about",
        "; confirmation",
        "more, as the space has them (--all shows them)",
        "resnet18 | resnet34 | resnet50 | … (7 in all)",
        "dropout [0, 0.2]",
        "fixed: weights none",
        "Think of 9 trials search",
        "The study can run. Next: study run",
    ):
        assert words in text


def test_all_of_it_on_demand(study: Study, home: Home, file: Path) -> None:
    text = study(home, "check", file, "--all").stdout
    for words in ("weight_decay", "label_smoothing", "timm/legacy_xception", "efficientnet_b3"):
        assert words in text
    assert "--all shows them" not in text


def test_a_program_reads_the_same(study: Study, home: Home, file: Path) -> None:
    tree = json.loads(study(home, "check", file, "--json").stdout)
    assert tree["quote"]["trials"] == 9
    assert tree["quote"]["sentence"].startswith("9 trials, about")
    epochs, seconds = tree["quote"]["epochs"], tree["quote"]["search_seconds"]
    assert epochs["low"] <= epochs["expected"] <= epochs["high"] <= 180
    assert 0 < seconds["low"] <= seconds["expected"] <= seconds["high"]
    assert {one["architecture"] for one in tree["quote"]["architectures"]} >= {"resnet18", "convnext_tiny"}
    assert "many_dimensions" in {caution["kind"] for caution in tree["cautions"]}
    assert all(caution["way_out"] for caution in tree["cautions"])
