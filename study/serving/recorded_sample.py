"""The folder of a recording: pictures, and a list that says what the model said of each.

The list appears whole and names only pictures that are there, whatever ends the process that writes.
"""

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from study.errors import SpecError
from study.file_lock import try_lock
from trainables.atomic import atomic_file
from trainables.printable import quoted

PREDICTIONS_FILE = "predictions.csv"
"""The list: a line for each picture, by time."""
COLUMNS = ("file", "label", "confidence", "version", "time")
"""Path of the picture below the folder, the most probable class, its probability, the version that said so,
and when (UTC, ISO 8601)."""
IMAGES_FOLDER = "images"
STATE_FILE = "recording.json"
LOCK_FILE = ".lock"
NO_KEY = 2**63
"""Above every key."""
_ENDINGS = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\x00": ".tiff",
    b"MM\x00*": ".tiff",
    b"RIFF": ".webp",
    b"P4": ".pbm",
    b"P5": ".pgm",
    b"P6": ".ppm",
}
_OURS = re.compile(r"[0-9a-f]{16}\.[a-z]+")


@dataclass(frozen=True, kw_only=True)
class Recorded:
    """One picture of the sample."""

    key: int
    """Random, below NO_KEY; it names the file, so that a later recording goes on fairly."""
    label: str
    confidence: float
    """Probability of the label."""
    version: str
    time: str
    """UTC, ISO 8601."""
    num_bytes: int
    ending: str

    @property
    def file(self) -> str:
        """Below the folder."""
        return f"{IMAGES_FOLDER}/{self.key:016x}{self.ending}"


@dataclass(kw_only=True)
class SampleState:
    """What a later recording needs to know of an earlier one, beside its list."""

    num_pictures: int = 0
    """That were asked about, of which the folder holds a sample."""
    limit: int = NO_KEY
    """Only smaller keys come in."""

    def write(self, folder: Path) -> None:
        """Puts the state into the folder."""
        with atomic_file(folder / STATE_FILE) as file:
            file.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def open_folder(folder: Path) -> BinaryIO:
    """Makes the folder; the lock on it is held until what is returned is closed.

    Raises SpecError where it holds something else, cannot be written to, or another process has the lock.
    """
    try:
        if folder.is_dir() and not (folder / STATE_FILE).exists() and _others(folder):
            raise SpecError(
                "--record must name a new or empty folder, or one with an earlier recording, got "
                f"{quoted(str(folder))}; name another"
            )
        # What people send to a server is nobody else's.
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        (folder / IMAGES_FOLDER).mkdir(exist_ok=True)
        held = try_lock(folder / LOCK_FILE)
    except OSError as error:
        raise SpecError(
            f"--record must name a folder that can be written to, got {quoted(str(folder))}: {error.strerror}"
        ) from error
    if held is None:
        raise SpecError(
            f"another server records into {quoted(str(folder))}; name another folder for this one"
        )
    return held


def read_sample(folder: Path) -> tuple[SampleState, tuple[Recorded, ...]]:
    """What an earlier recording left in a folder that is open; pictures that its list does not name are
    removed. Raises SpecError where it cannot be read.
    """
    state = SampleState()
    sample: tuple[Recorded, ...] = ()
    try:
        if (folder / STATE_FILE).exists():
            state = SampleState(**json.loads((folder / STATE_FILE).read_text(encoding="utf-8")))
        if (folder / PREDICTIONS_FILE).exists():
            sample = tuple(_listed(folder))
        _remove_all_but(folder, sample)
        state.write(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SpecError(
            f"the recording in {quoted(str(folder))} cannot be read: {error}; name another folder, or remove "
            "this one"
        ) from error
    return state, sample


def write_sample(folder: Path, sample: Sequence[Recorded], pictures: Mapping[int, bytes]) -> None:
    """Makes the folder hold this sample; `pictures` are those that are new in it, by key. Raises OSError."""
    for one in sample:
        if one.key in pictures:
            with atomic_file(folder / one.file) as file:
                file.write_bytes(pictures[one.key])
    with (
        atomic_file(folder / PREDICTIONS_FILE) as file,
        file.open("w", encoding="utf-8", errors="backslashreplace", newline="") as stream,
    ):
        lines = csv.writer(stream, lineterminator="\n")
        lines.writerow(COLUMNS)
        lines.writerows(
            (one.file, one.label, f"{one.confidence:.6f}", one.version, one.time) for one in sample
        )


def remove_pictures(folder: Path, removed: Iterable[Recorded]) -> None:
    """Removes pictures that the list names no more. Raises OSError."""
    for one in removed:
        (folder / one.file).unlink(missing_ok=True)


def ending_of(image: bytes) -> str:
    """Of a file with these bytes; `.img` for a format that no server takes."""
    return next((ending for start, ending in _ENDINGS.items() if image.startswith(start)), ".img")


def _others(folder: Path) -> set[str]:
    """What lies in the folder, but for what a recording makes before anything else."""
    return {one.name for one in folder.iterdir()} - {LOCK_FILE, IMAGES_FOLDER}


def _listed(folder: Path) -> Iterable[Recorded]:
    with (folder / PREDICTIONS_FILE).open(encoding="utf-8", newline="") as stream:
        for line in csv.DictReader(stream):
            file = folder / line["file"]
            if file.exists():  # somebody may have removed one by hand
                yield Recorded(
                    key=int(file.stem, 16),
                    label=line["label"],
                    confidence=float(line["confidence"]),
                    version=line["version"],
                    time=line["time"],
                    num_bytes=file.stat().st_size,
                    ending=file.suffix,
                )


def _remove_all_but(folder: Path, sample: Iterable[Recorded]) -> None:
    known = {Path(one.file).name for one in sample}
    for file in (folder / IMAGES_FOLDER).iterdir():
        if _OURS.fullmatch(file.name) and file.name not in known:
            file.unlink()
