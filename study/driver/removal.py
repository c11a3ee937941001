"""Removing studies and datasets, and archiving studies: what is on the disk goes, what MLflow and the model
registry have of it stays.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from study import names
from study.connections.model_registry import has_database, registry_of
from study.disk_space import bytes_in, size_text
from study.errors import SpecError, UnknownStudyError
from study.evaluation.confirmation import FOLDER as CONFIRMATION
from study.home import Home
from study.registry.versions import list_versions
from study.results.study_result import StudyResult, UnreadableStudy, find_study, list_studies
from study.search.record.checkpoints import delete_all_checkpoints
from study.search.record.driver_lock import driving
from study.search.record.kept_weights import weights_but
from study.search.record.storage import delete_from_database
from study.study_file.edits import Edit, append_edit
from trainables.datasets.staging import remove_folder
from trainables.errors import UnknownDatasetError
from trainables.suggestions import did_you_mean


@dataclass(frozen=True, kw_only=True)
class Doomed:
    """A folder that a removal takes away."""

    name: str
    folder: Path
    num_bytes: int

    @property
    def size_text(self) -> str:
        """Its size on disk, for a person."""
        return size_text(self.num_bytes)


def find_study_folder(home: Home, name: str) -> Doomed:
    """The folder of a study, also of one that cannot be read or was never whole. Raises UnknownStudyError."""
    known = _folders(home.studies)
    if name not in known:
        raise UnknownStudyError(f"unknown study {name!r}; known: {', '.join(known) or 'none'}")
    return Doomed(name=name, folder=home.studies / name, num_bytes=bytes_in(home.studies / name))


def find_dataset_folder(home: Home, name: str) -> Doomed:
    """The folder of a dataset, also of a damaged one. Raises UnknownDatasetError."""
    known = _folders(home.datasets)
    if name not in known:
        raise UnknownDatasetError(
            f"unknown dataset {name!r}; known: {', '.join(known) or 'none'}{did_you_mean(name, known)}"
        )
    return Doomed(name=name, folder=home.datasets / name, num_bytes=bytes_in(home.datasets / name))


def remove_study(found: Doomed) -> None:
    """Removes the record, the weights and the checkpoints of a study, which cannot be resumed after that.

    Its runs in MLflow, its registered versions and its openings of the test split stay. Raises StudyError
    while a process drives it.
    """
    with driving(found.folder):
        delete_from_database(found.folder)
        doomed = found.folder.with_name(f".{found.name}.removed")
        shutil.rmtree(doomed, ignore_errors=True)
        found.folder.rename(doomed)  # gone in one step, whoever dies within
    shutil.rmtree(doomed)


def remove_dataset(home: Home, found: Doomed) -> None:
    """Removes the images of a dataset. The record of openings of its test split stays, for when it is added
    again.

    Raises SpecError while a process drives a study on it.
    """
    for study in list_studies(home):
        if isinstance(study, StudyResult) and study.spec.dataset == found.name and study.driver is not None:
            name = study.spec.study
            raise SpecError(
                f"dataset {found.name!r} is in use: study {name!r} is driven {study.driver}; stop it first: "
                f"study stop {name}"
            )
    remove_folder(found.folder)


def needs_of(home: Home, found: Doomed) -> list[str]:
    """What would no longer work without a dataset, a clause for each; raises TrackingError where MLflow
    cannot say.
    """
    return [*_studies_on(home, found.name), *_models_of(home, found.name)]


def archive_study(home: Home, name: str) -> int:
    """Takes a study out of the list, and frees what it does not need to be shown; returns the bytes freed.

    Of one that has ended, the weights of all that is not registered go; of any other, its checkpoints, so
    that trials that were cut off begin again. Raises UnknownStudyError, SpecError, or StudyError while a
    process drives it.
    """
    result = find_study(home, name)
    if result.is_archived:
        raise SpecError(f"study {name!r} is archived already; to bring it back: study archive {name} --undo")
    with driving(result.folder):
        result = find_study(home, name)  # as the driver before left it
        # Before anything goes, so that nobody extends what lacks its weights.
        append_edit(result.folder, Edit(kind="archive", freed_weights=result.has_ended))
        before = bytes_in(result.folder)
        _free(result)
        return before - bytes_in(result.folder)


def unarchive_study(home: Home, name: str) -> None:
    """Brings a study back into the list; what was freed stays away. Raises UnknownStudyError."""
    result = find_study(home, name)
    if not result.is_archived:
        raise SpecError(f"study {name!r} is not archived")
    append_edit(result.folder, Edit(kind="unarchive"))


def needless_weights(result: StudyResult) -> tuple[Path, ...]:
    """The weights of a study that has ended, but for those that its registered versions consist of."""
    registered = () if result.final is None else result.final.candidates
    members = {names.confirmation_name(one.trial, seed) for one in registered for seed in one.seeds}
    numbers = {number for number, name in enumerate(result.confirmation) if name in members}
    return (
        *weights_but(result.folder, {one.trial for one in registered if not one.seeds}),
        *weights_but(result.folder / CONFIRMATION, numbers),
    )


def _free(result: StudyResult) -> None:
    if result.has_ended:
        delete_all_checkpoints(result.folder)
        delete_all_checkpoints(result.folder / CONFIRMATION)
        for file in needless_weights(result):
            file.unlink(missing_ok=True)
    elif result.spec.early_stopping.rule != "pbt":  # whose trials go on from each other's checkpoints
        delete_all_checkpoints(result.folder)
        delete_all_checkpoints(result.folder / CONFIRMATION)


def _folders(place: Path) -> list[str]:
    return sorted(one.name for one in place.glob("*") if one.is_dir() and not one.name.startswith("."))


def _studies_on(home: Home, dataset: str) -> Iterator[str]:
    for study in list_studies(home):
        if isinstance(study, UnreadableStudy):
            yield f"study {study.study!r} cannot be read, and may be on it"
        elif study.spec.dataset == dataset and not study.has_ended and not study.is_archived:
            yield f"study {study.spec.study!r} is {study.state} and could not go on"


def _models_of(home: Home, dataset: str) -> Iterator[str]:
    if not has_database(home):
        return
    with registry_of(home) as client:
        versions = [one for one in list_versions(client) if one.model == names.model_name(dataset)]
    if versions:
        yield (
            f"{len(versions)} registered version{'s' if len(versions) > 1 else ''} of the model "
            f"{versions[0].model!r} could not be trained again, nor compared on its test images"
        )
