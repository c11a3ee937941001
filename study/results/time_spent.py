"""Where the time of a study's processes went."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from study.names import trial_name
from study.results.study_result import StudyResult
from study.search.record.time_book import spans_of
from study.search.record.trial import Trial
from trainables.training.stopwatch import BESIDE, OF_EPOCHS, SPANS, TRAINING, added

WORTH_A_THOUGHT = 0.1
"""Share of the time below which nothing needs to be done about it."""
UNRECORDED_FRACTION = 0.02
"""Of a training's epochs: so much is lost in rounding, and is not worth a word."""
_WAYS_OUT = {
    "start": "A process starts once, and then trains one trial after another: more trials in one study, or "
    "longer ones, make that share smaller",
    "data": "Images are waited for where they are read from the disk: give each trial more memory, or store "
    "them smaller (study data add --size)",
    "validation": "Fewer views of each image (views: one) and no samples of dropout (dropout_samples: 0) "
    "make it shorter",
    "weights": "Weights are written where a trial gets better, and checkpoints every 15 s: a faster disk "
    "below STUDY_HOME makes that shorter",
    "logging": "Epochs are noted on the disk before they go to MLflow: longer epochs, or a faster disk below "
    "STUDY_HOME, make that share smaller",
    "idle": "A process waits for the study's driver after each epoch, and where nothing is left to start: "
    "longer epochs, or fewer trials at the same time (cpus_per_trial), make that share smaller",
    "lost": "That is trainings that broke, or began an epoch anew; study show NAME says why",
}


@dataclass(frozen=True, kw_only=True)
class Spent:
    """What a process, or a training, spent its time on."""

    name: str
    trainings: tuple[str, ...]
    """Those that the process trained, or the training itself."""
    seconds: Mapping[str, float]
    """By span, as `trainables.training.stopwatch` names them."""

    @property
    def total(self) -> float:
        """Seconds of all spans."""
        return sum(self.seconds.values())

    def share(self, *spans: str) -> float:
        """Of the total, in [0, 1]."""
        return sum(self.seconds.get(span, 0.0) for span in spans) / max(self.total, 1e-9)


@dataclass(frozen=True, kw_only=True)
class TimeSpent:
    """Where the time of a study's processes went, as far as it is recorded."""

    study: str
    processes: tuple[Spent, ...]
    """In the order in which they took their first trial."""
    trainings: tuple[Spent, ...]
    unrecorded: tuple[str, ...]
    """Trainings of which nothing is recorded, though they trained."""
    unrecorded_seconds: float
    """Of training and validation, those of other trainings included."""

    @classmethod
    def of(cls, result: StudyResult) -> "TimeSpent":
        """That of a study's trials and of the further trainings of its best."""
        named = [(trial_name(trial.number), trial) for trial in result.trials]
        named += result.confirmation.items()
        of_process: dict[str, list[tuple[str, Mapping[str, float]]]] = {}
        trainings, unrecorded, unrecorded_seconds = [], [], 0.0
        for name, trial in named:
            by_process = spans_of(trial.facts)
            for process, seconds in by_process.items():
                of_process.setdefault(process, []).append((name, seconds))
            if by_process:
                seconds = _sum(by_process.values())
                trainings.append(Spent(name=name, trainings=(name,), seconds=seconds))
            elif trial.seconds:
                unrecorded.append(name)
            unrecorded_seconds += _unrecorded_seconds(trial)
        return cls(
            study=result.spec.study,
            processes=tuple(
                Spent(
                    name=process,
                    trainings=tuple(name for name, _ in parts),
                    seconds=_sum(seconds for _, seconds in parts),
                )
                for process, parts in of_process.items()
            ),
            trainings=tuple(trainings),
            unrecorded=tuple(unrecorded),
            unrecorded_seconds=unrecorded_seconds,
        )

    @property
    def whole(self) -> Spent:
        """All processes together."""
        return Spent(
            name="all",
            trainings=tuple(one.name for one in self.trainings),
            seconds=_sum(one.seconds for one in self.processes),
        )

    @property
    def sentence(self) -> str:
        """How much of the time is training, what takes most beside it, and what to do about that."""
        whole = self.whole
        if not self.processes:
            return (
                "No trial of this study has a record of where its time went: none has reported yet, or all "
                "ran before that was measured."
            )
        largest = max(BESIDE, key=lambda span: whole.seconds.get(span, 0.0))
        share = whole.share(largest)
        told = (
            f"Training takes {whole.share(*TRAINING):.0%} of the time; most of the rest is {largest}, "
            f"{share:.0%} ({whole.seconds.get(largest, 0.0):,.0f} s)."
        )
        if share < WORTH_A_THOUGHT:
            return f"{told} That is little."
        return f"{told} {_WAYS_OUT[largest].replace('NAME', self.study)}."

    @property
    def remark(self) -> str | None:
        """What the record lacks; None where it lacks nothing."""
        if not self.processes or not self.unrecorded_seconds:
            return None
        names = ", ".join(self.unrecorded[:3]) + (" and others" if len(self.unrecorded) > 3 else "")
        whose = f", among them all of {names}" if self.unrecorded else ""
        return (
            f"Of {self.unrecorded_seconds:,.0f} s of training and validation there is no record{whose}: they "
            "lie within the last half minute, or an earlier version trained them, or a driver died before it "
            "had noted them."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        whole = self.whole
        return {
            "study": self.study,
            "spans": {
                span: {"seconds": round(whole.seconds[span], 3), "share": round(whole.share(span), 4)}
                for span in SPANS
                if span in whole.seconds
            },
            "seconds": round(whole.total, 3),
            "processes": [_row("process", one) for one in self.processes],
            "trainings": [_row("training", one) for one in self.trainings],
            "sentence": self.sentence,
            "unrecorded": list(self.unrecorded),
            "unrecorded_seconds": round(self.unrecorded_seconds, 3),
        }


def _sum(each: Iterable[Mapping[str, float]]) -> dict[str, float]:
    return reduce(added, each, {})


def _unrecorded_seconds(trial: Trial) -> float:
    """Of the epochs that a training reported, those that none of its spans holds."""
    of_epochs = sum(
        seconds
        for spans in spans_of(trial.facts).values()
        for span, seconds in spans.items()
        if span in OF_EPOCHS
    )
    missing = trial.seconds - of_epochs
    return missing if missing > UNRECORDED_FRACTION * trial.seconds else 0.0


def _row(kind: str, spent: Spent) -> dict[str, Any]:
    row: dict[str, Any] = {kind: spent.name}
    if kind == "process":
        row["trainings"] = list(spent.trainings)
    return {
        **row,
        "seconds": round(spent.total, 3),
        "spans": {span: round(spent.seconds[span], 3) for span in SPANS if span in spent.seconds},
    }
