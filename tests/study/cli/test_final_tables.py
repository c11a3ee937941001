"""What a person reads of a study's end: confirmed configurations, the test split, its openings, the
versions.
"""

import re
import shutil
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from final_results import FINAL, SCORES, TEST
from rich.console import Console

from study.cli.reports.dataset_tables import print_dataset
from study.cli.reports.final_tables import MAX_CLASSES, accuracy_text, print_final
from study.evaluation.final_result import Candidate, FinalResult, Part
from study.evaluation.test_result import ClassResult, Interval
from study.home import Home
from trainables.datasets.manifest import Manifest
from trainables.datasets.sealed_test import open_test_split


def printed(final: FinalResult) -> str:
    out = Console(file=StringIO(), width=200, highlight=False)
    print_final(out, final, "macro_f1")
    assert isinstance(out.file, StringIO)
    return out.file.getvalue()


def test_both_candidates_and_what_was_confirmed_are_shown() -> None:
    text = printed(FINAL)
    assert (
        "►  trial-0003  0.9300                  0.9000                   5 M         best mean: chosen"
        in text
    )
    assert (
        "on the test split, 200 images, with 95 % intervals; it has been opened 3 times, this time included"
        in text
    )
    assert "trial-0003-seed-2" in text
    assert "ensemble of its seeds 1, 2" in text
    assert "the 190 clean images alone" in text
    assert text.count("89.00% (84.00% to 93.00%)") == 2
    assert "calibration error" in text
    assert "1.400, not registered" in text
    assert "registered model     pets version 7  (models:/pets/7)" in text
    assert "and its ensemble     pets version 8  (models:/pets/8), the mean of 2 seeds" in text
    better = replace(FINAL, kind="ensemble", verdict="the ensemble is better, so it is the candidate")
    text = printed(better)
    assert "registered model     pets version 8  (models:/pets/8), the mean of 2 seeds" in text
    assert "and its best network pets version 7" in text
    assert "The ensemble is better, so it is the candidate." in text


def test_a_selection_stands_beside_the_result_with_its_gain_and_the_time_of_an_image() -> None:
    selected = Candidate(
        kind="selected",
        trial=3,
        seeds=(),
        parts=(Part(trial=3, seed=2, times=1), Part(trial=5, seed=None, times=2)),
        gain="macro f1 0.9100 on validation, better by 0.0100",
        latency_ms=3.5,
        test=TEST,
        model="pets",
        version=9,
    )
    final = replace(FINAL, candidates=(replace(FINAL.candidates[0], latency_ms=1.25), selected))
    text = printed(final)
    assert "registered model     pets version 7" in text
    assert "and a selection      pets version 9  (models:/pets/9)" in text
    assert "the mean of trial-0003-seed-2, trial-0005 (2 times)" in text
    assert "The selection has macro f1 0.9100 on validation, better by 0.0100." in text
    assert re.search(r"time for one image +1.25 ms +3.5 ms", text)
    assert final.measurement == "trial-0003-seed-2-beside-selection-of-0003-seed-2-and-0005-twice"
    assert FINAL.measurement == "trial-0003-seeds-1-2"


def test_a_mean_over_seeds_has_an_interval_within_the_range_of_its_metric() -> None:
    """0.9641 ± 0.3232 was shown of a metric that ends at 1."""
    wide = replace(FINAL.confirmed[0], mean=0.9641, half_width=0.3232)
    text = printed(replace(FINAL, confirmed=(wide,)))
    assert "0.9641 (0.6409 to 1.0000)" in text
    assert "by the scatter from seed to seed (Student's t" in text


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"temperature": 0.05, "is_at_bound": True}, "0.050, an end of its range: none fits"),
        ({"after": replace(SCORES, log_loss=0.5)}, "1.400, not registered, worse log loss"),
        (
            {"after": replace(SCORES, log_loss=0.5), "is_registered": True},
            "1.400, which is registered, worse log loss",
        ),
    ],
)
def test_a_temperature_that_fits_nothing_or_does_harm_is_not_offered(
    changed: dict[str, Any], text: str
) -> None:
    test = replace(TEST, calibration=replace(TEST.calibration, **changed))
    single = Candidate(kind="single", trial=3, seeds=(), test=test, model="pets", version=7)
    assert text in printed(FinalResult(candidates=(single,), confirmed=()))


def test_a_study_that_confirmed_nothing_shows_one_candidate() -> None:
    single = Candidate(kind="single", trial=3, seeds=(), test=TEST, model="pets", version=7)
    text = printed(FinalResult(candidates=(single,), confirmed=()))
    assert "confirmed" not in text
    assert "ensemble" not in text
    assert accuracy_text(FINAL) == "90.00% (85.00% to 94.00%)"


def test_of_many_classes_those_with_the_lowest_recall_are_shown() -> None:
    rows = tuple(
        ClassResult(
            name=f"class {number}",
            recall=Interval(value=number / 40, low=0.0, high=1.0),
            precision=None,
            num_images=10,
            num_predicted=0,
        )
        for number in reversed(range(30))
    )
    test = replace(TEST, classes=rows)
    text = printed(
        FinalResult(
            candidates=(Candidate(kind="single", trial=3, seeds=(), test=test, model="pets", version=7),),
            confirmed=(),
        )
    )
    assert text.count("\nclass ") == MAX_CLASSES + 1, "and the heading"
    assert "class 11 " in text
    assert "class 12 " not in text
    assert f"the {MAX_CLASSES} of 30 classes with the lowest recall" in text


def test_a_dataset_tells_how_often_its_test_split_was_opened_and_by_whom(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(home.datasets / "digits", folder, ignore=shutil.ignore_patterns("openings.jsonl"))
    print_dataset(Manifest.read(folder), folder)
    assert "The test split has never been opened." in capsys.readouterr().out
    for number in range(12):
        open_test_split(folder, opened_by=f"study number-{number}")
    print_dataset(Manifest.read(folder), folder)
    text = capsys.readouterr().out
    assert "The test split has been opened 12 times:" in text
    assert "study number-11" in text
    assert "and 2 earlier (--json shows all)" in text
    print_dataset(Manifest.read(folder), folder, as_json=True)
    assert capsys.readouterr().out.count('"opened_by": "study number-') == 12
