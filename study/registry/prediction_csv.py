"""Predictions as a CSV file: a line for each image, a column for each class."""

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from study.errors import SpecError
from study.registry.predictions import Prediction
from trainables.atomic import atomic_file
from trainables.printable import quoted

FIXED = ("file", "class", "probability")


def check_writable(file: Path) -> None:
    """Raises SpecError unless a file can be written there."""
    if file.is_dir() or not file.absolute().parent.is_dir():
        raise SpecError(
            f"--csv must name a file in a folder that exists, got {quoted(str(file))}; make the folder first"
        )


def writing(file: Path, classes: Iterable[str], predictions: Iterable[Prediction]) -> Iterator[Prediction]:
    """The predictions as they come. Once all have come, `file` holds those of images that could be read, and
    before that it is as it was.

    Its columns are `file`, `class` (the most probable one), `probability` (of that one), and the probability
    of each class.
    """
    classes = tuple(classes)
    with (
        atomic_file(file) as unfinished,
        # A name that is no UTF-8 stays readable, and is no reason to write nothing.
        unfinished.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow([*FIXED, *_columns(classes)])
        for one in predictions:
            if one.probabilities is not None:
                shares = (one.confidence, *(one.probabilities[name] for name in classes))
                rows.writerow([one.file, one.label, *(f"{share:.6f}" for share in shares)])
            yield one


def _columns(classes: tuple[str, ...]) -> Iterator[str]:
    """The names of the classes; one that another column has, too, is `class NAME`."""
    taken = {*FIXED, *classes}
    for name in classes:
        column = name
        while column in FIXED or (column != name and column in taken):
            column = f"class {column}"
        taken.add(column)
        yield column
