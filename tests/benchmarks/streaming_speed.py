"""Large datasets: how fast they are added, and how fast a training reads them from the disk.

    python tests/benchmarks/streaming_speed.py --folder FOLDER --images 100000 --size 224

Makes JPEGs (kept in FOLDER for a next time), adds them decoded and encoded, reads each form alone, and trains
`--architecture` for some batches with its images in memory and streamed, in turn, each in a process of its
own. Where there is a GPU it also compares decoders: Pillow's and torchvision's on CPU threads, and nvJPEG.
FOLDER needs room for the files and for both forms: 18 GB for 100,000 images at 224 px. Prints one JSON line
for each step.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.options import AddOptions
from trainables.devices.device import find_device
from trainables.devices.threads import use_threads
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training
from trainables.transforms.image_stream import StreamedImages
from trainables.transforms.preprocessing import Preprocessing

NUM_CLASSES = 10
NUM_DECODED = 2048
"""Images that each decoder decodes."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--size", type=int, default=224, help="side of the images, in pixels")
    parser.add_argument("--architecture", default="resnet18")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--batches", type=int, default=20, help="of an epoch that is trained")
    parser.add_argument("--rounds", type=int, default=2, help="trainings of each kind")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--one", nargs=2, metavar=("FORM", "HOW"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(trained(options, *options.one)))
        return
    options.folder.mkdir(parents=True, exist_ok=True)
    source = options.folder / f"jpeg-{options.images}-{options.size}"
    if not source.exists():
        tell("made", make_images(source, options.images, options.size))
    for form in ("decoded", "encoded"):
        tell("added", added(options, source, form))
        tell("read", {"form": form, **read(options, form)})
    if find_device().type == "cuda":
        tell("decoders", decoders(source))
    for _ in range(options.rounds):
        for form, how in (("decoded", "resident"), ("decoded", "streamed"), ("encoded", "streamed")):
            command = [sys.executable, *sys.argv, "--one", form, how]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            tell("trained", json.loads(done.stdout.splitlines()[-1]))


def tell(step: str, measured: dict[str, Any]) -> None:
    print(json.dumps({"step": step, **measured}), flush=True)


def make_images(folder: Path, num_images: int, side: int) -> dict[str, Any]:
    """JPEGs of about 20 kB at 224 px: smooth colours and some noise, a colour for each class."""
    unfinished = folder.with_name(f".{folder.name}")
    shutil.rmtree(unfinished, ignore_errors=True)
    for label in range(NUM_CLASSES):
        (unfinished / f"class{label}").mkdir(parents=True)
    start = time.perf_counter()
    with ProcessPoolExecutor() as processes:
        for _ in processes.map(partial(make_image, unfinished, side), range(num_images), chunksize=64):
            pass
    unfinished.rename(folder)
    return {"images": num_images, "bytes": bytes_of(folder), "seconds": seconds_since(start)}


def make_image(folder: Path, side: int, number: int) -> None:
    random = np.random.default_rng(number)
    coarse = random.integers(0, 200, (7, 7, 3), np.uint8)
    coarse[..., number % 3] //= 1 + number % NUM_CLASSES
    pixels = np.asarray(Image.fromarray(coarse).resize((side, side))).astype(np.int16)
    pixels += random.integers(-12, 13, pixels.shape, np.int16)
    place = folder / f"class{number % NUM_CLASSES}" / f"{number:07}.jpg"
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(place, quality=85)


def added(options: argparse.Namespace, source: Path, form: Any) -> dict[str, Any]:
    """Of `study data add`: speed, and the most that it took of the disk, by what it took at its end."""
    home = options.folder / "datasets"
    if (home / form).exists():
        shutil.rmtree(home / form)
    before, most, ended = bytes_of(home), 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not ended.wait(0.2):
            most = max(most, bytes_of(home) - before)

    watching = threading.Thread(target=watch)
    watching.start()
    start = time.perf_counter()
    try:
        share = min(500 / options.images, 0.1)
        add_dataset(
            home, form, source, AddOptions(store=form, validation_fraction=share, test_fraction=share)
        )
    finally:
        ended.set()
        watching.join()
    seconds, result = seconds_since(start), bytes_of(home) - before
    return {
        "form": form,
        "seconds": seconds,
        "images_per_second": round(options.images / seconds, 1),
        "disk_bytes": result,
        "most_by_result": round(most / result, 3),
    }


