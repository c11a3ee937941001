"""How fast a version answers over HTTP on this machine: `study serve` against `mlflow models serve`.

    python tests/benchmarks/serving_speed.py --rounds 3 --seconds 8
    python tests/benchmarks/serving_speed.py --rounds 0 --requests 100000

A version with the network of source system 004 (cnn4-32x256 on gray images of 48 px, 7 classes) and random
weights is registered, and both servers serve it. In each round they are asked one after the other, by one
caller and by 32 callers in a process of their own, the other server being idle. `--requests` then sends that
many to `study serve` and follows its memory. Prints one JSON line for each measurement, and one with ratios.
"""

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent))
from mlflow_server import running_server
from registering_tiny import Registry

from study.connections.mlflow_client import connect
from study.home import Home
from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.options import AddOptions
from trainables.inference.classifier import Classifier, ClassifierConfig
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
IMAGES_PER_CLASS = 30
SIDE = 48
NUM_CALLERS = 32
NUM_SINGLE = 300
MEMORY_EVERY = 5_000


@dataclass(frozen=True)
class Measured:
    server: str
    """`study /predict`, `study /invocations` or `mlflow /invocations`."""
    callers: int
    images_per_second: float
    median_ms: float
    p99_ms: float
    failures: int
    cpu_ms: float
    """Of a core that the server's processes took for one image: it depends less on what else runs."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--requests", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder, "home"))
        image = register(home, Path(folder))
        with study_server(home) as (pid, port):
            if arguments.rounds:
                compare(home, pid, port, image, arguments.rounds, arguments.seconds)
            if arguments.requests:
                follow_memory(pid, port, image, arguments.requests)


def register(home: Home, folder: Path) -> bytes:
    """A PNG such as those that the registered version was made for."""
    draw = np.random.default_rng(0)
    for split in ("train", "validation", "test"):
        for name in CLASSES:
            place = folder / "images" / split / name
            place.mkdir(parents=True)
            for number in range(IMAGES_PER_CLASS):
                Image.fromarray(draw.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)).save(
                    place / f"{number}.png"
                )
    add_dataset(home.datasets, "faces", folder / "images", AddOptions())
    tree = {
        "data": {"image_size": SIDE},
        "model": {"architecture": "cnn4-32x256"},
        "phases": [{"epochs": 1, "learning_rate": 0.01}],
    }
    training = Training(Recipe.from_dict(tree), Dataset.open(home.datasets / "faces"))
    classifier = Classifier(ClassifierConfig.of(training.recipe, training.manifest), training.weights())
    Registry(home, connect(home.tracking_uri)).add(classifier)
    content = BytesIO()
    Image.fromarray(draw.integers(0, 256, (SIDE, SIDE), dtype=np.uint8)).save(content, "PNG")
    return content.getvalue()


def compare(home: Home, pid: int, port: int, image: bytes, num_rounds: int, seconds: float) -> None:
    text = base64.b64encode(image).decode()
    table = json.dumps({"dataframe_split": {"columns": ["image"], "data": [[text]]}}).encode()
    with mlflow_server(home) as mlflow_port:
        mine = [psutil.Process(pid)]
        theirs = [one for one in psutil.Process().children(recursive=True) if one.pid != pid]
        asked = {
            "study /predict": (mine, port, request("/predict", "image/png", image)),
            "study /invocations": (mine, port, request("/invocations", "application/json", table)),
            "mlflow /invocations": (theirs, mlflow_port, request("/invocations", "application/json", table)),
        }
        found: list[Measured] = []
        for _ in range(num_rounds):
            for server, (processes, its_port, content) in asked.items():
                for callers in (1, NUM_CALLERS):
                    found.append(measured(server, processes, its_port, content, callers, seconds))
                    print(json.dumps(asdict(found[-1])), flush=True)
    print(json.dumps(ratios(found)), flush=True)


def ratios(found: list[Measured]) -> dict[str, float]:
    """Medians over the rounds, and how many times as fast `study serve` is."""

    def median(server: str, callers: int, what: str) -> float:
        return statistics.median(
            getattr(one, what) for one in found if (one.server, one.callers) == (server, callers)
        )

    mine, same, theirs = "study /predict", "study /invocations", "mlflow /invocations"
    many = {server: median(server, NUM_CALLERS, "images_per_second") for server in (mine, same, theirs)}
    return {
        "one_caller_median_ms": median(mine, 1, "median_ms"),
        "mlflow_one_caller_median_ms": median(theirs, 1, "median_ms"),
        "images_per_second": many[mine],
        "mlflow_images_per_second": many[theirs],
        "ratio": round(many[mine] / many[theirs], 2),
        "cpu_ms": median(mine, NUM_CALLERS, "cpu_ms"),
        "mlflow_cpu_ms": median(theirs, NUM_CALLERS, "cpu_ms"),
        "ratio_same_request": round(many[same] / many[theirs], 2),
    }


def follow_memory(pid: int, port: int, image: bytes, num_requests: int) -> None:
    process, content = psutil.Process(pid), request("/predict", "image/png", image)
    rows = []
    for done in range(0, num_requests, MEMORY_EVERY):
        found = calls(port, content, NUM_CALLERS, seconds=3600, most=min(MEMORY_EVERY, num_requests - done))
        rows.append(process.memory_info().rss / 2**20)
        line = {
            "requests": done + len(found.seconds),
            "failures": found.failures,
            "memory_mb": round(rows[-1], 1),
        }
        print(json.dumps(line), flush=True)
    print(json.dumps({"memory_growth_mb": round(rows[-1] - rows[0], 1)}), flush=True)


def measured(
    server: str, processes: list[psutil.Process], port: int, content: bytes, callers: int, seconds: float
) -> Measured:
    calls(port, content, callers, seconds=1, most=50 * callers)
    before = cpu_seconds(processes)
    found = calls(port, content, callers, seconds=seconds, most=NUM_SINGLE if callers == 1 else 10**9)
    milliseconds = sorted(1000 * one for one in found.seconds)
    return Measured(
        server=server,
        callers=callers,
        images_per_second=round(len(milliseconds) / found.wall_seconds, 1),
        median_ms=round(statistics.median(milliseconds), 2),
        p99_ms=round(milliseconds[int(0.99 * (len(milliseconds) - 1))], 2),
        failures=found.failures,
        cpu_ms=round(1000 * (cpu_seconds(processes) - before) / len(milliseconds), 2),
    )


def cpu_seconds(processes: list[psutil.Process]) -> float:
    return sum(sum(one.cpu_times()[:2]) for one in processes if one.is_running())


@dataclass(frozen=True)
class Calls:
    seconds: list[float]
    failures: int
    wall_seconds: float


def calls(port: int, content: bytes, callers: int, *, seconds: float, most: int) -> Calls:
    """Calls by a process of their own, until the time or their number is used up."""
    with multiprocessing.get_context("spawn").Pool(1) as process:
        return process.apply(_calls, (port, content, callers, seconds, most))


def _calls(port: int, content: bytes, callers: int, seconds: float, most: int) -> Calls:
    return asyncio.run(_all_calls(port, content, callers, seconds, most))


async def _all_calls(port: int, content: bytes, callers: int, seconds: float, most: int) -> Calls:
    taken: list[float] = []
    failures = 0
    left = most
    start = time.perf_counter()

    async def caller() -> None:
        nonlocal failures, left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0 and time.perf_counter() - start < seconds:
            left -= 1
            begun = time.perf_counter()
            writer.write(content)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
            failures += not head.startswith(b"HTTP/1.1 200")
            taken.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(caller() for _ in range(callers)))
    return Calls(taken, failures, time.perf_counter() - start)


def request(path: str, kind: str, body: bytes) -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@contextmanager
def study_server(home: Home) -> Iterator[tuple[int, int]]:
    """The process and the port."""
    program = "from study.cli.main import main; main()"
    server = subprocess.Popen(
        [sys.executable, "-c", program, "serve", "faces", "--port", "0", "--json"],
        env={**os.environ, "STUDY_HOME": str(home.folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        yield server.pid, urlsplit(json.loads(server.stdout.readline())["address"]).port or 0
    finally:
        server.terminate()
        server.wait()


@contextmanager
def mlflow_server(home: Home) -> Iterator[int]:
    """The port."""
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        "models:/faces/1",
        "--env-manager",
        "local",
    ]
    with running_server(command, {**os.environ, "MLFLOW_TRACKING_URI": home.tracking_uri}) as port:
        yield port


if __name__ == "__main__":
    main()
