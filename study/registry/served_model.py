"""The model that MLflow loads and serves: this file travels with each version, beside the package
`trainables`.

It is run as a script by MLflow ("models from code"), where neither ray, optuna nor this package need be
installed.
"""

import base64
import binascii
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from trainables.errors import DatasetError
from trainables.inference.ensemble import load_classifier

LABEL_COLUMN = "label"


class ImageClassifier(PythonModel):
    """Takes images; returns the label and every class's probability, one row per image."""

    def load_context(self, context: PythonModelContext) -> None:
        """Reads the weights, once."""
        self._classifier = load_classifier(Path(context.artifacts["classifier"]))

    def predict(
        self, context: PythonModelContext, model_input: pd.DataFrame, params: dict[str, Any] | None = None
    ) -> pd.DataFrame:
        """A table with `label` and one column of probability for each class name, one row an image.

        The column `image` of the input holds, in each row, the bytes of a file, those bytes in base64 (with
        or without `data:image/png;base64,`), the path of a file as a `pathlib.Path`, or pixels from 0 to 255,
        (H, W) or (H, W, C), as an array or nested lists. Text is never taken for a path: it may come over the
        network, and the server must not open files for anybody. Raises ValueError for what is no image.
        """
        probabilities_NK = self._classifier.probabilities([_image(item) for item in model_input["image"]])
        classes = self._classifier.config.classes
        table = pd.DataFrame(probabilities_NK, columns=list(classes))
        table.insert(0, LABEL_COLUMN, [classes[i] for i in probabilities_NK.argmax(1)])
        return table


def _image(item: Any) -> Any:
    if isinstance(item, str):
        return _decoded(item)
    if isinstance(item, Path):
        return _read(item)
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item)
    pixels = np.asarray(item if isinstance(item, np.ndarray) and item.dtype != object else _nested(item))
    if pixels.size and (pixels.min() < 0 or pixels.max() > 255 or not np.equal(np.mod(pixels, 1), 0).all()):
        raise ValueError(
            f"pixels must be whole numbers in [0, 255], got values from {pixels.min()} to {pixels.max()}"
        )
    return pixels.astype(np.uint8)


def _nested(item: Any) -> Any:
    """Rows of pixels out of nested lists; MLflow hands some of them over as arrays of arrays."""
    return [_nested(row) for row in item] if isinstance(item, list | tuple | np.ndarray) else item


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.split(",", 1)[1] if text.startswith("data:") else text, validate=True)
    except (binascii.Error, IndexError) as error:
        raise DatasetError(
            f"text must be an image file in base64, got {json.dumps(text[:40])}…: {error}; a file's path is "
            "given as a pathlib.Path"
        ) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error


set_model(ImageClassifier())
