"""Writing the splits of a dataset out of the parts of its source."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trainables.datasets.arrow_files import Groups, SplitFile, SplitRows
from trainables.datasets.findings import clean_test_images
from trainables.datasets.manifest import SplitSummary
from trainables.datasets.parts import images_file
from trainables.datasets.split import SPLITS
from trainables.datasets.spooled_images import SpooledImages


def write_splits(
    folder: Path,
    carved: SpooledImages,
    given: frozenset[str],
    num_classes: int,
    tell: Callable[[int], object],
) -> dict[str, SplitSummary]:
    """Moves the images into one file for each split: each part is removed once it is in them, so that the
    disk holds one part twice, and no more.

    Where that was cut off it goes on with the parts that are left. `tell` is told how many images are moved.
    """
    rows = {split: np.flatnonzero(carved.splits == split) for split in SPLITS}
    files = {split: SplitFile(folder / f"{split}.arrow", _rows(carved, split)) for split in SPLITS}
    num_done = 0
    for number in np.unique(carved.parts).tolist():
        for split in SPLITS:
            of_part = rows[split][carved.parts[rows[split]] == number]
            _move(files[split], carved, number, of_part)
            files[split].flush()
            num_done += len(of_part)
        images_file(carved.folder, number).unlink(missing_ok=True)
        tell(num_done)
    return {
        split: _summary(carved, rows[split], files[split].close(), num_classes, split in given)
        for split in SPLITS
    }


def _rows(carved: SpooledImages, split: str) -> SplitRows:
    is_in_split = carved.splits == split
    rows = carved.rows(is_in_split)
    # Numbered over the whole dataset: a group has the same number in each split.
    groups = (
        Groups(numbers=carved.group_keys[is_in_split], names=rows.groups.tolist())
        if carved.has_groups
        else None
    )
    is_encoded = carved.form == "encoded"
    bytes_of_pixels = rows.shapes[:, 0] * rows.shapes[:, 1] * carved.num_channels
    return SplitRows(
        lengths=rows.lengths if is_encoded else bytes_of_pixels,
        is_encoded=is_encoded,
        labels=rows.labels,
        names=rows.names.tolist(),
        digests=rows.digests,
        groups=groups,
        clean=clean_test_images(carved) if split == "test" else None,
        kept={name: rows.kept[:, number].tolist() for number, name in enumerate(carved.kept_columns)},
    )


def _move(file: SplitFile, carved: SpooledImages, number: int, rows: NDArray[np.int64]) -> None:
    """Appends some images of one part to a split; where the part is gone, they are there."""
    part = images_file(carved.folder, number)
    is_widened = carved.form == "decoded" and carved.num_channels > 1
    if not part.exists():
        pixels = np.prod(carved.shapes[rows, :2], axis=1, dtype=np.int64) * carved.num_channels
        file.skip(int((carved.lengths[rows] if carved.form == "encoded" else pixels).sum()))
    elif len(rows):
        content = np.memmap(part, np.uint8, "r")
        for row in rows.tolist():
            image = content[carved.offsets[row] : carved.offsets[row] + carved.lengths[row]]
            is_gray = carved.shapes[row, 2] == 1
            file.write(np.repeat(image, carved.num_channels) if is_widened and is_gray else image)


def _summary(
    carved: SpooledImages, rows: NDArray[np.int64], digest: str, num_classes: int, is_given: bool
) -> SplitSummary:
    return SplitSummary(
        num_images=len(rows),
        num_by_class=tuple(np.bincount(carved.labels[rows], minlength=num_classes).tolist()),
        digest=digest,
        origin="given" if is_given else "carved",
        num_groups=len(np.unique(carved.group_keys[rows])) if carved.has_groups else None,
    )