def read(options: argparse.Namespace, form: str) -> dict[str, Any]:
    """Images a second without training: with an empty page cache, and once more."""
    dataset = Dataset.open(options.folder / "datasets" / form)
    use_threads(options.threads)
    preprocessing = Preprocessing.of(recipe_of(options), dataset.manifest)
    forget(options.folder / "datasets" / form / "train.arrow")
    rates = {}
    for which in ("first_epoch", "second_epoch"):
        stream = StreamedImages(dataset.train, preprocessing, find_device())
        order = torch.randperm(len(stream), generator=torch.Generator().manual_seed(0))
        start = time.perf_counter()
        for _ in stream.batches(order.split(options.batch)):
            pass
        rates[f"{which}_images_per_second"] = round(len(order) / seconds_since(start), 1)
    return rates


def trained(options: argparse.Namespace, form: str, how: str) -> dict[str, Any]:
    """Of the second epoch of a training in this process, and its most memory, libraries included."""
    use_threads(options.threads)
    dataset = Dataset.open(options.folder / "datasets" / form)
    training = Training(recipe_of(options, num_epochs=2), dataset, is_streamed=how == "streamed")
    *_, last = training
    return {
        "form": form,
        "how": how,
        "images_per_second": round(last.num_train_images / last.train_seconds, 2),
        "train_loss": last.train_loss,
        "peak_bytes": most_memory(),
        "peak_gpu_bytes": torch.cuda.max_memory_reserved() if torch.cuda.is_available() else None,
    }


def decoders(source: Path) -> dict[str, Any]:
    """Images a second of each way to decode JPEGs to pixels on the GPU."""
    from torchvision.io import ImageReadMode, decode_jpeg

    files = sorted(source.rglob("*.jpg"))[:NUM_DECODED]
    contents = [path.read_bytes() for path in files]
    tensors = [torch.frombuffer(bytearray(content), dtype=torch.uint8) for content in contents]
    device, rates = find_device(), {}
    pillow = EncodedImages.of(contents, 3)

    def on_threads(decode: Any) -> None:
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as threads:
            for pixels in threads.map(decode, range(len(files))):
                pixels.to(device, non_blocking=True)

    ways = {
        "pillow": lambda: on_threads(lambda row: torch.from_numpy(pillow.pixels(row).copy())),
        "torchvision": lambda: on_threads(lambda row: decode_jpeg(tensors[row], ImageReadMode.RGB)),
        "nvjpeg": lambda: [
            decode_jpeg(tensors[start : start + 64], ImageReadMode.RGB, device=device)
            for start in range(0, len(tensors), 64)
        ],
    }
    for name, decode in ways.items():
        decode()
        torch.cuda.synchronize()
        start = time.perf_counter()
        decode()
        torch.cuda.synchronize()
        rates[f"{name}_images_per_second"] = round(len(files) / seconds_since(start), 1)
    return rates


def recipe_of(options: argparse.Namespace, num_epochs: int = 1) -> Recipe:
    return Recipe(
        data=Data(image_size=options.size, train_images=options.batches * options.batch),
        model=Model(architecture=options.architecture),
        phases=(Phase(epochs=num_epochs, learning_rate=1e-3),),
        batch_size=options.batch,
    )


def bytes_of(folder: Path) -> int:
    """On the disk, in blocks that are written."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                total += os.stat(os.path.join(place, name)).st_blocks * 512
    return total


def forget(file: Path) -> None:
    """Leaves nothing of a file in the page cache."""
    number = os.open(file, os.O_RDONLY)
    try:
        os.fsync(number)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(number)


def most_memory() -> int:
    """The most that this process ever had in memory, in bytes; pages of mapped files count, too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def seconds_since(start: float) -> float:
    return round(time.perf_counter() - start, 2)


if __name__ == "__main__":
    main()
