"""Confirmation: further trainings of a study's best configurations, apart from the search."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from search_spaces.space import SearchSpace
from study import names
from study.evaluation.selection import Repeated
from study.search.record.study_record import StudyRecord
from study.search.record.trial import STOPPED, Trial
from study.search.sampling.enumeration import identity
from study.study_file.objective import Objective

FOLDER = "confirmation"
"""Inside the study's folder: a record, checkpoints and weights of its own."""
_TRAININGS = "trainings"


@dataclass(frozen=True)
class Confirmation:
    """Further trainings of a study's best configurations.

    Its record numbers the trainings in the order in which they were added; none is ever removed.
    """

    folder: Path
    record: StudyRecord

    @classmethod
    def create(cls, study_folder: Path, objective: Objective) -> "Confirmation":
        """The confirmation of the study in `study_folder`, created if it is missing."""
        folder = study_folder / FOLDER
        if not folder.exists():
            unfinished = study_folder / f"{FOLDER}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)  # of a driver that died here
            unfinished.mkdir()
            StudyRecord.create(unfinished, FOLDER, objectives=[objective]).note(**{_TRAININGS: []})
            unfinished.rename(folder)
        return cls(folder, StudyRecord.open(folder))

    @classmethod
    def read(cls, study_folder: Path) -> "Confirmation | None":
        """The confirmation of the study in `study_folder`; None where none has begun."""
        folder = study_folder / FOLDER
        return cls(folder, StudyRecord.open(folder)) if folder.exists() else None

    @property
    def wanted(self) -> tuple[tuple[int, int], ...]:
        """By number of the training: the trial whose configuration it trains again, and the further seed,
        from 1.
        """
        return tuple((one["confirms"], one["seed"]) for one in self.record.facts[_TRAININGS])

    def want(self, search: StudyRecord, trials: Sequence[Trial], num_seeds: int, space: SearchSpace) -> None:
        """Adds the missing trainings of these configurations; they are noted first, so that a driver may die
        in between.
        """
        wanted = list(self.wanted)
        seeds = range(1, num_seeds + 1)
        wanted += [
            (trial.number, seed) for trial in trials for seed in seeds if (trial.number, seed) not in wanted
        ]
        self.record.note(**{_TRAININGS: [{"confirms": number, "seed": seed} for number, seed in wanted]})
        for number, seed in wanted[len(self.record.trials) :]:
            self.record.enqueue(space, search.trial(number).point, names.confirmation_name(number, seed))

    def trainings(self, number: int) -> Mapping[int, Trial]:
        """The further trainings of a trial's configuration, by seed."""
        trials = self.record.trials
        return {
            seed: trial
            for (confirmed, seed), trial in zip(self.wanted, trials, strict=False)
            if confirmed == number
        }

    def repeated(self, trials: Sequence[Trial]) -> list[Repeated]:
        """These configurations with their further trainings."""
        return [Repeated(trial=trial, trainings=self.trainings(trial.number)) for trial in trials]

    def name(self, number: int) -> str:
        """A training's name."""
        return names.confirmation_name(*self.wanted[number])

    def run_tags(self, number: int) -> dict[str, str]:
        """The tags that identify a training's run in MLflow."""
        return names.confirmation_tags(*self.wanted[number])


def configurations_to_confirm(record: StudyRecord, num: int) -> tuple[Trial, ...]:
    """The best configurations of a search, each once: complete trials, or pruned ones where none is complete.

    None that misses a constraint. With several objectives they are the best by the first, as the registered
    model is.
    """
    feasible = [trial for trial in record.leaderboard() if trial.is_feasible]
    ended = [trial for trial in feasible if trial.state == "complete"] or [
        trial for trial in feasible if trial.state in STOPPED
    ]
    distinct = {identity(trial.point): trial for trial in reversed(ended)}
    return tuple(trial for trial in ended if distinct[identity(trial.point)] is trial)[:num]
