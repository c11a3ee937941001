"""A machine's copies of published datasets stay below their limit: the least recently used go, those in use
never.
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from s3_server import BUCKET, S3

from trainables.datasets.adding import add_dataset
from trainables.datasets.listing import read_manifest
from trainables.datasets.node_cache import cached_copies, evict, make_room, max_bytes
from trainables.datasets.options import AddOptions
from trainables.datasets.published import push_dataset
from trainables.errors import DatasetError

USE = """
import sys
from pyarrow import memory_map
from trainables.datasets.node_cache import cached_dataset
folder = cached_dataset(*sys.argv[1:3])
images = memory_map(str(folder / "train.arrow")).read_buffer()
print(folder, flush=True)
sys.stdin.readline()
print(bytes(images[-8:]) != b"", (folder / "train.arrow").exists(), flush=True)
"""
Published = tuple[str, str]
"""Address and digest."""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of copies of this machine, with room for all."""
    monkeypatch.setenv("STUDY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STUDY_CACHE_GB", "1")
    return tmp_path / "cache"


@pytest.fixture
def published(s3: S3, cache: Path, tmp_path: Path) -> list[Published]:
    """Three datasets of one size."""
    found = []
    for seed in range(3):
        laptop = tmp_path / f"laptop-{seed}"
        add_dataset(laptop, "digits", None, AddOptions(permute_seed=seed))
        address = push_dataset(laptop, "digits", f"s3://{BUCKET}/{tmp_path.name}/{seed}")
        found.append((address, read_manifest(laptop / "digits").digest))
    return found


@contextmanager
def user(published: Published) -> Iterator[Callable[[], str]]:
    """A process that maps a copy; what it is given says at its end whether all of it could still be read."""
    process = subprocess.Popen(
        [sys.executable, "-c", USE, *published], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdin is not None
    assert published[1] in process.stdout.readline()

    def end() -> str:
        out, _ = process.communicate("\n")
        return out.strip()

    try:
        yield end
    finally:
        process.kill()
        process.wait()


def used(published: Published) -> None:
    """Uses a copy once, in a process of its own, which ends."""
    with user(published) as end:
        assert end() == "True True"


def cached(published: list[Published]) -> list[int]:
    """Numbers of the datasets that are on this machine, the least recently used first."""
    digests = [digest for _, digest in published]
    return [digests.index(copy.folder.name) for copy in cached_copies()]


def test_the_least_recently_used_copy_goes_where_there_is_no_room(
    published: list[Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = published
    used(first)
    used(second)
    (one, _) = cached_copies()
    used(first)
    monkeypatch.setenv("STUDY_CACHE_GB", str(2.5 * one.num_bytes / 1e9))
    assert cached(published) == [1, 0]
    used(third)
    assert cached(published) == [0, 2], "the second was used before the others"
    used(second)  # is fetched again
    assert cached(published) == [2, 1]


def test_a_copy_that_a_process_has_mapped_stays_whatever_it_takes(
    published: list[Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, _ = published
    with user(first) as end:
        (one,) = cached_copies()
        monkeypatch.setenv("STUDY_CACHE_GB", str(one.num_bytes / 1e9))
        used(second)
        assert 0 in cached(published)
        assert make_room(0) > 0
        assert cached(published) == [0]
        assert not evict(one)
        assert end() == "True True"
    assert evict(one)
    assert cached(published) == []
    assert [file.name for file in one.folder.iterdir() if file.is_dir()] == []


def test_a_killed_user_holds_nothing(published: list[Published]) -> None:
    with user(published[0]):
        pass  # ends with a kill
    assert make_room(0) > 0
    assert cached(published) == []


def test_many_processes_that_fetch_and_evict_at_once_all_read_whole_files(
    published: list[Published], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_CACHE_GB", "0.0000001")
    words = [sys.executable, "-c", USE]
    processes = [
        subprocess.Popen(
            [*words, *one], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for one in published[:2] * 2
    ]
    until = time.monotonic() + 60
    while any(process.poll() is None for process in processes) and time.monotonic() < until:
        make_room(0)
        for process in processes:
            if process.poll() is None and process.stdin is not None and not process.stdin.closed:
                process.stdin.write("\n")
                process.stdin.close()
        time.sleep(0.05)
    said = [(process.stdout.read(), process.stderr.read()) for process in processes]  # type: ignore[union-attr]
    assert all(out.endswith("True True\n") for out, _ in said), said


def test_half_of_the_volume_is_the_limit_where_nobody_says_one(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STUDY_CACHE_GB")
    volume = os.statvfs(cache.parent)
    assert max_bytes() == pytest.approx(volume.f_blocks * volume.f_frsize / 2, rel=0.01)
    assert not cache.exists(), "asking makes nothing"


@pytest.mark.parametrize("told", ["0", "-1", "much", "nan", "inf"])
def test_a_limit_that_is_no_number_is_refused(
    cache: Path, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STUDY_CACHE_GB", told)
    with pytest.raises(DatasetError, match=r"STUDY_CACHE_GB is how much .* such as 200; got"):
        max_bytes()
