"""The final result of a made-up study, as tests need it."""

from study.evaluation.final_result import Candidate, Confirmed, FinalResult
from study.evaluation.test_result import Calibration, CalibrationScores, ClassResult, Interval, TestResult

SCORES = CalibrationScores(ece=0.05, log_loss=0.4, brier=0.2)
TEST = TestResult(
    metrics={"accuracy": Interval(value=0.9, low=0.85, high=0.94)},
    num_images=200,
    clean_metrics={"accuracy": Interval(value=0.89, low=0.84, high=0.93)},
    num_clean=190,
    num_openings=3,
    classes=(
        ClassResult(
            name="cat",
            recall=Interval(value=1.0, low=0.9, high=1.0),
            precision=None,
            num_images=200,
            num_predicted=0,
        ),
        ClassResult(name="dog", recall=None, precision=None, num_images=0, num_predicted=0),
    ),
    calibration=Calibration(temperature=1.4, before=SCORES, after=SCORES, is_registered=False),
)
FINAL = FinalResult(
    candidates=(
        Candidate(kind="single", trial=3, seeds=(2,), test=TEST, model="pets", version=7),
        Candidate(kind="ensemble", trial=3, seeds=(1, 2), test=TEST, model="pets", version=8),
    ),
    confirmed=(
        Confirmed(
            trial=3,
            search_value=0.93,
            values=(0.9, None),
            mean=0.9,
            half_width=None,
            parameters_million=5.0,
            latency_ms=None,
            verdict="best mean: chosen",
            is_chosen=True,
        ),
    ),
)
