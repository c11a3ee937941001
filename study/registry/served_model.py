"""The model that MLflow loads and serves: this file travels with each version, beside the package
`trainables`.

It is run as a script by MLflow ("models from code"), where neither ray, optuna nor this package need be
installed.
"""

from pathlib import Path
from typing import Any

import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import set_model
from mlflow.protos.databricks_pb2 import INVALID_PARAMETER_VALUE
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from trainables.errors import DatasetError
from trainables.inference.ensemble import load_classifier
from trainables.inference.given_images import given_image

LABEL_COLUMN = "label"


class NoImageError(MlflowException, ValueError):
    """What was sent is no image; MLflow's server answers 400 with the text, and no traceback."""


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
        try:
            probabilities_NK = self._classifier.probabilities([_image(item) for item in model_input["image"]])
        except (ArithmeticError, TypeError, ValueError) as error:
            raise NoImageError(str(error), error_code=INVALID_PARAMETER_VALUE) from error
        classes = self._classifier.config.classes
        table = pd.DataFrame(probabilities_NK, columns=list(classes))
        table.insert(0, LABEL_COLUMN, [classes[i] for i in probabilities_NK.argmax(1)])
        return table


def _image(item: Any) -> Any:
    return _read(item) if isinstance(item, Path) else given_image(item)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error


set_model(ImageClassifier())
