"""Large sources: read by all cores, taken up again after a kill, and never on the disk twice."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.datasets import spooling
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.parts import PART_IMAGES
from trainables.datasets.staging import left_behind
from trainables.errors import DatasetError

ADD = """
import sys, time
from pathlib import Path
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions

def tell(step, done, total):
    if step == sys.argv[3] and done > int(sys.argv[4]):
        print("waits", flush=True)
        time.sleep(60)

if __name__ == "__main__":
    add_dataset(Path(sys.argv[1]), "many", Path(sys.argv[2]), AddOptions(), tell)
"""
ADD_BY_PROCESSES = """
from trainables.datasets import spooling
spooling.POOL_IMAGES = 1
spooling._num_cores = lambda: 2
"""
SIDE = 32


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """1,000 small JPEGs of two classes, some of them twice, in the train split and a test split."""
    random = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("many")
    for split, num_images in (("train", 900), ("test", 100)):
        for number in range(num_images):
            place = root / split / "ab"[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            pixels = random.integers(0, 256, (4, 4, 3), np.uint8)
            Image.fromarray(pixels).resize((SIDE, SIDE)).save(place / f"{number:04}.jpg", quality=90)
    return root


def digest_added(home: Path, folder: Path) -> str:
    return add_dataset(home, "many", folder, AddOptions()).digest


def test_processes_give_the_dataset_that_one_process_gives(home, tmp_path, folder, monkeypatch):
    alone = add_dataset(home, "many", folder, AddOptions())
    monkeypatch.setattr(spooling, "POOL_IMAGES", 1)
    monkeypatch.setattr(spooling, "_num_cores", lambda: 2)
    reports = []
    together = add_dataset(
        tmp_path / "other", "many", folder, AddOptions(), lambda *report: reports.append(report)
    )
    assert together.digest == alone.digest
    for name in ("train.arrow", "validation.arrow", "test.arrow", "contact_sheet.png"):
        assert (home / "many" / name).read_bytes() == (tmp_path / "other" / "many" / name).read_bytes()
    assert [done for step, done, _ in reports if step == "decoding"][-1] == 1000


def test_problems_are_told_in_the_order_of_the_source_by_processes_too(
    home, tmp_path, folder, monkeypatch, write_parquet, make_images
):
    images = list(make_images(500, side=8))
    for row in (3, 200, 201, 450):
        images[row] = b"broken"
    source = write_parquet(tmp_path / "source.parquet", images, [0, 1] * 250, ["a", "b"])
    monkeypatch.setattr(spooling, "POOL_IMAGES", 1)
    monkeypatch.setattr(spooling, "_num_cores", lambda: 2)
    names = "source/3.png, source/200.png, source/201.png, source/450.png"
    with pytest.raises(DatasetError, match=rf"cannot be read: 4 \({names}\)"):
        add_dataset(home, "ab", source, AddOptions())
    assert list(home.iterdir()) == []
    assert add_dataset(home, "ab", source, AddOptions(on_error="skip")).findings.skipped == {
        "unreadable_image": 4
    }


@pytest.mark.parametrize("step", ["decoding", "writing"])
def test_a_killed_add_goes_on_where_it_was(home, tmp_path, folder, step):
    expected = digest_added(tmp_path / "other", folder)
    process = adding(ADD, home, folder, step)
    process.kill()
    process.wait()
    (left,) = left_behind(home)
    assert not (home / "many").exists()
    before = {part.name: part.stat().st_mtime_ns for part in (left / "parts").glob("part-*.json")}
    assert len(before) >= 3

    reports = []

    def tell(step: str, done: int, total: int | None) -> None:
        reports.append((step, done))
        if len(reports) == 1:  # what was done is not done again
            after = {part.name: part.stat().st_mtime_ns for part in (left / "parts").glob("part-*.json")}
            assert all(after[name] == changed for name, changed in before.items())

    assert add_dataset(home, "many", folder, AddOptions(), tell).digest == expected
    assert sorted(path.name for path in home.iterdir()) == ["many"]
    assert sorted(path.name for path in (home / "many").iterdir()) == [
        "contact_sheet.png",
        "manifest.json",
        "test.arrow",
        "train.arrow",
        "validation.arrow",
    ]
    other = tmp_path / "other" / "many" / "train.arrow"
    assert (home / "many" / "train.arrow").read_bytes() == other.read_bytes()


def test_a_changed_source_or_other_options_begin_anew(home, tmp_path, folder):
    def interrupt(step: str, done: int, total: int | None) -> None:
        if done > 3 * PART_IMAGES:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add_dataset(home, "many", folder, AddOptions(), interrupt)
    (left,) = home.iterdir()
    add_dataset(home, "digits", None, AddOptions())  # another dataset leaves the begun one alone
    assert left.exists()
    gray = add_dataset(home, "many", folder, AddOptions(channels=1))
    assert (gray.channels, left.exists()) == (1, False)


def test_the_disk_never_holds_the_images_twice(home, folder, monkeypatch):
    most = 0
    ended = threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.is_set():
            most = max(most, disk_bytes(home))
            time.sleep(0.001)

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        add_dataset(home, "many", folder, AddOptions())
    finally:
        ended.set()
        watching.join()
    result = disk_bytes(home)
    part = PART_IMAGES * SIDE * SIDE * 3
    known = 1000 * 600  # what is known of each image, while it is read
    assert most <= 1.05 * result + part + known


def disk_bytes(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.stat(os.path.join(place, name)).st_blocks * 512
            except OSError:
                continue
    return total


def test_processes_end_with_the_one_that_started_them(home, folder):
    process = adding(ADD_BY_PROCESSES + ADD, home, folder, "decoding")
    started = children(process.pid)
    assert started
    process.send_signal(signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + 20
    while any(is_running(pid) for pid in started) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(is_running(pid) for pid in started)


def adding(script: str, home: Path, folder: Path, step: str) -> subprocess.Popen:
    """A process that adds a dataset and waits within a step, once more than three parts are through."""
    words = [str(home), str(folder), step, str(3 * PART_IMAGES)]
    process = subprocess.Popen([sys.executable, "-c", script, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "waits\n"
    return process


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
