"""`study show NAME --importance` and `study compare` on a terminal of 80 columns, and as JSON."""

import json
import math
import re
from pathlib import Path

import pytest
from command_line import Study
from tabulated import end_trial

from study.home import Home
from study.planning.plan import study_space
from study.search.record.study_record import StudyRecord
from study.study_file.sampler import Sampler
from study.study_file.study_spec import StudySpec
from study.yaml_file import write_yaml

SEARCHED = {
    "study": "rates",
    "dataset": "digits",
    "search_space": "given",
    "objective": {"metric": "accuracy"},
    "extend": {
        "architecture": {"choice": ["resnet18", "resnet34"]},
        "freeze_depth": {"int": [0, 2]},
        "learning_rate": {"float": [1e-5, 1e-1], "log": True},
    },
    "budget": {"trials": 24, "epochs": 1},
    "early_stopping": "none",
}


def record_study(home: Home, name: str, num_trials: int = 24, **changes: object) -> None:
    """A study whose learning rate decides."""
    spec = StudySpec.parse({**SEARCHED, "study": name, **changes})
    folder = home.studies / name
    folder.mkdir(parents=True)
    write_yaml(folder / "study.yaml", spec.to_dict())
    record = StudyRecord.create(folder, name, objectives=spec.objectives, sampler=Sampler(rule="random"))
    for _ in range(num_trials):
        asked = record.ask(study_space(spec), len(name))
        assert asked is not None
        number, point = asked
        value = 0.8 - 0.06 * (math.log10(float(point["learning_rate"])) + 3) ** 2 + 0.002 * (number % 3)
        end_trial(record, number, value)


def plain(shown: str) -> str:
    """Without what makes characters bold or yellow."""
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "80")


def test_importance_is_shown_and_printed_as_json(
    study: Study, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_study(home, "rates")
    tree = json.loads(study(home, "show", "rates", "--importance", "--json").stdout)
    first = tree["importance"][0]
    assert (first["dimension"], first["is_beyond_chance"]) == ("learning_rate", True)
    best = max(first["effect"], key=lambda point: point["mean"])
    assert 1e-4 < best["value"] < 1e-2
    assert best["low"] < best["mean"] < best["high"]
    assert [one["group"] for one in tree["freeze_depth_by_architecture"]] == ["resnet18", "resnet34"]
    assert {card["kind"] for card in tree["health"]} >= {"optimum_at_bound", "label_noise"}
    assert "large_share_and_flat_effect" in tree
    assert any("Learning rate" in sentence for sentence in tree["summary"])
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "80")
    shown = study(home, "show", "rates", "--importance").stdout
    assert all(len(line) <= 80 for line in plain(shown).splitlines())
    (row,) = [line for line in plain(shown).splitlines() if line.startswith("learning_rate")]
    assert "%*" in row
    assert "resnet34" in shown
    assert "fANOVA" in shown


@pytest.mark.usefixtures("narrow")
def test_studies_are_compared_on_80_columns(study: Study, home: Home) -> None:
    record_study(home, "rates")
    record_study(home, "losses", objective={"metric": "log_loss"})
    shown = study(home, "compare", "rates", "losses").stdout
    assert all(len(line) <= 80 for line in plain(shown).splitlines())
    assert "different objectives" in shown
    assert "learning_rate" in shown
    assert "objective.metric" in shown
    tree = json.loads(study(home, "compare", "rates", "losses", "--json").stdout)
    assert [one["study"] for one in tree["best"]] == ["rates", "losses"]
    one, other = tree["wins"]["learning_rate"]
    assert 1e-4 < one["value"] < 1e-2
    assert other["study"] == "losses"


def test_unknown_and_empty_studies_are_refused_in_one_message(study: Study, home: Home) -> None:
    record_study(home, "rates", num_trials=2)
    record_study(home, "empty", num_trials=0)
    done = study(home, "compare", "rates", "gone", "lost")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: unknown studies 'gone', 'lost'; known: empty, rates\n"
    done = study(home, "compare", "rates", "empty")
    assert done.returncode == 2
    assert done.stderr.startswith("error: no trial of empty has ended with a value")
    done = study(home, "compare", "rates")
    assert done.returncode == 2
    assert "at least two different studies" in done.stderr


def test_importance_of_too_few_trials_says_so(study: Study, home: Home, tmp_path: Path) -> None:
    record_study(home, "rates", num_trials=3)
    shown = study(home, "show", "rates", "--importance").stdout
    assert "Importance needs at least 10 trials that ended with a value; there are 3." in shown
    assert "Too few trials to tell" in shown
