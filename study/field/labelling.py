"""Labels of the images of a folder, as a person corrects them: a listing that `study data add` reads."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from study.errors import SpecError
from study.field.folder_images import files_in
from study.file_lock import try_lock
from trainables.atomic import atomic_file
from trainables.printable import cut, quoted

LABELS_FILE = "labels.csv"
PREDICTIONS_FILE = "predictions.csv"
"""As `study serve --record` writes it: `file,label,confidence,version,time`."""
MAX_CLASSES = 1000
LOCK_FILE = ".labels.lock"


@dataclass(frozen=True, kw_only=True)
class Guess:
    """What a model took an image for."""

    label: str
    confidence: float | None
    """Its probability; None where it was not written down."""


class Labelling:
    """The labels of a folder's images. Each change is on the disk, whole, before it is answered.

    Not for several threads at once.
    """

    def __init__(self, folder: Path, classes: Sequence[str] = ()) -> None:
        """`classes` come first, and beside them those that the folder's own files name.

        What an earlier process wrote is taken up. Raises SpecError where there are no images, fewer than two
        classes, or a file of labels that is none.
        """
        self.folder, self.file = folder, folder / LABELS_FILE
        files = [str(file.relative_to(folder)) for file in files_in(folder)]
        self.strange = tuple(name for name in files if not _is_plain(name))
        """Names that no listing can hold; their images are left out."""
        self.guesses = _read_guesses(folder / PREDICTIONS_FILE)
        usable = [name for name in files if _is_plain(name)]
        known = set(usable)
        written = _read_labels(self.file)
        self.lost = tuple(name for name in written if name not in known)
        """Labelled files that are not there any more; the next change leaves them out."""
        self._labels = {name: label for name, label in written.items() if name in known}
        self.names = sorted(usable, key=self._least_certain_first)
        """Of the images, relative to the folder."""
        found = [*written.values(), *(guess.label for guess in self.guesses.values())]
        self.classes = tuple(dict.fromkeys([*classes, *sorted(set(found))]))
        self._before: list[tuple[str, str | None]] = []
        _check_classes(self.classes)
        self._lock = _locked(folder)

    @property
    def num_labelled(self) -> int:
        """How many images have a label."""
        return len(self._labels)

    def label(self, name: str) -> str | None:
        """Of an image; None where it has none yet."""
        return self._labels.get(name)

    def set(self, name: str, label: str | None) -> None:
        """Gives an image a label, or takes it away. Raises SpecError for what is no image, or no class."""
        if name not in self.names:
            raise SpecError(f"an image must be one of {self.folder}, got {quoted(name)}")
        if label is not None and label not in self.classes:
            raise SpecError(f"a label must be one of {cut(', '.join(self.classes))}; got {quoted(label)}")
        before = self.label(name)
        self._put(name, label)
        self._before.append((name, before))

    def undo(self) -> str | None:
        """Takes back the last change of this process, and returns its image; None where there is none."""
        if not self._before:
            return None
        name, before = self._before[-1]
        self._put(name, before)
        self._before.pop()
        return name

    def close(self) -> None:
        """Lets go of the folder."""
        self._lock.close()

    def _put(self, name: str, label: str | None) -> None:
        labels = {**self._labels, name: label}
        kept = {name: one for name, one in labels.items() if one is not None}
        _write_labels(self.file, kept)
        self._labels = kept

    def _least_certain_first(self, name: str) -> tuple[float, str]:
        """Images without a guess come last."""
        guess = self.guesses.get(name)
        return (2.0 if guess is None or guess.confidence is None else guess.confidence, name)


def _locked(folder: Path) -> BinaryIO:
    """A lock that ends with this process. Raises SpecError where another one holds it, or where the folder
    cannot be written to.
    """
    try:
        lock = try_lock(folder / LOCK_FILE)
    except OSError as error:
        raise SpecError(
            f"labels go into the folder of the images, and {quoted(str(folder))} cannot be written to: "
            f"{error.strerror}; copy it to where it can"
        ) from error
    if lock is None:
        raise SpecError(
            f"another `study label` has {quoted(str(folder))} open; end it first, or go on with its page"
        )
    return lock


def _is_plain(name: str) -> bool:
    """Whether a CSV that others read can hold the name of a file."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return name.isprintable() and name == name.strip()


def _check_classes(classes: tuple[str, ...]) -> None:
    way_out = "name them: --classes happy,sad, or --model NAME for those of a registered model"
    if len(classes) < 2:
        raise SpecError(f"labels need at least 2 classes, got {', '.join(classes) or 'none'}; {way_out}")
    if len(classes) > MAX_CLASSES:
        raise SpecError(f"labels may be of {MAX_CLASSES:,} classes, got {len(classes):,}; {way_out}")
    if strange := [name for name in classes if not name or not _is_plain(name)]:
        raise SpecError(f"a class is a name of printable characters, got {quoted(strange[0])}; {way_out}")


def _read_guesses(file: Path) -> dict[str, Guess]:
    """By image; empty where nothing was recorded. Of several of one image the last one holds."""
    if not file.is_file():
        return {}
    return {
        row["file"]: Guess(label=row["label"], confidence=_number(row.get("confidence")))
        for row in _rows(file, ("file", "label"))
    }


def _read_labels(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    return {row["filename"]: row["label"] for row in _rows(file, ("filename", "label"))}


def _rows(file: Path, columns: tuple[str, ...]) -> list[dict[str, str]]:
    try:
        with file.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            rows = list(reader)
            missing = [name for name in columns if name not in (reader.fieldnames or ())]
    except (UnicodeDecodeError, csv.Error) as error:
        raise SpecError(f"{file} is no CSV ({error}); move it away, or mend it") from error
    if missing:
        raise SpecError(f"{file} must have the columns {', '.join(columns)}; move it away, or mend it")
    return [row for row in rows if all(row[name] for name in columns)]


def _number(text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def _write_labels(file: Path, labels: dict[str, str]) -> None:
    with atomic_file(file) as unfinished, unfinished.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(["filename", "label"])
        rows.writerows(sorted(labels.items()))
