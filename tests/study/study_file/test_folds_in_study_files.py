"""`validate: {folds: 5}`: what it may be combined with, and how it is written."""

from typing import Any

import pytest

from study.errors import SpecError
from study.study_file.study_spec import StudySpec

MINIMAL = {"study": "small", "dataset": "digits"}


def parsed(**keys: Any) -> StudySpec:
    return StudySpec.parse({**MINIMAL, **keys})


def test_folds_are_read_and_written() -> None:
    assert parsed().num_folds is None
    assert parsed(validate={}).num_folds == 5
    spec = parsed(validate={"folds": 3})
    assert spec.num_folds == 3
    assert spec.to_dict()["validate"] == {"folds": 3}
    assert StudySpec.parse(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"validate": {"folds": 1}}, r"validate\.folds must be at least 2, got 1"),
        ({"validate": {"folds": 21}}, r"validate\.folds must be at most 20, got 21"),
        ({"validate": {"folds": 2.5}}, r"validate\.folds must be a whole number, got 2\.5"),
        ({"validate": {"fold": 5}}, r"unknown key 'validate\.fold'; did you mean 'folds'"),
        ({"validate": 5}, r"validate must be a mapping, got 5"),
        ({"validation": {"folds": 5}}, "unknown key 'validation'"),
        (
            {"validate": {"folds": 5}, "early_stopping": "pbt", "budget": {"trials": 20}},
            r"validate\.folds cannot be combined with early_stopping 'pbt'.* choose asha, asha_pause, hyper",
        ),
        (
            {"validate": {"folds": 5}, "resources": {"gpus_per_trial": 2, "cpus_per_trial": 2}},
            r"validate\.folds cannot be combined with resources\.gpus_per_trial 2: .*take auto, or at most 1",
        ),
        (
            {"validate": {"folds": 5}, "reproduces": "fer-cnn4-32x256"},
            r"validate cannot be given with reproduces 'fer-cnn4-32x256'.*leave it away",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_way_out(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message) as refused:
        parsed(**keys)
    assert str(refused.value).count("\n") == 0, "one mistake is one line"
