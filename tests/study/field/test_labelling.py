"""Labels of a folder: whole files at each step, taken up again, one process at a time."""

import csv
import json
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study.errors import SpecError
from study.field.labelling import Labelling
from trainables.datasets.adding import add_dataset
from trainables.datasets.options import AddOptions


def folder_of(place: Path, num_images: int = 6) -> Path:
    """Images, one of them in a folder of its own."""
    (place / "more").mkdir(parents=True)
    for number in range(num_images):
        pixels = np.random.default_rng(number).integers(256, size=(8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(place / ("more" if number == 0 else ".") / f"{number}, a.png")
    return place


def written(folder: Path) -> list[list[str]]:
    """The lines of the listing."""
    with (folder / "labels.csv").open(newline="") as stream:
        return list(csv.reader(stream))


def recorded(folder: Path, rows: dict[str, tuple[str, float]]) -> None:
    """What a recording says of the images."""
    lines = [["file", "label", "confidence", "version", "time"]]
    lines += [
        [file, label, str(share), "digits/1", "2026-11-22T08:00:00"] for file, (label, share) in rows.items()
    ]
    with (folder / "predictions.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(lines)


def test_every_change_is_on_the_disk_and_is_taken_up_again(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "field")
    labelling = Labelling(folder, ["happy", "sad"])
    assert labelling.names == ["1, a.png", "2, a.png", "3, a.png", "4, a.png", "5, a.png", "more/0, a.png"]
    assert not (folder / "labels.csv").exists()
    labelling.set("2, a.png", "sad")
    labelling.set("more/0, a.png", "happy")
    assert written(folder) == [["filename", "label"], ["2, a.png", "sad"], ["more/0, a.png", "happy"]]
    labelling.set("2, a.png", "happy")
    labelling.set("more/0, a.png", None)
    assert written(folder) == [["filename", "label"], ["2, a.png", "happy"]]
    assert labelling.undo() == "more/0, a.png"
    assert labelling.undo() == "2, a.png"
    assert written(folder)[1:] == [["2, a.png", "sad"], ["more/0, a.png", "happy"]]
    labelling.close()
    again = Labelling(folder)
    assert (again.num_labelled, again.label("2, a.png"), again.classes) == (2, "sad", ("happy", "sad"))
    assert again.undo() is None


def test_the_least_certain_images_come_first(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "field")
    recorded(folder, {"4, a.png": ("sad", 0.9), "more/0, a.png": ("happy", 0.4), "gone.png": ("angry", 0.1)})
    labelling = Labelling(folder)
    assert labelling.names[:3] == ["more/0, a.png", "4, a.png", "1, a.png"]
    assert labelling.classes == ("angry", "happy", "sad")
    assert labelling.guesses["4, a.png"].confidence == 0.9


def test_the_listing_is_a_source_of_a_dataset(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "field", num_images=20)
    labelling = Labelling(folder, ["happy", "sad"])
    for number, name in enumerate(labelling.names):
        labelling.set(name, labelling.classes[number % 2])
    manifest = add_dataset(tmp_path / "datasets", "field", folder / "labels.csv", AddOptions())
    assert manifest.classes == ("happy", "sad")
    assert sum(split.num_images for split in manifest.splits.values()) == 20


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "field")
    first = Labelling(folder, ["a", "b"])
    with pytest.raises(SpecError, match="another `study label` has"):
        Labelling(folder, ["a", "b"])
    first.close()
    Labelling(folder, ["a", "b"]).close()


def test_labelled_files_that_are_gone_are_told_and_left_out(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "field")
    (folder / "labels.csv").write_text('filename,label\nlost.png,sad\n"1, a.png",happy\n')
    labelling = Labelling(folder)
    assert labelling.lost == ("lost.png",)
    labelling.set("2, a.png", "sad")
    assert written(folder)[1:] == [["1, a.png", "happy"], ["2, a.png", "sad"]]


@pytest.mark.parametrize(
    ("classes", "content", "message"),
    [
        (["happy"], None, "labels need at least 2 classes, got happy; name them: --classes"),
        ([], None, "labels need at least 2 classes, got none"),
        (["a", "b\n"], None, "a class is a name of printable characters"),
        (["a", "b"], b"file,label\n", "must have the columns filename, label"),
        (["a", "b"], b"\xff\xfe", "is no CSV"),
    ],
)
def test_what_cannot_be_labelled(
    tmp_path: Path, classes: list[str], content: bytes | None, message: str
) -> None:
    folder = folder_of(tmp_path / "field")
    if content is not None:
        (folder / "labels.csv").write_bytes(content)
    with pytest.raises(SpecError, match=message):
        Labelling(folder, classes)


def test_names_that_no_csv_can_hold_are_left_out(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "field")
    content = (folder / "1, a.png").read_bytes()
    (folder / "new\nline.png").write_bytes(content)
    labelling = Labelling(folder, ["a", "b"])
    assert labelling.strange == ("new\nline.png",)
    assert "new\nline.png" not in labelling.names


def ask(address: str, body: dict[str, object] | None = None, **headers: str) -> tuple[int, dict[str, object]]:
    """Status and JSON of an answer."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, content, {"Content-Type": "application/json", **headers})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read() or b"{}") if "json" in error.headers.get(
            "Content-Type", ""
        ) else {}
