"""The images of a folder, as people or `study serve --record` leave them there."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from study.errors import SpecError
from study.registry.predictions import image_files, stored_or_problem
from trainables.datasets.sources.image_folder import IMAGE_SUFFIXES
from trainables.inference.classifier import ClassifierConfig
from trainables.printable import quoted

# N images, H height, W width, C channels


@dataclass(frozen=True, kw_only=True)
class FolderImages:
    """Some images of a folder, as a model takes them."""

    files: tuple[Path, ...]
    pixels_NHWC: NDArray[np.uint8]
    num_files: int
    """That the folder has; those here are drawn from them by chance where they are more than were wanted."""
    problems: tuple[str, ...]
    """Of files that are no images, a sentence each."""


def files_in(folder: Path) -> list[Path]:
    """The files in a folder and below it that are named like images, sorted; hidden ones are left out.

    Raises SpecError where there is no folder, or no such file.
    """
    if not folder.is_dir():
        raise SpecError(f"a folder of images must exist, got {quoted(str(folder))}")
    files = [file for file in image_files([folder]) if file.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise SpecError(
            f"{quoted(str(folder))} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}); name a folder "
            "that does"
        )
    return files


def read_folder(folder: Path, config: ClassifierConfig, most: int) -> FolderImages:
    """At most so many images of a folder, drawn by chance, the same each time. Raises SpecError."""
    files = files_in(folder)
    rows = np.sort(np.random.default_rng(0).permutation(len(files))[:most])
    drawn = [files[row] for row in rows.tolist()]
    stored = [stored_or_problem(file, config) for file in drawn]
    usable = [(file, one) for file, one in zip(drawn, stored, strict=True) if isinstance(one, np.ndarray)]
    pixels = config.preprocessing
    shape = (0, pixels.height, pixels.width, pixels.channels)
    return FolderImages(
        files=tuple(file for file, _ in usable),
        pixels_NHWC=np.stack([one for _, one in usable]) if usable else np.empty(shape, np.uint8),
        num_files=len(files),
        problems=tuple(
            f"{file}: {one}" for file, one in zip(drawn, stored, strict=True) if isinstance(one, str)
        ),
    )
