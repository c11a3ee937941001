"""Registering: a classifier becomes the next version of its dataset's model."""

import logging
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

import trainables
from cluster.scoped_environment import scoped_environment
from study import names
from study.connections.mlflow_client import addressed_to, tracking_errors
from study.evaluation.subgroups import audits_of
from study.evaluation.test_evidence import TestEvidence
from study.registry.model_card import (
    MODEL_DESCRIPTION,
    description,
    model_description,
    with_audits,
    with_program,
)
from study.registry.version_layout import CLASSIFIER, EVIDENCE, MODEL_CARD_FILE, PROGRAM_FILE
from study.study_file.promotion_rules import PromotionRules
from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble
from trainables.inference.export import export_program

if TYPE_CHECKING:
    from mlflow import MlflowClient

REQUIREMENTS = ("mlflow", "numpy", "pandas", "pillow", "pyarrow", "timm", "torch", "torchvision")
"""What a version needs to load and to predict, pinned to the versions here."""
MODEL_FILE = Path(__file__).with_name("served_model.py")
_SETTINGS = {"MLFLOW_UV_AUTO_DETECT": "false"}


def register(
    client: "MlflowClient",
    run_id: str,
    classifier: Classifier | Ensemble,
    example_HWC: NDArray[np.uint8],
    *,
    tags: Mapping[str, str],
    model_card: str,
    evidence: TestEvidence,
    rules: PromotionRules,
) -> int:
    """Logs the classifier with a run and registers it as the newest candidate; returns the version's number.

    With it go what it showed on the test split, its `model_card` in Markdown, the rules for its promotion,
    and, where it can be exported, a program of `torch.export`.
    """
    name = names.model_name(classifier.config.dataset)
    with (
        tempfile.TemporaryDirectory() as scratch,
        tracking_errors(client.tracking_uri),
        addressed_to(client.tracking_uri),
        _quiet(),
    ):
        whole_card = with_audits(
            with_program(model_card, export_program(classifier, Path(scratch, PROGRAM_FILE))),
            audits_of(evidence),
        )
        _write(Path(scratch), classifier, whole_card, evidence)
        info = _log(client, run_id, classifier, Path(scratch), example_HWC)
        _ensure_model(client, name, model_description(classifier))
        registered = client.create_model_version(
            name,
            source=info.model_uri,
            run_id=run_id,
            tags={**tags, names.PROMOTION: rules.model_dump_json()},
            description=description(whole_card),
            model_id=info.model_id,
        )
        make_candidate(client, name, int(registered.version))
    return int(registered.version)


def make_candidate(client: "MlflowClient", model: str, version: int) -> None:
    """Sets the alias of the newest version, unless it is at a newer one already."""
    now = client.get_registered_model(model).aliases.get(names.CANDIDATE)
    if now is None or int(now) < version:
        client.set_registered_model_alias(model, names.CANDIDATE, str(version))


def _write(folder: Path, classifier: Classifier | Ensemble, model_card: str, evidence: TestEvidence) -> None:
    classifier.save(folder / CLASSIFIER)
    (folder / MODEL_CARD_FILE).write_text(model_card, encoding="utf-8")
    (folder / EVIDENCE).mkdir()
    evidence.write(folder / EVIDENCE)


def _ensure_model(client: "MlflowClient", name: str, about: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name, description=about)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        # The dataset may have other classes by now; what a person wrote stays.
        if (client.get_registered_model(name).description or "").startswith(MODEL_DESCRIPTION):
            client.update_registered_model(name, about)


def _log(
    client: "MlflowClient",
    run_id: str,
    classifier: Classifier | Ensemble,
    folder: Path,
    example_HWC: NDArray[np.uint8],
) -> Any:
    import mlflow.pyfunc
    from mlflow.models import Model

    # Left to itself, MLflow puts the files of a run's model into the experiment `Default`, and those into the
    # current folder.
    logged = client.create_logged_model(
        client.get_run(run_id).info.experiment_id, name="model", source_run_id=run_id
    )
    return Model.log(
        artifact_path=None,
        model_id=logged.model_id,
        flavor=mlflow.pyfunc,
        run_id=run_id,
        python_model=str(MODEL_FILE),
        artifacts={part.stem: str(part) for part in sorted(folder.iterdir())},
        code_paths=[next(iter(trainables.__path__))],
        pip_requirements=[f"{package}=={version(package)}" for package in REQUIREMENTS],
        signature=signature_of(classifier.config.classes),
        input_example=pd.DataFrame({"image": [_base64_png(example_HWC)]}),
    )


def signature_of(classes: Sequence[str]) -> Any:
    """MLflow's signature of a classifier: a column of images in, a label and a probability for each class
    out.
    """
    from mlflow.models import ModelSignature
    from mlflow.types.schema import AnyType, ColSpec, Schema, TensorSpec

    inputs: list[ColSpec | TensorSpec] = [ColSpec(AnyType(), "image")]  # type: ignore[no-untyped-call]
    outputs: list[ColSpec | TensorSpec] = [ColSpec("string", "label")]
    outputs += [ColSpec("float", class_name) for class_name in classes]
    return ModelSignature(inputs=Schema(inputs), outputs=Schema(outputs))


def _base64_png(image_HWC: NDArray[np.uint8]) -> str:
    import base64

    content = BytesIO()
    Image.fromarray(image_HWC.squeeze(2) if image_HWC.shape[2] == 1 else image_HWC).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()


@contextmanager
def _quiet() -> Iterator[None]:
    """Silences MLflow's remarks on pip and its progress bars, and hides the current folder's project from
    it.
    """
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with scoped_environment(_SETTINGS):
            yield
    finally:
        logger.setLevel(level)
