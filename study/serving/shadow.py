"""A candidate beside the champion: it sees what the champion answered, and nobody hears it."""

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from study.errors import SpecError
from study.serving.batching import Answer
from study.serving.beside import Beside
from study.serving.bounds import Bounds
from study.serving.loaded_version import LoadedVersion
from study.serving.request_images import Given, stored_images
from study.serving.serving_metrics import ServingMetrics
from trainables.printable import quoted

# N images, K classes

MAX_LOG_BYTES = 2**28
"""Of the file of differences; beyond it they are counted alone."""
DECIMALS = 4


class Shadow:
    """Classifies by a candidate what was answered, in a thread of its own; images for which it has no time
    are counted as dropped.
    """

    def __init__(
        self, candidate: LoadedVersion, bounds: Bounds, metrics: ServingMetrics, log: Path | None = None
    ) -> None:
        """`log` gets a line of JSON for each image that both label differently. Raises SpecError where it
        cannot be written.
        """
        self.candidate = candidate
        self._bounds = bounds
        self._metrics = metrics
        self._log = None if log is None else _Log(log)
        self._beside = Beside[Answer](
            "shadow",
            self._compare,
            dropped=lambda answer: metrics.note_shadow("dropped", len(answer.images)),
            failed=lambda answer, _: metrics.note_shadow("failed", len(answer.images)),
        )

    def take(self, candidate: LoadedVersion) -> None:
        """Compares with this version from now on."""
        self.candidate = candidate

    def start(self) -> None:
        """Begins to compare."""
        self._beside.start()

    def note(self, answer: Answer) -> None:
        """Leaves an answer to compare with, and returns at once."""
        self._beside.note(answer)

    def close(self) -> None:
        """Ends once what waits is compared."""
        self._beside.close()
        if self._log is not None:
            self._log.close()

    def _compare(self, answer: Answer) -> None:
        candidate, champion = self.candidate, answer.loaded
        if candidate.version.name == champion.version.name:
            return
        images_NHWC = stored_images(answer.shown, candidate.config, self._bounds)
        probabilities_NK = candidate.probabilities(images_NHWC)
        for image, ours_K, theirs_K in zip(
            answer.images, answer.probabilities_NK, probabilities_NK, strict=True
        ):
            ours, theirs = _said(champion, ours_K), _said(candidate, theirs_K)
            is_same = ours["label"] == theirs["label"]
            self._metrics.note_shadow("same" if is_same else "different")
            if not is_same and self._log is not None:
                self._log.add({"image": _digest(image), "champion": ours, "candidate": theirs})


def check_comparable(champion: LoadedVersion, candidate: LoadedVersion) -> None:
    """Raises SpecError unless both know the same classes."""
    ours, theirs = set(champion.config.classes), set(candidate.config.classes)
    if ours != theirs:
        missing = ", ".join(sorted(ours ^ theirs)[:5])
        raise SpecError(
            f"--shadow must know the classes of {champion.version.name}, and {candidate.version.name} "
            f"differs in {missing}; name a version of the same dataset"
        )


def _said(loaded: LoadedVersion, probabilities_K: Any) -> dict[str, Any]:
    classes, values = loaded.config.classes, probabilities_K.astype(np.float64).round(DECIMALS).tolist()
    return {
        "version": loaded.version.name,
        "label": classes[int(probabilities_K.argmax())],
        "probabilities": dict(zip(classes, values, strict=True)),
    }


def _digest(image: Given) -> str:
    """By which the same picture is found among recorded ones."""
    content = image if isinstance(image, bytes) else image.tobytes()
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


class _Log:
    """A file with a line of JSON for each difference."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._stream = file.open("a", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise SpecError(
                f"--shadow-log {quoted(str(file))} cannot be written: {error.strerror}; name a file in a "
                "folder that exists"
            ) from None
        self._is_full = self._stream.tell() >= MAX_LOG_BYTES

    def add(self, row: dict[str, Any]) -> None:
        if self._is_full:
            return
        self._stream.write(json.dumps({"time": round(time.time(), 3), **row}, ensure_ascii=False) + "\n")
        self._stream.flush()
        if self._stream.tell() >= MAX_LOG_BYTES:
            self._is_full = True
            print(
                f"{self._file} is full ({MAX_LOG_BYTES:,} bytes); differences are only counted from now on",
                file=sys.stderr,
            )

    def close(self) -> None:
        self._stream.close()
