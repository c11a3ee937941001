"""Registering: a classifier becomes the next version of its dataset's model."""

import logging
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

import trainables
from study.names import model_name
from study.tracking.client import addressed_to, tracking_errors
from trainables.prediction import Classifier

REQUIREMENTS = ("mlflow", "numpy", "pandas", "pillow", "pyarrow", "timm", "torch", "torchvision")
"""What a version needs to load and to predict, pinned to what made it."""
MODEL_FILE = Path(__file__).with_name("served_model.py")


def register(client: Any, run_id: str, classifier: Classifier, example_HWC: NDArray[np.uint8], tags: Mapping[str, str]) -> int:
    """Logs the classifier with a run, registers it under its dataset's name, and returns the number of the version."""
    name = model_name(classifier.card.dataset)
    with tempfile.TemporaryDirectory() as scratch, tracking_errors(client.tracking_uri), addressed_to(client.tracking_uri), _quiet():
        classifier.save(Path(scratch))
        info = _log(run_id, classifier, Path(scratch), example_HWC)
        _ensure_model(client, name)
        version = client.create_model_version(name, source=info.model_uri, run_id=run_id, tags=dict(tags), model_id=info.model_id)
    return int(version.version)


def _ensure_model(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _log(run_id: str, classifier: Classifier, folder: Path, example_HWC: NDArray[np.uint8]) -> Any:
    import mlflow.pyfunc
    from mlflow.models import Model, ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema

    outputs = [ColSpec("string", "label"), *(ColSpec("float", class_name) for class_name in classifier.card.classes)]
    return Model.log(
        artifact_path=None,
        name="model",
        flavor=mlflow.pyfunc,
        run_id=run_id,
        python_model=str(MODEL_FILE),
        artifacts={"classifier": str(folder)},
        code_paths=[next(iter(trainables.__path__))],
        pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        signature=ModelSignature(inputs=Schema([ColSpec(AnyType(), "image")]), outputs=Schema(outputs)),
        input_example=pd.DataFrame({"image": [_base64_png(example_HWC)]}),
    )


def _base64_png(image_HWC: NDArray[np.uint8]) -> str:
    import base64

    content = BytesIO()
    Image.fromarray(image_HWC.squeeze(2) if image_HWC.shape[2] == 1 else image_HWC).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps off the terminal what MLflow says of a pip that uv does not install, and its bars for files that it copies."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    try:
        yield
    finally:
        logger.setLevel(level)
