"""Several processes want the same features at once, and one of them dies while it writes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NUM_BATCHES, BATCH = 8, 100
MAKE = f"""
import json, sys
import torch
from trainables.feature_cache.feature_file import Layout
from trainables.feature_cache.feature_store import FeatureStore

def compute():
    for number in range({NUM_BATCHES}):
        print("batch", number, flush=True)
        if sys.argv[1] == "slowly" and number == 3:
            sys.stdin.readline()
        yield torch.full(({BATCH}, 4, 2, 2), float(number)).contiguous(memory_format=torch.channels_last)

store = FeatureStore(
    key={{"weights": "a"}},
    name="resnet18-stem",
    num_images={NUM_BATCHES * BATCH},
    layout=Layout((2, 2, 4), torch.float32),
    device=torch.device("cpu"),
)
for _ in store.making(0, compute):
    pass
features = store.view(0)
found = features.at(torch.arange(0, len(features), {BATCH}))
print(json.dumps({{"made": store.num_made, "values": found.mean((1, 2, 3)).tolist()}}), flush=True)
"""


@contextmanager
def process(how: str, cache: Path) -> Iterator[subprocess.Popen[str]]:
    """One that wants the features; `slowly` stops in the middle until it is told to go on."""
    started = subprocess.Popen(
        [sys.executable, "-c", MAKE, how],
        env={**os.environ, "STUDY_CACHE": str(cache)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def until_half_written(started: subprocess.Popen[str]) -> None:
    assert started.stdout is not None
    assert any(line.strip() == "batch 3" for line in started.stdout)


@pytest.mark.slow
def test_two_at_once_and_one_that_dies_writing(tmp_path: Path) -> None:
    with process("slowly", tmp_path) as first:
        until_half_written(first)
        assert not list(tmp_path.rglob("0.arrow")), "a half-written file has no name to be read by"
        with process("fast", tmp_path) as second, process("fast", tmp_path) as third:
            first.send_signal(signal.SIGKILL)
            results = [json.loads(one.communicate()[0].splitlines()[-1]) for one in (second, third)]
    assert sorted(result["made"] for result in results) == [0, 1], "one makes them, and the other reads them"
    assert all(result["values"] == list(range(NUM_BATCHES)) for result in results)
    (folder,) = tmp_path.glob("features-*")
    assert [file.name for file in (folder / "resnet18-stem").iterdir()] == ["0.arrow"]
