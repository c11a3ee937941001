"""The one pass over a source: its images are read by all cores, part by part, into files beside the dataset;
every problem is noted.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np

from trainables.datasets.decoding import Content
from trainables.datasets.forms import Form, chosen_form
from trainables.datasets.options import AddOptions
from trainables.datasets.part_runners import PartRunner, by_processes
from trainables.datasets.parts import PART_IMAGES, Part, PartJob, is_refused, read_part
from trainables.datasets.problems import Problem, Problems
from trainables.datasets.sources.source import Source, SourceImage
from trainables.datasets.spooled_images import SpooledImages

Progress = Callable[[str, int, int | None], None]
"""Told the step, how many images are done, and of how many (None: not known)."""

MAX_THREADS = 8
"""Of one process: Pillow decodes outside of Python's lock, but more threads than this only wait for it."""
POOL_IMAGES = 8192
"""Of a source from which on processes are worth their start."""


def spool_images(
    source: Source,
    folder: Path,
    options: AddOptions,
    problems: Problems,
    progress: Progress,
    run_parts: PartRunner | None = None,
) -> SpooledImages:
    """Reads all images of `source` into `folder`, except the parts that are there already; images that cannot
    be used become problems.

    Images of several sizes are a problem too where they are stored decoded, unless the options bring them to
    one. The first part is read here, the others by `run_parts`; without it, those of a source of many images
    by as many processes as there are cores.
    """
    reading = _Reading(source, folder, options, problems, progress, run_parts)
    parts = list(reading.parts())
    images = SpooledImages.of(folder, reading.form, parts, options.keep_columns)
    return images if reading.form == "encoded" else _one_size(images, reading.sizes, problems)


class _Reading:
    """One pass over a source, in the order of its parts."""

    def __init__(
        self,
        source: Source,
        folder: Path,
        options: AddOptions,
        problems: Problems,
        progress: Progress,
        run_parts: PartRunner | None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self._source = source
        self._folder = folder
        self._options = options
        self._problems = problems
        self._progress = progress
        self._run_parts = run_parts
        self._num_read = self._num_jobs = self._num_taken = 0
        self.form: Form = "decoded"
        self.sizes: Counter[tuple[int, ...]] = Counter()

    def parts(self) -> Iterator[Part]:
        """All parts, in order."""
        numbered = enumerate(_batches(self._source.images, PART_IMAGES))
        # The first tells the form, and whether the source is one at all.
        for number, images in islice(numbered, self._num_parts_alone()):
            if number == 0:
                self.form = chosen_form(_contents(images), self._options)
            yield self._taken(self._here(self._job(number, images)))
        jobs = (self._job(number, images) for number, images in numbered)
        run_parts = self._run_parts or self._own_processes()
        if run_parts is None:
            yield from (self._taken(self._here(job)) for job in jobs)
        else:
            with closing(run_parts(jobs)) as parts:
                yield from map(self._taken, parts)
            assert next(jobs, None) is None, "every part is read"
        assert self._num_taken == self._num_jobs, "every part that was begun is taken"

    def _num_parts_alone(self) -> int:
        """Parts that are read here before anybody else reads: of a source that may be small, as many as are
        worth no process.
        """
        if self._run_parts is not None or self._source.num_images is not None:
            return 1
        return POOL_IMAGES // PART_IMAGES

    def _own_processes(self) -> PartRunner | None:
        num_images, num_cores = self._source.num_images, _num_cores()
        is_small = num_images is not None and num_images < POOL_IMAGES
        return None if num_cores == 1 or is_small else by_processes(num_cores)

    def _job(self, number: int, images: tuple[SourceImage, ...]) -> PartJob:
        self._num_jobs += 1
        return PartJob(
            number=number,
            images=images,
            folder=self._folder,
            form=self.form,
            options=self._options,
            classes=self._source.classes,
            needs_groups=self._source.needs_groups,
            is_refused=is_refused(self._options, self.form, self._problems, len(self.sizes)),
        )

    def _here(self, job: PartJob) -> Part:
        before = self._num_read

        def tell(num_read: int) -> None:
            self._progress("decoding", before + num_read, self._source.num_images)

        return job.done() or read_part(job, num_threads=min(MAX_THREADS, _num_cores()), tell=tell)

    def _taken(self, part: Part) -> Part:
        assert part.number == self._num_taken, "parts come in order"
        self._num_taken += 1
        self._problems.add(part.problems)
        self.sizes += part.sizes
        self._num_read += part.num_read
        self._progress("decoding", self._num_read, self._source.num_images)
        return part


def _batches(images: Iterator[SourceImage], size: int) -> Iterator[tuple[SourceImage, ...]]:
    while batch := tuple(islice(images, size)):
        yield batch


def _contents(images: tuple[SourceImage, ...]) -> list[Content]:
    contents = []
    for image in images:
        try:
            if image.load is not None:
                contents.append(image.load())
        except Exception:  # noqa: BLE001
            # A file that is gone, pixels that are no numbers: reading the part tells it by name.
            continue
    return contents


def _num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _one_size(images: SpooledImages, sizes: Counter[tuple[int, ...]], problems: Problems) -> SpooledImages:
    if len(sizes) < 2:
        return images
    most_common = sizes.most_common(1)[0][0]
    is_right = (images.shapes[:, :2] == most_common).all(axis=1)
    for row in np.flatnonzero(~is_right):
        height, width, _ = images.shapes[row]
        problems.note(
            Problem.WRONG_SIZE,
            f"{images.names[row]}: {width}x{height}, most are {most_common[1]}x{most_common[0]}",
        )
    return images.rows(is_right)
