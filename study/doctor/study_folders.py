"""Checks of the folders of studies: each can be read, is whole, and holds nothing that is left over."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from study.doctor.finding import Finding, Scope, counted, is_quiet
from study.driver.removal import find_study_folder, remove_study
from study.evaluation.confirmation import FOLDER as CONFIRMATION
from study.evaluation.confirmation import Confirmation
from study.evaluation.final_result import RESULT_FILE, FinalResult
from study.names import trial_name
from study.planning.half_begun import UNFINISHED, foreign_file
from study.results.reproduction import REPRODUCTION_FILE, Reproduction
from study.results.study_result import StudyResult, UnreadableStudy
from study.search.record.driver_lock import driver_of, driving
from study.search.record.journal import num_whole_lines
from study.search.record.storage import JOURNAL_FILE, SPEC_FILE
from study.search.record.study_record import StudyRecord
from study.search.record.trial import Trial
from study.study_file.edits import EDITS_FILE, read_edits
from study.study_file.study_spec import StudySpec

_PARTS: Mapping[str, Callable[[Path], Any]] = {
    SPEC_FILE: lambda folder: StudySpec.read(folder / SPEC_FILE),
    JOURNAL_FILE: StudyRecord.open,
    EDITS_FILE: read_edits,
    CONFIRMATION: Confirmation.read,
    RESULT_FILE: FinalResult.read,
    REPRODUCTION_FILE: Reproduction.read,
}
"""What a study is read from."""
_WRITTEN_AGAIN = (RESULT_FILE, REPRODUCTION_FILE)
"""What `study resume` writes again from what else the folder holds."""
_DAMAGED = ".damaged"


def unreadable_studies(scope: Scope) -> Iterator[Finding]:
    """A study that cannot be read."""
    for study in scope.resting:
        if isinstance(study, UnreadableStudy):
            damaged = [part for part in _PARTS if _is_damaged(study.folder, part)]
            can_mend = bool(damaged) and set(damaged) <= set(_WRITTEN_AGAIN)
            listed = " and ".join(damaged) or "its folder"
            yield Finding(
                where=f"study {study.study}",
                what=f"{listed} cannot be read ({study.reason}){_recoverable(study.folder, damaged)}",
                mending=f"puts it aside as {damaged[0]}{_DAMAGED}; study resume {study.study} writes it again"
                if can_mend
                else f"put {listed} back from a copy, or begin again: study rm {study.study}; its runs and "
                "models in MLflow stay",
                mend=partial(_put_aside, study.folder, damaged) if can_mend else None,
            )


def half_begun_studies(scope: Scope) -> Iterator[Finding]:
    """A folder in which a study was about to begin."""
    for folder in _folders(scope.home.studies):
        if (
            not scope.covers(folder.name)
            or (folder / SPEC_FILE).exists()
            or driver_of(folder) is not None
            or not is_quiet(folder)
        ):
            continue
        foreign = foreign_file(folder)
        yield Finding(
            where=f"study {folder.name}",
            what="its folder has no study file: it was killed as it began, and nothing of it ran"
            if not foreign
            else f"its folder has no study file, and holds {foreign}",
            mending="removes the folder"
            if not foreign
            else f"put {folder / SPEC_FILE} back, or remove it: study rm {folder.name}",
            mend=None if foreign else partial(_remove, scope, folder.name),
        )


def removed_studies(scope: Scope) -> Iterator[Finding]:
    """What a removal that was cut off left of a study."""
    for folder in sorted(scope.home.studies.glob(".*.removed")):
        name = folder.name.removeprefix(".").removesuffix(".removed")
        if scope.covers(name) and is_quiet(folder):
            yield Finding(
                where=f"study {name}",
                what="its removal was cut off",
                mending=f"removes {folder}",
                mend=partial(shutil.rmtree, folder),
            )


def unfinished_files(scope: Scope) -> Iterator[Finding]:
    """Files that a killed process was writing."""
    places = {f"study {study.folder.name}": study.folder for study in scope.resting}
    for where, folder in places.items():
        found = list(_unfinished(folder))
        if found:
            yield Finding(
                where=where,
                what=f"{counted(len(found), 'file')} that a killed process was writing, such as "
                f"{found[0].relative_to(folder)}",
                mending="removes them",
                mend=partial(_remove_unfinished, folder),
            )
    own = [one for one in scope.home.folder.glob(".write-test-*") if scope.name is None and is_quiet(one)]
    if own:
        yield Finding(
            where="this home",
            what=f"{counted(len(own), 'file')} that a killed process was writing, such as {own[0].name}",
            mending="removes them",
            mend=partial(_remove_all, own),
        )


def files_without_a_trial(scope: Scope) -> Iterator[Finding]:
    """Weights of trials that the record does not have, and checkpoints of trials that do not go on."""
    for study in scope.readable:
        found = list(_without_a_trial(study))
        if found:
            yield Finding(
                where=f"study {study.folder.name}",
                what=f"{counted(len(found), 'file')} of weights or checkpoints without a trial that needs "
                f"them, such as {found[0].relative_to(study.folder)}",
                mending="removes them",
                mend=partial(_remove_without_a_trial, study.folder),
            )


def _is_damaged(folder: Path, part: str) -> bool:
    try:
        _PARTS[part](folder)
    except Exception:  # noqa: BLE001  whatever a damaged file does to its reader
        return True
    return False


def _recoverable(folder: Path, damaged: Iterable[str]) -> str:
    kept = sum(1 for _ in (folder / "weights").glob("*.pt"))
    said = [f"{counted(kept, 'file')} of weights are whole"] if kept else []
    if JOURNAL_FILE in damaged and (folder / JOURNAL_FILE).exists():
        whole, of = num_whole_lines(folder / JOURNAL_FILE)
        said.insert(0, f"the first {whole:,} of its {counted(of, 'line')} are whole")
    return f"; {', '.join(said)}" if said else ""


def _put_aside(folder: Path, damaged: Iterable[str]) -> None:
    with driving(folder):
        for part in damaged:
            if _is_damaged(folder, part):
                (folder / part).rename(folder / f"{part}{_DAMAGED}")


def _remove(scope: Scope, name: str) -> None:
    remove_study(find_study_folder(scope.home, name))


def _folders(place: Path) -> list[Path]:
    return sorted(one for one in place.glob("[!.]*") if one.is_dir())


def _unfinished(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if UNFINISHED.fullmatch(path.name):
            if is_quiet(path):
                yield path
        elif path.is_dir() and not path.is_symlink():
            yield from _unfinished(path)


def _remove_unfinished(folder: Path) -> None:
    with driving(folder):
        _remove_all(list(_unfinished(folder)))


def _without_a_trial(study: StudyResult) -> Iterator[Path]:
    places: dict[Path, Iterable[Trial]] = {
        study.folder: study.trials,
        study.folder / CONFIRMATION: study.confirmation.values(),
    }
    for folder, trials in places.items():
        known = {trial_name(trial.number) for trial in trials}
        going_on = {trial_name(trial.number) for trial in trials if not trial.has_ended}
        yield from (file for file in sorted((folder / "weights").glob("*.pt")) if file.stem not in known)
        yield from (one for one in sorted((folder / "checkpoints").glob("[!.]*")) if one.name not in going_on)


def _remove_without_a_trial(folder: Path) -> None:
    with driving(folder):
        _remove_all(list(_without_a_trial(StudyResult.read(folder))))


def _remove_all(paths: Iterable[Path]) -> None:
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
