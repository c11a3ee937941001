"""The short version of `chaos.py`: each kind of process is killed once, and each signal sent once."""

import pytest
from chaos import VICTIMS, Chaos, check_equal

from study.home import Home


@pytest.mark.slow
def test_a_study_whose_processes_are_killed_comes_to_the_same_as_one_left_alone(
    home_with_digits: Home,
) -> None:
    chaos = Chaos(home_with_digits, trials=8, epochs=30, seed=0, say=print)
    assert chaos.run(len(VICTIMS)) == dict.fromkeys(VICTIMS, 1)
    check_equal(home_with_digits)
