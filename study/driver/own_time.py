"""What a study takes beside its trials, noted in its record: by this the next one is quoted."""

import time
from collections.abc import Sequence

from study.quote.earlier import BESIDE_FACT
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial


def note_own_time(record: StudyRecord, confirmed: Sequence[Trial], begun: float) -> None:
    """Notes how long it took from `begun`, in seconds since 1970, to the first step of a trial, and from the
    last one's end until now; nothing where no trial ended.
    """
    ended = [trial for trial in record.trials if trial.ended is not None]
    last = max((trial.ended or 0.0 for trial in (*ended, *confirmed)), default=0.0)
    if ended:
        first = min((trial.ended or 0.0) - trial.seconds for trial in ended)
        record.note(**{BESIDE_FACT: {"start": max(first - begun, 0.0), "end": max(time.time() - last, 0.0)}})
