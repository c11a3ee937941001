"""A training's pictures in MLflow, drawn by whichever process sends the log."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from study.tracking.figures import confusion_matrix, learning_curves, reliability_diagram
from study.tracking.log_records import Measured, Pictures
from study.tracking.run_log import RunLog
from trainables.datasets.dataset import Dataset
from trainables.datasets.folds import images_at
from trainables.metrics.inspection import Inspection
from trainables.metrics.mistake_sheet import mistake_sheet

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_pictures(client: "MlflowClient", run_id: str, log: RunLog, pictures: Pictures) -> None:
    """Learning curves of all epochs in the log; confusion, reliability and mistakes of the best one.

    A picture that cannot be drawn is a line on stderr.
    """
    curves = _figure_or_none(lambda: learning_curves(epochs_of(log)))
    if curves is not None:
        client.log_figure(run_id, curves, "learning_curves.png")
    if not log.inspection_file.exists():
        return
    inspection = Inspection.load(log.inspection_file)
    for name, draw in (
        ("confusion_matrix.png", lambda: confusion_matrix(inspection, pictures.classes)),
        ("reliability.png", lambda: reliability_diagram(inspection)),
    ):
        figure = _figure_or_none(draw)
        if figure is not None:
            client.log_figure(run_id, figure, name)
    sheet = _figure_or_none(lambda: _mistakes(inspection, pictures))
    if sheet is not None:
        client.log_image(run_id, sheet, artifact_file="most_confidently_wrong.png")


def _mistakes(inspection: Inspection, pictures: Pictures) -> Any:
    dataset = Dataset.open(Path(pictures.dataset_folder))
    if not pictures.is_folded:
        return mistake_sheet(dataset.validation, inspection, pictures.classes)
    shown = images_at(dataset, inspection.image_M)
    return mistake_sheet(shown, replace(inspection, image_M=np.arange(len(shown))), pictures.classes)


def epochs_of(log: RunLog) -> list[Measured]:
    """Every epoch of a trial once, by number, whichever process trained it."""
    epochs = {record.step: record for record in reversed(log.records) if isinstance(record, Measured)}
    return [epochs[step] for step in sorted(epochs)]


def _figure_or_none(draw: Callable[[], Any]) -> Any:
    try:
        return draw()
    except Exception as error:  # noqa: BLE001  a picture is never worth a training
        print(f"a picture of a training could not be drawn: {type(error).__name__}: {error}", file=sys.stderr)
        return None
