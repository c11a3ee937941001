"""The short version of `chaos.py`: each kind of process is killed once."""

import pytest
from chaos import chaos, check_equal

from study.home import Home


@pytest.mark.slow
def test_a_study_whose_processes_are_killed_comes_to_the_same_as_one_left_alone(
    home_with_digits: Home,
) -> None:
    done = chaos(home_with_digits, kills=3, trials=5, epochs=30, seed=0, say=print)
    assert done == {"driver": 1, "trial": 1, "raylet": 1}
    check_equal(home_with_digits)
