"""A part of a source on its way into a dataset: some hundred images, read and checked in one go, by any
process.

Each part becomes two files: `part-000012.images`, the images one after another, and `part-000012.json`, what
is known of each. The second one is written last and whole, so that work that was cut off goes on after the
last part that has it.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainables.atomic import atomic_file
from trainables.datasets.decoding import Content, decoded_batches
from trainables.datasets.forms import Form
from trainables.datasets.options import AddOptions
from trainables.datasets.pixels import decode, pixel_digest
from trainables.datasets.problems import Problems
from trainables.datasets.sources.source import Source, SourceImage

PART_IMAGES = 96
"""Some sources hand over pixels, which stand in memory until their part is read."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One image of a part that can be used."""

    name: str
    label: int
    group: str | None
    split: str | None
    num_bytes: int
    """As it lies in the part's file; 0 for one that lies in none, as the source is going to be refused."""
    shape: tuple[int, ...]
    """Height, width and channels, decoded."""
    digest: str
    """Hexadecimal, of its pixels."""
    moments: tuple[tuple[float, ...], tuple[float, ...]]
    """Means of its pixels in [0, 1] and of their squares, by three channels; only of encoded images."""
    kept: tuple[str | None, ...] = ()
    """Values of the columns that are kept."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What is known of a part's images."""

    number: int
    key: str
    """Changes with the names, labels, splits, groups and kept values of its images, and with their form."""
    rows: tuple[Row, ...] = ()
    num_read: int = 0
    """Images of the source, those that cannot be used included."""
    problems: Problems = field(default_factory=Problems)

    @property
    def offsets(self) -> list[int]:
        """Where each image begins in the part's file."""
        return list(accumulate((row.num_bytes for row in self.rows[:-1]), initial=0)) if self.rows else []

    @property
    def sizes(self) -> Counter[tuple[int, ...]]:
        """Images by (height, width)."""
        return Counter(row.shape[:2] for row in self.rows)

    def write(self, folder: Path) -> None:
        """Says in `folder` that the part is done."""
        tree = {**vars(self), "rows": [asdict(row) for row in self.rows], "problems": self.problems.to_dict()}
        with atomic_file(_known_file(folder, self.number)) as file:
            file.write_text(json.dumps(tree), encoding="utf-8")

    @classmethod
    def done(cls, folder: Path, number: int, key: str) -> "Part | None":
        """The part of this number and key that was done in `folder`, if it was."""
        try:
            tree = json.loads(_known_file(folder, number).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if tree["key"] != key:
            return None
        rows = tuple(_row(row) for row in tree["rows"])
        return cls(**{**tree, "rows": rows, "problems": Problems.from_dict(tree["problems"])})


@dataclass(frozen=True, kw_only=True)
class PartJob:
    """A part to be read; it can be sent to another process."""

    number: int
    images: tuple[SourceImage, ...]
    folder: Path
    """Where its files go."""
    form: Form
    options: AddOptions
    classes: tuple[str, ...]
    needs_groups: bool
    is_refused: bool = False
    """Whether the source is going to be refused by what is known already: it is read on, to tell all its
    problems, but fills no disk."""

    @property
    def key(self) -> str:
        """Of the part."""
        rows = [(image.name, image.label, image.split, image.group, image.kept) for image in self.images]
        return hashlib.sha256(json.dumps([self.form, rows]).encode()).hexdigest()

    def done(self) -> Part | None:
        """What came of it earlier, if it was done."""
        return Part.done(self.folder, self.number, self.key)


def images_file(folder: Path, number: int) -> Path:
    """Where the images of a part lie, one after another."""
    return folder / f"part-{number:06}.images"


def num_parts_done(folder: Path) -> int:
    """How many parts are done in a folder."""
    return sum(1 for _ in folder.glob("part-*.json"))


def is_refused(options: AddOptions, form: Form, problems: Problems, num_sizes: int) -> bool:
    """Whether a source in which this was found is going to be refused."""
    return options.on_error == "refuse" and (bool(problems) or (form == "decoded" and num_sizes > 1))


def read_part(
    job: PartJob, *, num_threads: int = 1, tell: Callable[[int], object] = lambda num_read: None
) -> Part:
    """Reads, decodes and checks the images of a part and writes its files; `tell` is told how many are
    read.
    """
    problems, rows, sizes, num_read = Problems(), list[Row](), set[tuple[int, ...]](), 0
    source = Source(
        description="", classes=job.classes, images=iter(job.images), needs_groups=job.needs_groups
    )
    read = partial(_read, options=job.options, form=job.form)
    with atomic_file(images_file(job.folder, job.number)) as unfinished, unfinished.open("wb") as file:
        for batch in decoded_batches(source, read, problems, num_threads=num_threads):
            for image, (content, pixels) in batch.images:
                sizes.add(pixels.shape[:2])
                is_kept = not (job.is_refused or is_refused(job.options, job.form, problems, len(sizes)))
                rows.append(_known(image, content, pixels, is_kept=is_kept, form=job.form))
                if is_kept:
                    file.write(content if isinstance(content, bytes) else content.data)
            num_read += batch.num_read
            tell(num_read)
    part = Part(number=job.number, key=job.key, rows=tuple(rows), num_read=num_read, problems=problems)
    part.write(job.folder)
    return part


def _read(content: Content, options: AddOptions, form: Form) -> tuple[Content, NDArray[np.uint8]]:
    """What is stored of an image, and its pixels (H, W, C)."""
    pixels = decode(content, options)
    if form == "encoded":
        assert isinstance(content, bytes), "the form was chosen for a source of encoded images"
        return content, pixels
    pixels = np.ascontiguousarray(pixels)
    return pixels, pixels


def _known(
    image: SourceImage,
    content: Content,
    pixels: NDArray[np.uint8],
    *,
    is_kept: bool,
    form: Form,
) -> Row:
    assert image.label is not None, "images without a label are no use"
    num_bytes = content.nbytes if isinstance(content, np.ndarray) else len(content)
    return Row(
        name=image.name,
        label=image.label,
        group=image.group,
        split=image.split,
        num_bytes=num_bytes if is_kept else 0,
        shape=pixels.shape,
        digest=pixel_digest(pixels).hex(),
        moments=_moments(pixels) if form == "encoded" else ((0.0,) * 3, (0.0,) * 3),
        kept=image.kept,
    )


def _moments(pixels: NDArray[np.uint8]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Exact but for the division: whole numbers are counted and summed."""
    values = np.arange(256, dtype=np.int64)
    means, squares = [], []
    for channel in range(pixels.shape[2]):
        counts = np.bincount(pixels[..., channel].ravel(), minlength=256)
        num_pixels = int(counts.sum())
        means.append(int(counts @ values) / (255 * num_pixels))
        squares.append(int(counts @ values**2) / (255**2 * num_pixels))
    repeats = 3 // len(means)
    return tuple(means * repeats), tuple(squares * repeats)


def _known_file(folder: Path, number: int) -> Path:
    return folder / f"part-{number:06}.json"


def _row(tree: dict[str, Any]) -> Row:
    means, squares = tree["moments"]
    tuples = {
        "shape": tuple(tree["shape"]),
        "moments": (tuple(means), tuple(squares)),
        "kept": tuple(tree["kept"]),
    }
    return Row(**{**tree, **tuples})
