"""Takes the two pictures of the served page that the documents show.

    study serve digits
    python tests/study/serving/camera_pictures.py http://127.0.0.1:8000/ .readme

The first command serves the model of `study quickstart`; the second one, in another terminal, holds
handwritten digits before the camera of a Chromium, and writes `page.png` and `camera.gif` into the folder.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

sys.path.insert(0, str(Path(__file__).parents[2]))

from browser import Tab, running_browser
from camera_video import FRAMES_PER_SECOND, HEIGHT, WIDTH, write_video

SHOWN = (3, 7, 0, 9, 6, 4)
"""Digits, a second each."""
SHOTS_PER_SECOND = 3
GIF_WIDTH = 440
NUM_COLOURS = 64
MOST_BYTES = 600_000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("address", help="of a server that serves digits")
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        video = Path(scratch, "digits.mjpeg")
        write_video(video, held_digits(), seconds=1 / FRAMES_PER_SECOND)
        flags = (
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-video-capture={video}",
        )
        with running_browser(Path(scratch, "chromium"), *flags) as browser:
            page = browser.open(arguments.address, width=1120, height=860)
            page.prefer(prefers_reduced_motion="reduce")  # so that each shot is of one answer
            page.wait_for("!document.querySelector('#card').hidden")
            page.choose_files("#files", digit_files(Path(scratch)))
            page.evaluate("document.querySelector('#mirror').click()")  # digits are no faces
            page.evaluate("document.querySelector('#start').click()")
            page.wait_for("Number(document.querySelector('#speed').dataset.rate) >= 10")
            (arguments.folder / "page.png").write_bytes(page.screenshot())
            write_gif(arguments.folder / "camera.gif", shots(page))


def held_digits() -> Iterator[Image.Image]:
    """Frames of a hand that holds one card with a digit after the other before the camera."""
    digits = load_digits()
    for number, digit in enumerate(SHOWN):
        row = int(np.flatnonzero(digits.target == digit)[0])
        card = Image.fromarray((digits.images[row] * 15.9).astype(np.uint8)).resize(
            (HEIGHT, HEIGHT), Image.Resampling.BICUBIC
        )
        for index in range(FRAMES_PER_SECOND):
            phase = 2 * math.pi * (number + index / FRAMES_PER_SECOND) / 3
            frame = Image.new("L", (WIDTH, HEIGHT), 0)
            turned = card.rotate(3 * math.sin(phase), Image.Resampling.BICUBIC)
            frame.paste(
                turned, ((WIDTH - HEIGHT) // 2 + round(8 * math.cos(phase)), round(6 * math.sin(2 * phase)))
            )
            yield frame


def digit_files(folder: Path) -> list[Path]:
    """Two digits as a person has them."""
    digits = load_digits()
    files = []
    for digit, name in ((4, "four.png"), (8, "eight.png")):
        row = int(np.flatnonzero(digits.target == digit)[1])
        Image.fromarray((digits.images[row] * 15.9).astype(np.uint8)).resize(
            (160, 160), Image.Resampling.BICUBIC
        ).save(folder / name)
        files.append(folder / name)
    return files


def shots(page: Tab) -> Iterator[Image.Image]:
    """The camera, for as long as all digits take."""
    start = time.monotonic()
    for number in range(len(SHOWN) * SHOTS_PER_SECOND):
        time.sleep(max(start + number / SHOTS_PER_SECOND - time.monotonic(), 0))
        picture = Image.open(BytesIO(page.screenshot("#stage"))).convert("RGB")
        yield picture.resize(
            (GIF_WIDTH, round(GIF_WIDTH * picture.height / picture.width)), Image.Resampling.LANCZOS
        )


def write_gif(file: Path, pictures: Iterator[Image.Image]) -> None:
    """Writes them in one palette, so that what does not move takes no room."""
    first, *others = pictures
    palette = first.quantize(NUM_COLOURS)
    frames = [one.quantize(palette=palette, dither=Image.Dither.NONE) for one in (first, *others)]
    frames[0].save(
        file,
        save_all=True,
        append_images=frames[1:],
        duration=1000 // SHOTS_PER_SECOND,
        loop=0,
        optimize=True,
    )
    if file.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{file} has {file.stat().st_size:,} bytes, and the documents take {MOST_BYTES:,}")


if __name__ == "__main__":
    main()
