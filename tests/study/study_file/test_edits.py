"""What people ask of a study: kept in order, folded into the budget, the pins and the ends of trials."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.errors import SpaceError, UnknownNameError
from search_spaces.named import find_space
from study.study_file.budget import Budget
from study.study_file.edits import (
    EDITS_FILE,
    Edit,
    append_edit,
    check_pins,
    extended_budget,
    is_stopped,
    killed,
    pinned,
    read_edits,
)


def test_edits_are_read_back_in_the_order_they_were_asked(tmp_path: Path) -> None:
    asked = (
        Edit(kind="extend", trials=5, user="ada"),
        Edit(kind="pin", point={"batch_size": 64}, user="bob"),
        Edit(kind="enqueue", point={"learning_rate": 1e-3}, origin="a recipe"),
        Edit(kind="kill", trial=3, user="ada"),
    )
    for edit in asked:
        append_edit(tmp_path, edit)
    assert read_edits(tmp_path) == asked
    assert killed(asked) == {3: "ada"}


def test_a_line_that_is_still_being_written_is_left_for_later(tmp_path: Path) -> None:
    append_edit(tmp_path, Edit(kind="stop"))
    with (tmp_path / EDITS_FILE).open("a") as file:
        file.write('{"kind": "resu')
    assert [edit.kind for edit in read_edits(tmp_path)] == ["stop"]


def test_a_study_nobody_asked_anything_of(tmp_path: Path) -> None:
    assert read_edits(tmp_path) == ()
    assert extended_budget(Budget(trials=7), ()) == Budget(trials=7)


@given(st.lists(st.sampled_from(["stop", "resume", "extend", "pin"]), max_size=8))
def test_the_last_word_on_stopping_holds(kinds: list[str]) -> None:
    words = [kind for kind in kinds if kind in ("stop", "resume")]
    assert is_stopped([Edit(kind=kind) for kind in kinds]) == (bool(words) and words[-1] == "stop")  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 100), max_size=6))
def test_extensions_add_up(more: list[int]) -> None:
    budget = extended_budget(
        Budget(trials=10, hours=2), [Edit(kind="extend", trials=number, hours=0.5) for number in more]
    )
    assert (budget.trials, budget.hours) == (10 + sum(more), 2 + 0.5 * len(more))


def test_hours_are_not_limited_by_extending_a_study_without_a_limit() -> None:
    assert extended_budget(Budget(), [Edit(kind="extend", hours=3)]).hours is None


def test_the_latest_pin_of_a_dimension_holds() -> None:
    asked = [Edit(kind="pin", point={"a": 1, "b": 2}), Edit(kind="pin", point={"a": 3})]
    assert pinned(asked) == {"a": 3, "b": 2}


def test_a_pin_must_be_a_value_of_its_dimension() -> None:
    space = find_space("fine_tuning")
    check_pins(space, {"learning_rate": 3e-4, "batch_size": 64})
    with pytest.raises(SpaceError, match=r"batch_size must lie in 32 \| 64 \| 128 \| 256 images, got 65"):
        check_pins(space, {"batch_size": 65})
    with pytest.raises(UnknownNameError, match=r"unknown dimension 'batchsize'.*did you mean 'batch_size'"):
        check_pins(space, {"batchsize": 64})
