"""The summary: sentences that claim no more than the numbers, and need no knowledge of the code."""

import math
import re
import time
from typing import Any

from final_results import FINAL
from made_studies import made_study

from search_spaces.space import Point
from study.analysis.summary import summary
from study.results.study_result import StudyResult

SPACE: dict[str, Any] = {
    "learning_rate": {"float": [1e-5, 1e-1], "log": True},
    "dropout": {"float": [0, 0.6]},
    "weight_decay": {"float": [1e-6, 1e-1], "log": True},
}
ABOUT = "How fast should the network learn?"


def peak(point: Point) -> float:
    return 0.8 - 0.05 * (math.log10(float(point["learning_rate"])) + 3) ** 2


def ended(**how: Any) -> StudyResult:
    return made_study(peak, trials=40, space=SPACE, final=FINAL, about=ABOUT, **how)


def test_an_ended_study_is_told_from_question_to_next_step() -> None:
    asked, tried, came_out, confirmed, mattered, others, cost, *_, following = summary(ended())
    assert asked.startswith(f"The study asked: {ABOUT} It looked for")
    assert "on the images of digits" in asked
    assert tried.startswith("40 configurations were tried, which differed in learning rate (how fast the")
    assert "pets version 7. It recognises 90.0% of 200 images" in came_out
    assert "between 85.0% and 94.0%" in came_out
    assert "Trained again 1 time" in confirmed
    assert mattered.startswith("Learning rate (how fast the network learns) mattered: of the values")
    assert "with 95 % certainty between" in mattered
    assert "e-" not in mattered
    assert others.startswith("2 other settings are not shown to matter")
    assert cost.startswith("It took 7 minutes")
    assert "study promote pets 7" in following


def test_whether_more_trials_would_help_is_told_with_the_figure() -> None:
    figure = (
        r"is expected to improve the accuracy by 0\.0\d+ on average, "
        r"which is [\d.]+ for each hour of training"
    )
    assert re.search(rf"One more trial {figure}\.", " ".join(summary(ended())))
    over = " ".join(summary(ended(budget={"minimum_gain": 1e6})))
    less = "less than the 1000000 that the study file asks for"
    assert re.search(rf"More trials are unlikely to help: one more {figure}, {less}\.", over)
    assert "expected to improve" not in " ".join(summary(made_study(peak, trials=9, space=SPACE)))


def test_words_of_the_code_do_not_occur() -> None:
    """Commands apart, which are there to be copied."""
    for sentence in summary(ended(early_stopping={"rule": "asha"})):
        prose = re.sub(r"\(study [^)]*\)", "", sentence)
        assert not re.search(r"_|\bNone\b|pruned|asha|trial-|objective|hyperparameter", prose), prose
        assert sentence.endswith((".", "?"))


def test_a_second_objective_is_told_in_words_of_its_own() -> None:
    asked, *_ = summary(ended(objective=[{"metric": "accuracy"}, {"metric": "latency_ms"}]))
    assert asked.endswith("A good result was also to have a fast network (few milliseconds for each image).")


def test_what_too_few_trials_cannot_tell_is_not_put_down_to_chance() -> None:
    text = " ".join(summary(made_study(lambda point: 0.5, trials=12, seed=1, space=SPACE, final=FINAL)))
    assert "Which setting mattered cannot be told: 12 configurations are too few for that." in text
    assert "study extend made --trials 8" in text, "with the number that is missing"


def test_nothing_is_said_to_matter_that_chance_explains() -> None:
    text = " ".join(summary(made_study(lambda point: 0.5, trials=40, seed=1, space=SPACE)))
    assert "No setting is shown to matter" in text
    assert "mattered:" not in text


def test_too_few_trials_claim_nothing() -> None:
    text = " ".join(summary(made_study(peak, trials=5, space=SPACE)))
    assert "What mattered cannot be told. Importance needs at least 10 trials" in text
    assert "mattered:" not in text


def test_a_study_that_has_not_ended_says_so_and_that_its_best_flatters() -> None:
    text = " ".join(
        summary(
            made_study(
                peak, trials=20, space=SPACE, states=lambda number: "pruned" if number % 2 else "complete"
            )
        )
    )
    assert "10 were trained to the end and 10 were stopped early as less promising" in text
    assert "has not ended" in text
    assert "That number flatters" in text


def test_a_study_without_a_result_says_so() -> None:
    failed = made_study(peak, trials=3, space=SPACE, curves=lambda n, v: [], states=lambda n: "failed")
    assert "No configuration has come to a result." in summary(failed)


def test_a_study_that_has_just_begun_claims_nothing() -> None:
    begun = made_study(peak, trials=2, space=SPACE, curves=lambda n, v: [], states=lambda n: "running")
    text = " ".join(summary(begun))
    assert "No configuration has come to its end yet." in text
    assert "0 configurations" not in text


def test_warnings_are_named() -> None:
    def rising(point: Point) -> float:
        return 0.5 + 0.08 * math.log10(float(point["learning_rate"]))

    text = " ".join(summary(made_study(rising, trials=40, space=SPACE, final=FINAL)))
    assert "Before you rely on it, read the warnings: learning rate: best at its upper end" in text


def test_five_hundred_trials_take_seconds() -> None:
    """Fits, effects, importance, cards and sentences together, of a third of whole curves."""
    result = made_study(
        peak,
        trials=500,
        space=SPACE,
        budget={"epochs": 20},
        curves=lambda number, value: [value * (20 + at) / 40 for at in range(1, 5 if number % 3 else 21)],
        states=lambda number: "pruned" if number % 3 else "complete",
    )
    began = time.process_time()
    assert any("Learning rate" in sentence for sentence in summary(result))
    assert time.process_time() - began < 10
