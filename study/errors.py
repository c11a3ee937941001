"""What a person can get wrong with a study, and what can fail under it.

StudyError
├── SpecError (ValueError)              a study file that says something impossible
├── UnknownStudyError (LookupError)     no study has that name
├── TrackingError (ConnectionError)     MLflow cannot be used
└── FailedStudyError (RuntimeError)     every trial failed
"""


class StudyError(Exception):
    """Root of everything this package refuses; its text is one message for a person."""


class SpecError(StudyError, ValueError):
    """A study file that says something impossible."""


class UnknownStudyError(StudyError, LookupError):
    """No study has that name."""


class TrackingError(StudyError, ConnectionError):
    """MLflow cannot be used."""


class FailedStudyError(StudyError, RuntimeError):
    """Every trial failed, so there is nothing to register."""
