"""The sealed test split: the only code that opens `test.arrow`, and the record of each opening.

A number measured on a test split is worth less each time the split is looked at; the record says how often
that was.
"""

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.arrow_files import read_clean_mask, read_kept, read_pixel_digests
from trainables.datasets.dataset import open_split
from trainables.datasets.listing import read_manifest
from trainables.datasets.split import Split
from trainables.whole_lines import append_line, whole_lines

OPENINGS_FILE = "openings.jsonl"


@dataclass(frozen=True, kw_only=True)
class Opening:
    """One opening of a test split."""

    time: str
    """UTC, ISO 8601."""
    opened_by: str
    """Who or what asked for it, such as a study's name."""
    dataset_digest: str
    """Digest of the dataset that stood in the folder at that time."""
    measurement: str = ""
    """What was to be measured, where a process that died goes on with its opening."""


def open_test_split(
    folder: Path, opened_by: str, *, measurement: str = ""
) -> tuple[Split, NDArray[np.bool_]]:
    """The test split of the dataset in `folder`, and which of its images are clean, (N,) bool.

    `measurement` names one whose result is not kept yet. Where a process died within it, its opening counts,
    and no second one: nobody has seen a number.
    An image is clean if no image of train or validation has the same pixels, or is of the same group. Appends
    a line to `openings.jsonl` before it returns. Raises UnknownDatasetError, or DatasetError if a file is
    damaged.
    """
    manifest = read_manifest(folder)
    split = open_split(folder, manifest, "test")
    is_clean = read_clean_mask(folder / "test.arrow")
    now = datetime.now(UTC).isoformat(timespec="seconds")
    opening = Opening(time=now, opened_by=opened_by, dataset_digest=manifest.digest, measurement=measurement)
    if not measurement or opening not in (replace(one, time=now) for one in openings(folder)):
        _record(folder, opening)
    return split, is_clean


def test_split_to_copy(folder: Path) -> Split:
    """The test split, for a dataset whose own test split, sealed as well, takes all its images over with the
    record of their openings: nobody sees an image or a number, so it is no opening.
    """
    return open_split(folder, read_manifest(folder), "test")


def pixel_digests_of_test(folder: Path) -> tuple[bytes, ...]:
    """The digest of each test image's pixels, which tells whether another image is the same, and nothing
    else: it is no opening.
    """
    digests: list[bytes] = read_pixel_digests(folder / "test.arrow").tolist()
    return tuple(digests)


def kept_of_test(folder: Path) -> dict[str, list[str | None]]:
    """By column that a person keeps: its value of each test image, which tells nothing of the image itself or
    of its class: it is no opening.
    """
    return read_kept(folder / "test.arrow")


def openings(folder: Path) -> tuple[Opening, ...]:
    """All recorded openings of the test split in `folder`, oldest first."""
    return tuple(Opening(**json.loads(line)) for line in whole_lines(folder / OPENINGS_FILE))


def _record(folder: Path, opening: Opening) -> None:
    append_line(folder / OPENINGS_FILE, json.dumps(asdict(opening)))
