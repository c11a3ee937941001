"""Where a study's state is kept: a journal file in its folder that survives any death of the process, or a
database.
"""

import functools
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import DuplicatedStudyError, StorageInternalError
from optuna.storages import BaseStorage, JournalStorage
from sqlalchemy.exc import SQLAlchemyError

from study.connections.database_url import absolute, check_answers, masked, no_answer, without_password
from study.errors import StudyError
from study.search.record.journal import JournalFile
from study.yaml_file import read_yaml

JOURNAL_FILE = "search.journal"
DATABASE_FILE = "search.json"
"""Says which database holds the study, without a password."""
SPEC_FILE = "study.yaml"


class Storage:
    """Optuna's storage of one study; where a database does not answer, each call raises a StudyError."""

    def __init__(self, inner: BaseStorage, url: str | None, name: str) -> None:
        self._inner = inner
        self._url = url
        self.study_id: int = self.get_study_id_from_name(name)

    def __getattr__(self, name: str) -> Any:
        return _raising_study_errors(getattr(self._inner, name), self._url)


def create_storage(folder: Path, name: str, url: str | None, directions: list[Any]) -> Storage:
    """A new study in a journal file in `folder`, or in the database at `url`. Raises StudyError."""
    inner = _journal(JournalFile.create(folder / JOURNAL_FILE)) if url is None else _database(url)
    try:
        _raising_study_errors(inner.create_new_study, url)(directions, name)
    except DuplicatedStudyError:
        raise StudyError(_taken(name, url or str(folder))) from None
    if url is not None:
        (folder / DATABASE_FILE).write_text(
            json.dumps({"study": name, "storage": without_password(absolute(url))}), encoding="utf-8"
        )
    return Storage(inner, url, name)


def open_storage(folder: Path, url: str | None = None) -> Storage:
    """The study kept in `folder`, or in the database that the folder names.

    Raises FileNotFoundError where there is neither.
    """
    if (folder / JOURNAL_FILE).exists():
        inner = _journal(JournalFile(folder / JOURNAL_FILE))
        (found,) = inner.get_all_studies()
        return Storage(inner, None, found.study_name)
    noted = json.loads((folder / DATABASE_FILE).read_text(encoding="utf-8"))
    url = url or _with_password(folder, noted["storage"])
    try:
        return Storage(_database(url), url, noted["study"])
    except KeyError:
        raise StudyError(
            f"search_storage {masked(url)!r} does not hold the study {noted['study']!r} any more; restore it "
            "there"
        ) from None


def delete_from_database(folder: Path) -> None:
    """Deletes the study of `folder` from the database that holds it; nothing where none does.

    Raises StudyError if the database does not answer.
    """
    if not (folder / DATABASE_FILE).exists():
        return
    noted = json.loads((folder / DATABASE_FILE).read_text(encoding="utf-8"))
    url = _with_password(folder, noted["storage"])
    inner = _database(url)
    try:
        study_id = _raising_study_errors(inner.get_study_id_from_name, url)(noted["study"])
    except KeyError:
        return
    _raising_study_errors(inner.delete_study, url)(study_id)


def check_name_is_free_in(url: str, name: str) -> None:
    """Raises StudyError if the database does not answer, or holds a study of that name."""
    inner = _database(url)
    if any(found.study_name == name for found in _raising_study_errors(inner.get_all_studies, url)()):
        raise StudyError(_taken(name, url))


def _with_password(folder: Path, noted: str) -> str:
    """The address that the folder notes, or the study file's where that one has a password besides."""
    spec_file = folder / SPEC_FILE
    written = read_yaml(spec_file).get("search_storage") if spec_file.exists() else None
    return written if isinstance(written, str) and without_password(absolute(written)) == noted else noted


def _journal(file: JournalFile) -> BaseStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return JournalStorage(file)


def _database(url: str) -> BaseStorage:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    check_answers(url)
    storage: BaseStorage = _raising_study_errors(optuna.storages.get_storage, url)(absolute(url))
    return storage


def _raising_study_errors(call: Callable[..., Any], url: str | None) -> Callable[..., Any]:
    """The same call, which raises a StudyError if the database fails."""
    if url is None or not callable(call):
        return call

    @functools.wraps(call)
    def guarded(*args: Any, **options: Any) -> Any:
        try:
            return call(*args, **options)
        except (StorageInternalError, SQLAlchemyError) as error:
            reason = str(error.__cause__ or error).splitlines()[0]
            raise StudyError(no_answer(url, reason)) from None

    return guarded


def _taken(name: str, place: str) -> str:
    return (
        f"{masked(place)!r} holds a study named {name!r} already; choose another name, or another "
        "search_storage"
    )
