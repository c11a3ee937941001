"""Recording of requests: bounded, fair, whole at every instant."""

import csv
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare

from study.errors import SpecError
from study.serving.recorded_sample import COLUMNS
from study.serving.recording import Recording

PNG = b"\x89PNG\r\n\x1a\n"


def picture(number: int, num_bytes: int = 100) -> bytes:
    """Bytes that begin as a PNG does, and hold the number."""
    return PNG + number.to_bytes(8, "big") + bytes(num_bytes - 16)


def number_of(file: Path) -> int:
    return int.from_bytes(file.read_bytes()[8:16], "big")


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def recorded(folder: Path, pictures: list[bytes], **options: int) -> list[dict[str, str]]:
    """The rows of a recording of these pictures."""
    recording = Recording(folder, **options)
    recording.start()
    for image in pictures:
        recording.note(image, {"happy": 0.7, "sad": 0.3}, "faces/3")
    recording.close()
    return rows(folder)


def test_each_row_names_its_picture_and_what_the_model_said(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "recording"
    found = recorded(folder, [picture(0), b"\xff\xd8\xff of a JPEG", picture(2)])
    assert tuple(found[0]) == COLUMNS
    assert [Path(row["file"]).suffix for row in found].count(".jpg") == 1
    for row in found:
        assert (folder / row["file"]).is_file()
        assert (row["label"], row["confidence"], row["version"]) == ("happy", "0.700000", "faces/3")
        assert row["time"].endswith("+00:00")
    assert (folder.stat().st_mode & 0o777) == 0o700
    assert json.loads((folder / "recording.json").read_text())["num_pictures"] == 3


def test_pixels_become_a_picture(tmp_path: Path) -> None:
    recording = Recording(tmp_path)
    recording.start()
    recording.note(np.full((8, 8, 1), 7, np.uint8), {"a": 1.0}, "digits/1")
    recording.close()
    (row,) = rows(tmp_path)
    assert (tmp_path / row["file"]).read_bytes().startswith(PNG)


def test_neither_pictures_nor_bytes_pass_their_bound(tmp_path: Path) -> None:
    by_count = recorded(tmp_path / "count", [picture(one) for one in range(300)], most_images=20)
    assert len(by_count) == 20
    by_bytes = recorded(tmp_path / "bytes", [picture(one, 1000) for one in range(300)], most_bytes=10_500)
    assert len(by_bytes) == 10
    for folder, found in ((tmp_path / "count", by_count), (tmp_path / "bytes", by_bytes)):
        assert {row["file"] for row in found} == {
            f"images/{file.name}" for file in (folder / "images").iterdir()
        }


@pytest.mark.parametrize("options", [{"most_images": 10}, {"most_bytes": 2_500}])
def test_every_picture_has_the_same_chance(tmp_path: Path, options: dict[str, int]) -> None:
    """Of 40 pictures, also over a restart in between."""
    kept: Counter[int] = Counter()
    num_tries = 100
    for seed in range(num_tries):
        folder = tmp_path / str(seed)
        for part in (range(25), range(25, 40)):
            images = [picture(number, 400 if number % 4 == 0 else 150) for number in part]
            recorded(folder, images, seed=seed * 2 + (part.start > 0), **options)
        kept.update(number_of(file) for file in (folder / "images").iterdir())
    assert chisquare([kept[number] for number in range(40)]).pvalue > 1e-4
    large = sum(kept[number] for number in range(0, 40, 4)) / sum(kept.values())
    assert 0.2 < large < 0.3


def test_a_later_recording_goes_on_with_the_sample(tmp_path: Path) -> None:
    first = recorded(tmp_path, [picture(one) for one in range(5)])
    (tmp_path / "images" / f"{7:016x}.png").write_bytes(b"of a process that died before it listed this one")
    (tmp_path / "images" / "mine.png").write_bytes(b"of a person")
    (tmp_path / first[0]["file"]).unlink()
    second = recorded(tmp_path, [picture(9)])
    assert second[:4] == first[1:]
    assert len(second) == 5
    assert {file.name for file in (tmp_path / "images").iterdir()} == {
        Path(row["file"]).name for row in second
    } | {"mine.png"}
    assert json.loads((tmp_path / "recording.json").read_text())["num_pictures"] == 6


def test_one_folder_has_one_recording(tmp_path: Path) -> None:
    first = Recording(tmp_path / "one")
    with pytest.raises(SpecError, match="another server records into"):
        Recording(tmp_path / "one")
    first.close()
    Recording(tmp_path / "one").close()


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "holiday.jpg").write_bytes(b"mine")
    with pytest.raises(SpecError, match="--record must name a new or empty folder"):
        Recording(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["holiday.jpg"]
    with pytest.raises(SpecError, match="--record must name a folder that can be written to"):
        Recording(tmp_path / "holiday.jpg" / "below")


def test_a_disk_that_refuses_ends_the_recording_and_no_request(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "one")
    recording.start()
    (tmp_path / "one" / "images").rmdir()
    (tmp_path / "one" / "images").write_bytes(b"in the way")
    recording.note(picture(1), {"a": 1.0}, "faces/1")
    deadline = time.monotonic() + 30
    while recording.is_on and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not recording.is_on
    recording.note(picture(2), {"a": 1.0}, "faces/1")
    recording.close()


KILLED = """
import sys
from pathlib import Path
from study.serving.recording import Recording
recording = Recording(Path(sys.argv[1]), most_images=50)
recording.start()
print("on", flush=True)
for number in range(10**9):
    recording.note(b"\\x89PNG\\r\\n\\x1a\\n" + number.to_bytes(8, "big"), {"a": 1.0}, "faces/1")
"""


def test_what_a_killed_server_leaves_is_whole(tmp_path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    deadline = time.monotonic() + 60
    while not (tmp_path / "predictions.csv").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    found = rows(tmp_path)
    assert found
    assert all((tmp_path / row["file"]).is_file() for row in found)
    assert len(recorded(tmp_path, [picture(1)], most_images=50)) == 50
