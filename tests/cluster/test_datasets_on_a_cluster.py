"""Datasets that all machines of a real Ray cluster read, through the death of one, a stop, and wrong
sources.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from laptop import PATIENCE_SECONDS, Laptop
from PIL import Image
from s3_server import BUCKET, S3

from trainables.datasets.adding import add_dataset
from trainables.datasets.listing import read_manifest
from trainables.datasets.options import AddOptions
from trainables.datasets.parts import PART_IMAGES

NUM_IMAGES = {"train": 2800, "validation": 300, "test": 300}
SIZE = ("--size", "32")
FILES = ("train.arrow", "validation.arrow", "test.arrow", "contact_sheet.png")

pytestmark = pytest.mark.slow  # a head, a node, a server and an object store start for them


@pytest.fixture(scope="module")
def source(laptop: Laptop) -> Path:
    """36 parts of JPEGs, each of which takes some milliseconds to read: a hundred pictures, many names."""
    folder, random = laptop.folder / "jpegs", np.random.default_rng(0)
    folder.mkdir()
    pictures = [folder / f"{number}.jpg" for number in range(100)]
    for picture in pictures:
        rough = Image.fromarray(random.integers(0, 256, (12, 12, 3), np.uint8))
        rough.resize((640, 640)).save(picture, quality=92)
    for split, num_images in NUM_IMAGES.items():
        for number in range(num_images):
            place = laptop.folder / "many" / split / "ab"[number % 2]
            place.mkdir(parents=True, exist_ok=True)
            os.link(pictures[number % 100], place / f"{number:05}.jpg")
    return laptop.folder / "many"


@pytest.fixture(scope="module")
def by_one(laptop: Laptop, source: Path) -> Path:
    """The folder of the dataset that one machine makes of the source."""
    add_dataset(laptop.folder / "one", "many", source, AddOptions(image_size=32))
    return laptop.folder / "one" / "many"


def check_is_the_same(folder: Path, by_one: Path) -> None:
    assert read_manifest(folder).digest == read_manifest(by_one).digest
    for name in FILES:
        assert (folder / name).read_bytes() == (by_one / name).read_bytes(), name


def parts_of(laptop: Laptop, name: str) -> dict[str, int]:
    """The parts of a dataset in the making, and when each was read."""
    files = laptop.home.datasets.glob(f".{name}.adding-*/parts/part-*.json")
    return {file.name: file.stat().st_mtime_ns for file in files}


def wait_for_parts(laptop: Laptop, name: str, command: "subprocess.Popen[str]", least: int = 5) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while len(parts_of(laptop, name)) < least:
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < deadline, "nothing is read"
        time.sleep(0.05)


def test_what_all_machines_read_is_what_one_reads(
    laptop: Laptop, source: Path, by_one: Path, s3_endpoint: S3
) -> None:
    added = laptop.study(
        *("data", "add", "many", "--from", str(source), *SIZE),
        *("--on-cluster", "--publish", f"s3://{BUCKET}/added"),
    )
    assert added.returncode == 0, added.stdout + added.stderr
    num_images = sum(NUM_IMAGES.values())
    assert f"decoding {num_images:,} of {num_images:,} images by 2 machines" in added.stdout
    assert "read by 2 machines" in added.stdout
    assert f"published; in a study file: dataset: s3://{BUCKET}/added/many" in added.stdout
    assert f"many is added on {laptop.cluster.address}, in {laptop.home.folder}" in added.stderr
    check_is_the_same(laptop.home.datasets / "many", by_one)
    assert {f"added/many/{name}" for name in (*FILES[:3], "manifest.json")} <= set(s3_endpoint.object_names())
    assert "many" in laptop.study("data", "list").stdout
    again = laptop.study("data", "add", "many", "--from", str(source), "--on-cluster")
    assert (again.returncode, "there is a dataset 'many' already" in again.stderr) == (2, True), again.stderr


def test_ctrl_c_leaves_it_at_work_and_a_lost_machine_loses_nothing(
    laptop: Laptop, source: Path, by_one: Path
) -> None:
    with laptop.cluster.doomed_node(cpus=2):
        adding = laptop.start("data", "add", "lossy", "--from", str(source), *SIZE, "--on-cluster")
        assert adding.stderr is not None
        assert "Ctrl-C leaves it at work" in adding.stderr.readline()
        wait_for_parts(laptop, "lossy", adding, least=1)
        adding.send_signal(signal.SIGINT)
        _, err = adding.communicate(timeout=PATIENCE_SECONDS)
        assert adding.returncode == 130, err
        assert f"study data logs lossy -f --address {laptop.cluster.address}" in err
    twice = laptop.study("data", "add", "lossy", "--from", str(source), *SIZE, "--on-cluster", user="ben")
    if twice.returncode == 2:  # unless the rest was read meanwhile
        assert "adding a dataset 'lossy' already, for ada" in twice.stderr or "there is a" in twice.stderr
    followed = laptop.study("data", "logs", "lossy", "-f")
    assert followed.returncode == 0, followed.stdout + followed.stderr
    assert "added lossy: 2 classes, 32x32 RGB" in followed.stdout
    check_is_the_same(laptop.home.datasets / "lossy", by_one)


def test_what_was_stopped_goes_on_with_what_is_read(laptop: Laptop, source: Path, by_one: Path) -> None:
    command = ("data", "add", "halted", "--from", str(source), *SIZE, "--on-cluster")
    adding = laptop.start(*command)
    wait_for_parts(laptop, "halted", adding)
    refused = laptop.study("data", "stop", "halted", user="ben")
    assert (refused.returncode, "is ada's, and you are ben" in refused.stderr) == (2, True), refused.stderr
    stopped = laptop.study("data", "stop", "halted")
    assert stopped.returncode == 0, stopped.stderr
    out, err = adding.communicate(timeout=PATIENCE_SECONDS)
    assert (adding.returncode, "the same command goes on with what is read" in err) == (2, True), out + err
    before = parts_of(laptop, "halted")
    assert 5 <= len(before) < sum(NUM_IMAGES.values()) // PART_IMAGES

    adding = laptop.start(*command)
    kept = before
    while adding.poll() is None and (now := parts_of(laptop, "halted")):
        kept = {name: now[name] for name in before if name in now} or kept
        time.sleep(0.05)
    out, err = adding.communicate(timeout=PATIENCE_SECONDS)
    assert adding.returncode == 0, out + err
    assert kept.items() <= before.items(), "what was read is not read again"
    check_is_the_same(laptop.home.datasets / "halted", by_one)


@pytest.fixture
def refused(laptop: Laptop) -> Callable[..., str]:
    """Runs `study data add wrong …` on the cluster, which refuses it, and returns its one message."""

    def run(*words: str) -> str:
        before = sorted(laptop.home.datasets.iterdir())
        done = laptop.study("data", "add", "wrong", "--on-cluster", *words)
        assert done.returncode == 2, done.stdout + done.stderr
        assert done.stderr.count("error: ") == 1, done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert sorted(laptop.home.datasets.iterdir()) == before, "nothing is left"
        return done.stderr

    return run


def test_what_cannot_be_added_is_one_message_and_leaves_nothing(
    laptop: Laptop, refused: Callable[..., str]
) -> None:
    assert "its head has no '/nowhere/images'" in refused("--from", "/nowhere/images")
    assert "published at s3://BUCKET/FOLDER, got" in refused("--publish", "ftp://a/b")
    broken = laptop.folder / "broken"
    for number in range(3 * PART_IMAGES):
        place = broken / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("L", (8, 8), number % 256).save(place / f"{number:03}.png")
    (broken / "b" / "203.png").write_bytes(b"no picture")
    assert "images that cannot be read: 1 (b/203.png)" in refused("--from", str(broken))
