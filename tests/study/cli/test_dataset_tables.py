"""What a person reads of a dataset in the terminal is words, not names of constants."""

import re
from pathlib import Path
from typing import Any

import pytest
from command_line import Study
from PIL import Image

from study.home import Home
from trainables.datasets import spooling
from trainables.datasets.parts import Part, PartJob


def test_what_was_left_out_is_told_in_words(study: Study, home: Home, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    for kind in ("cat", "dog", "emu"):
        (photos / kind).mkdir(parents=True)
    for number in range(20):
        for kind, colour in (("cat", 3 * number), ("dog", 100 + 3 * number)):
            Image.new("L", (8, 8), colour).save(photos / kind / f"p{number % 10}_{number}.png")
    (photos / "cat" / "broken.png").write_bytes(b"no image")
    Image.new("L", (8, 8), 250).save(photos / "dog" / "nobody.png")
    added = study(
        home, "data", "add", "pets", "--from", photos, "--on-error", "skip", "--group-pattern", r"^(p\d)_"
    )
    assert added.returncode == 0, added.stderr
    told = "images whose file name --group-pattern does not match 2, classes without images 1"
    assert f"left out: {told}" in added.stdout
    shown = study(home, "data", "show", "pets").stdout
    assert told in shown
    for text in (added.stdout, shown):
        assert not re.search(r"missing_group|empty_class|unreadable_image", text)


def test_the_stored_form_and_what_it_takes_are_told(study: Study, home: Home, tmp_path: Path) -> None:
    for number in range(30):
        place = tmp_path / "photos" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (200 + number, 100 + number), (number, 8 * number, 0)).save(place / f"{number}.jpg")
    added = study(home, "data", "add", "photos", "--from", tmp_path / "photos")
    assert added.returncode == 0, added.stderr
    assert "2 classes, 200x100 to 229x129 RGB" in added.stdout
    assert "the files as they came (encoded)" in added.stdout
    shown = study(home, "data", "show", "photos").stdout
    assert re.search(r"stored as +the files as they came \(encoded\), \d+ kB", shown)

    added = study(home, "data", "add", "squares", "--from", tmp_path / "photos", "--size", "16")
    assert "2 classes, 16x16 RGB" in added.stdout
    shown = study(home, "data", "show", "squares").stdout
    assert re.search(r"stored as +pixels at one size \(decoded\), 23 kB", shown)


def test_adding_that_is_interrupted_says_that_the_same_command_goes_on(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: Study
) -> None:
    for number in range(400):
        place = tmp_path / "many" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number % 256, number // 256, 0)).save(place / f"{number}.png")
    read_part = spooling.read_part

    def interrupted(job: PartJob, **options: Any) -> Part:
        if job.number == 3:
            raise KeyboardInterrupt
        return read_part(job, **options)

    monkeypatch.setattr(spooling, "read_part", interrupted)
    stopped = study(home, "data", "add", "many", "--from", tmp_path / "many")
    assert stopped.returncode == 130
    assert "stopped; the same command goes on where this one was" in stopped.stderr

    monkeypatch.setattr(spooling, "read_part", read_part)
    added = study(home, "data", "add", "many", "--from", tmp_path / "many")
    assert added.returncode == 0
    assert {path.name for path in home.datasets.iterdir()} == {"digits", "many"}, "nothing else is left"
