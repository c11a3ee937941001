"""What a person can get wrong with a study, and what can fail under it.

StudyError
├── SpecError (ValueError)              a study file that says something impossible
├── UnknownStudyError (LookupError)     no study has that name
├── UnknownModelError (LookupError)     no registered model, or no version of it, is called that
├── MissingFilesError (LookupError)     what MLflow knows of a version is here, its files are not
├── ConflictError (RuntimeError)        somebody else decided on the champion at the same time
├── TrackingError (ConnectionError)     MLflow cannot be used
├── FailedStudyError (RuntimeError)     every trial failed
└── StopRequestedError (RuntimeError)   somebody asked the study to stop, and it did
"""


class StudyError(Exception):
    """Root of everything this package refuses; its text is one message for a person."""


class SpecError(StudyError, ValueError):
    """A study file that says something impossible."""

    def __init__(self, text: str, *, key: str = "") -> None:
        """`key` is the key of the study file that it is about, such as `budget.trials`."""
        super().__init__(text)
        self.path: tuple[str | int, ...] = tuple(
            int(part) if part.isdecimal() else part for part in key.split(".") if part
        )


class UnknownStudyError(StudyError, LookupError):
    """No study has that name."""


class UnknownModelError(StudyError, LookupError):
    """No registered model, or no version of it, is called that."""


class MissingFilesError(StudyError, LookupError):
    """MLflow knows the version, but its files are missing."""


class ConflictError(StudyError, RuntimeError):
    """Somebody else decided on the champion at the same time."""


class TrackingError(StudyError, ConnectionError):
    """MLflow cannot be used."""


class FailedStudyError(StudyError, RuntimeError):
    """Every trial failed, so there is nothing to register."""


class StopRequestedError(StudyError, RuntimeError):
    """Somebody asked the study to stop, and it did: nothing is lost, and `study resume` goes on with it."""
