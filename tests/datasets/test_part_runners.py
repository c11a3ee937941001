"""Whoever reads the parts of a source: the dataset is the same, and what is read stays where readers go."""

import signal
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from trainables.datasets import spooling
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.parts import PART_IMAGES, Part, PartJob, read_part
from trainables.datasets.staging import left_behind
from trainables.errors import CutOffError, DatasetError

NUM_IMAGES = 6 * PART_IMAGES + 10
Parts = Generator[Part, None, None]


@pytest.fixture
def source(tmp_path, write_parquet, make_images) -> Path:
    """Six parts and a bit, of two classes."""
    images = make_images(NUM_IMAGES, side=8)
    return write_parquet(tmp_path / "source.parquet", images, [0, 1] * (NUM_IMAGES // 2), ["a", "b"])


def last_first(jobs: Iterator[PartJob]) -> Parts:
    """Reads the parts in threads, the last one first, and hands them over in order."""
    taken = list(jobs)
    with ThreadPoolExecutor(3) as threads:
        read = {job.number: threads.submit(read_part, job) for job in reversed(taken)}
        yield from (job.done() or read[job.number].result() for job in taken)


def states(folder: Path) -> dict[str, int]:
    """When each part's files were written."""
    return {file.name: file.stat().st_mtime_ns for file in (folder / "parts").iterdir()}


def test_another_runner_gives_the_same_dataset(home, tmp_path, source):
    here = add_dataset(home, "ab", source, AddOptions())
    reports = []
    elsewhere = add_dataset(
        tmp_path / "other", "ab", source, AddOptions(), lambda *told: reports.append(told), last_first
    )
    assert elsewhere.digest == here.digest
    for name in ("train.arrow", "validation.arrow", "test.arrow", "contact_sheet.png"):
        assert (tmp_path / "other" / "ab" / name).read_bytes() == (home / "ab" / name).read_bytes()
    done = [num_done for step, num_done, _ in reports if step == "decoding"]
    assert (done, done[-1]) == (sorted(done), NUM_IMAGES)


def test_what_a_runner_that_is_cut_off_has_read_is_taken_up_again(home, tmp_path, source):
    expected = add_dataset(tmp_path / "other", "ab", source, AddOptions()).digest

    def fails(jobs: Iterator[PartJob]) -> Parts:
        for job in jobs:
            if job.number == 4:
                raise CutOffError("the machines are gone")
            yield read_part(job)

    with pytest.raises(CutOffError, match="the machines are gone"):
        add_dataset(home, "ab", source, AddOptions(), run_parts=fails)
    (left,) = left_behind(home)
    before = states(left)
    assert len(before) == 2 * 4

    read = []

    def notes(jobs: Iterator[PartJob]) -> Parts:
        assert before == {name: states(left)[name] for name in before}
        for job in jobs:
            part = job.done()
            if part is None:
                read.append(job.number)
            yield part or read_part(job)

    assert add_dataset(home, "ab", source, AddOptions(), run_parts=notes).digest == expected
    assert read == [4, 5, 6]
    assert sorted(path.name for path in home.iterdir()) == ["ab"]


def test_an_error_of_the_source_leaves_nothing_whoever_reads(home, tmp_path, write_parquet, make_images):
    images = list(make_images(NUM_IMAGES, side=8))
    images[400] = b"broken"
    source = write_parquet(tmp_path / "b.parquet", images, [0, 1] * (NUM_IMAGES // 2), ["a", "b"])
    with pytest.raises(DatasetError, match=r"cannot be read: 1 \(b/400.png\)"):
        add_dataset(home, "ab", source, AddOptions(), run_parts=last_first)
    assert list(home.iterdir()) == []


def test_a_runner_is_closed_before_its_folder_goes(home, source):
    seen = []

    def closes(jobs: Iterator[PartJob]) -> Parts:
        try:
            for job in jobs:
                yield read_part(job)
        finally:
            seen.append(job.folder.exists())

    def tell(step: str, done: int, total: int | None) -> None:
        if done > 2 * PART_IMAGES:
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        add_dataset(home, "ab", source, AddOptions(), tell, closes)
    assert seen == [True]
    assert list(home.iterdir()) == []


def test_a_killed_process_of_the_pool_is_told_and_costs_no_part(home, source, monkeypatch):
    monkeypatch.setattr(spooling, "POOL_IMAGES", 1)
    monkeypatch.setattr(spooling, "_num_cores", lambda: 2)

    def kill(step: str, done: int, total: int | None) -> None:
        if done > 2 * PART_IMAGES:
            for child in psutil.Process().children():
                with suppress(psutil.NoSuchProcess):  # a process of another test ends at any moment
                    if "spawn_main" in " ".join(child.cmdline()):
                        child.send_signal(signal.SIGKILL)

    with pytest.raises(CutOffError, match="was killed, perhaps for want of memory; what is read stays"):
        add_dataset(home, "ab", source, AddOptions(), kill)
    assert len(left_behind(home)) == 1
    assert add_dataset(home, "ab", source, AddOptions()).name == "ab"
