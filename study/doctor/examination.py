"""The doctor: every check of a home, in the order in which findings are told."""

from collections.abc import Callable, Iterator

from study.doctor import data_and_models, mlflow_records, ray_leftovers, study_folders
from study.doctor.finding import Finding, Scope
from study.errors import StudyError, UnknownStudyError
from study.home import Home
from study.registry.lagging_aliases import model_names
from trainables.datasets.listing import dataset_names
from trainables.errors import TrainableError

CHECKS: tuple[Callable[[Scope], Iterator[Finding]], ...] = (
    study_folders.unreadable_studies,
    study_folders.half_begun_studies,
    study_folders.removed_studies,
    study_folders.unfinished_files,
    study_folders.files_without_a_trial,
    mlflow_records.half_made_databases,
    mlflow_records.untold_ends,
    mlflow_records.runs_left_running,
    mlflow_records.runs_of_removed_studies,
    mlflow_records.stray_logs,
    ray_leftovers.ray_of_dead_drivers,
    data_and_models.staged_datasets,
    data_and_models.damaged_datasets,
    data_and_models.moved_aliases,
)
"""Each looks for one kind of fault, changes nothing, and leaves out studies that somebody drives."""


def examine(home: Home, name: str | None = None) -> Iterator[Finding]:
    """What is wrong in a home, or with the study, the dataset and the model of one name; changes nothing.

    Raises UnknownStudyError where nothing has that name.
    """
    scope = Scope(home, name)
    if name is not None:
        _check_is_known(home, name)
    told = set()
    for check in CHECKS:
        for finding in _findings(check, scope):
            if (finding.where, finding.what) not in told:
                told.add((finding.where, finding.what))
                yield finding


def _findings(check: Callable[[Scope], Iterator[Finding]], scope: Scope) -> Iterator[Finding]:
    """Those of one check; where it cannot be made, the reason, which hides no other check."""
    try:
        yield from check(scope)
    except (StudyError, TrainableError, OSError) as error:
        yield Finding(where="this home", what=f"not everything could be looked at: {error}", mending="")


def _check_is_known(home: Home, name: str) -> None:
    known = {one.name for one in home.studies.glob("[!.]*") if one.is_dir()} | set(
        dataset_names(home.datasets)
    )
    if name not in known and name not in model_names(home):
        raise UnknownStudyError(
            f"no study, dataset or model is called {name!r}; known: {', '.join(sorted(known)) or 'none'}"
        )
