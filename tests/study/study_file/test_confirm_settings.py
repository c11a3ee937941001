"""`confirm` in a study file: absent unless written, and refused where it could not be done."""

from typing import Any

import pytest

from study.driver.quickstart import SPEC as QUICKSTART
from study.errors import SpecError
from study.study_file.budget import Confirm
from study.study_file.study_spec import StudySpec

MINIMAL = {"study": "s", "dataset": "digits"}


def test_a_study_confirms_nothing_unless_asked() -> None:
    assert StudySpec.parse(MINIMAL).confirm is None
    assert StudySpec.parse({"study": "s", **QUICKSTART}).confirm is None, "the quickstart stays quick"


def test_what_is_left_out_has_its_default_and_survives_the_file() -> None:
    spec = StudySpec.parse({**MINIMAL, "confirm": {"top": 2}})
    assert spec.confirm == Confirm(top=2, seeds=3)
    assert StudySpec.parse(spec.to_dict()) == spec


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"confirm": {"top": 9}, "budget": {"trials": 5}},
            r"^confirm.top is 9 but budget.trials is 5; lower it, or let the search try more$",
        ),
        ({"confirm": {"seeds": 1}}, r"^confirm.seeds must be at least 2, got 1$"),
        ({"confirm": {"top": 0}}, r"^confirm.top must be at least 1, got 0$"),
        (
            {"confirm": {"seed": 3}},
            r"^unknown key 'confirm.seed'; did you mean 'seeds'\?$",
        ),
        (
            {"confirm": {}, "early_stopping": "pbt"},
            r"^confirm cannot follow early_stopping 'pbt': its trials go on from others' checkpoints",
        ),
    ],
)
def test_refusals_name_the_rule_the_value_and_the_way_out(change: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        StudySpec.parse({**MINIMAL, **change})
