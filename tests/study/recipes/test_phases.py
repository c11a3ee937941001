"""What each way of fine-tuning makes of a number of epochs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_spaces.named import find_recipe
from study.recipes.phases import WAYS, build_phases
from trainables.errors import RecipeError


@given(
    st.sampled_from(sorted(WAYS)),
    st.integers(1, 90),
    st.floats(0.02, 0.3),
    st.integers(1, 4),
    st.floats(0.0, 0.3),
    st.floats(0.05, 1.0),
    st.floats(0.1, 0.9),
)
def test_epochs_add_up_and_rates_are_above_zero(
    way: str, epochs: int, probe: float, stages: int, polish: float, cut: float, share: float
) -> None:
    point: dict[str, str | float] = {"fine_tuning": way}
    if way in ("lp_ft", "gradual"):
        point["probe_fraction"] = probe
    if way == "gradual":
        point |= {
            "unfreezing_stages": stages,
            "polish_fraction": polish,
            "stage_cut_2": cut,
            "stage_epochs_1": share,
        }
    if way == "range":
        point |= {"freeze_depth": 1, "range_end": 3}
    phases = build_phases(point, epochs, num_stages=4)
    assert sum(int(str(phase["epochs"])) for phase in phases) == epochs
    assert all(float(str(phase["learning_rate"])) > 0 and int(str(phase["epochs"])) >= 1 for phase in phases)
    shares = [phase["trainable_share"] for phase in phases if "trainable_share" in phase]
    assert shares == sorted(shares)  # type: ignore[type-var]


def test_the_phases_of_source_002_are_those_of_its_document() -> None:
    phases = build_phases(find_recipe("fer-r50-hybrid").point, 80, num_stages=4)
    assert [phase["epochs"] for phase in phases] == [10, 15, 15, 20, 20]
    assert [phase["learning_rate"] for phase in phases] == pytest.approx([1e-3, 1e-5, 5e-6, 1e-6, 1e-7])
    assert [phase.get("trainable_share") for phase in phases[1:4]] == pytest.approx([1 / 16, 3 / 16, 7 / 16])
    assert [phase["freeze_depth"] for phase in (phases[0], phases[-1])] == [4, 4]


def test_fewer_epochs_than_phases_keep_the_longest() -> None:
    phases = build_phases(find_recipe("fer-r50-hybrid").point, 3, num_stages=4)
    assert [phase["epochs"] for phase in phases] == [1, 1, 1]


def test_what_is_left_open_follows_from_what_is_said() -> None:
    assert build_phases({"freeze_depth": 2}, 3, 4)[0]["freeze_depth"] == 2
    assert build_phases({"freeze_depth": 1, "range_end": 3}, 3, 4)[0]["range_end"] == 3
    assert "freeze_depth" not in build_phases({}, 3, 4)[0]


@pytest.mark.parametrize(
    ("point", "message"),
    [
        (
            {"fine_tuning": "both"},
            "fine_tuning must be one of full, suffix, range, lp_ft, gradual, layer_decay, got 'both'",
        ),
        (
            {"fine_tuning": "gradual", "freeze_depth": 2},
            "freeze_depth belongs to fine_tuning suffix or range, got 'gradual'",
        ),
        ({"layer_decay": 0.5}, "layer_decay belongs to fine_tuning layer_decay, got 'full'"),
        ({"fine_tuning": "range", "freeze_depth": 1}, "'range' needs range_end"),
        (
            {"fine_tuning": "gradual", "probe_fraction": 0.7, "polish_fraction": 0.4},
            "must leave epochs for the stages, got 0.7 and 0.4",
        ),
        ({"fine_tuning": "lp_ft", "probe_fraction": "much"}, "probe_fraction must lie in .0, 1., got 'much'"),
    ],
)
def test_what_contradicts_itself_is_refused(point: dict[str, str | float], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        build_phases(point, 10, 4)
