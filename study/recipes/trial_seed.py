"""Seeds of trainings: each follows from the study's seed and the trial's number."""

import numpy as np


def trial_seed(study_seed: int, number: int) -> int:
    """The seed of a trial's training, its own for each trial of each study seed."""
    return study_seed * 1_000_003 + number


def confirmation_seed(study_seed: int, trial: int, seed: int) -> int:
    """The seed with which a trial's configuration is trained again, for `seed` from 1: its own for each."""
    return int(np.random.SeedSequence((study_seed, trial, seed)).generate_state(1)[0])
