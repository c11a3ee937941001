"""The gauges of one study, which its driver publishes while it runs on a shared cluster."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import MappingProxyType

from cluster.connection import is_shared
from cluster.gauges import Sample, published
from study.search.record.study_record import StudyRecord
from study.tracking.flushing import OUTBOX_FOLDER
from study.tracking.run_log import logs_in

ABOUT: Mapping[str, str] = MappingProxyType(
    {
        "study_trials": "Trials of a running study, by state.",
        "study_unsent_records": "Records of a running study that MLflow does not have yet.",
    }
)
"""What each gauge is, by name."""
SECONDS_BETWEEN_SAMPLES = 15.0
"""Counting what waits for MLflow reads the logs of all trials that run."""


class StudyGauges:
    """What is published of a study: the driver notes its trials, another thread reads."""

    def __init__(self, study: str, user: str, folder: Path) -> None:
        self._tags = {"study": study, "user": user}
        self._outbox = folder / OUTBOX_FOLDER
        self._num_trials: Mapping[str, int] = {}

    def published(self) -> AbstractContextManager[None]:
        """Publishes while the block runs, on a cluster that others may use, too."""
        return published(self.read, ABOUT, SECONDS_BETWEEN_SAMPLES) if is_shared() else nullcontext()

    def note(self, record: StudyRecord) -> None:
        """Counts the trials anew, where that is published."""
        if not is_shared():
            return
        self._num_trials = Counter(trial.state for trial in record.trials)

    def read(self) -> Iterator[Sample]:
        """All samples of now."""
        for state, num in self._num_trials.items():
            yield Sample(name="study_trials", value=num, tags={**self._tags, "state": state})
        try:
            num_unsent = sum(log.num_waiting for log in logs_in(self._outbox))
        except OSError:  # a log that goes at this moment
            return
        yield Sample(name="study_unsent_records", value=num_unsent, tags=self._tags)
