"""A study's final result as tables and metrics of its MLflow run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from study import names
from study.connections.mlflow_client import tracking_errors
from study.evaluation.final_result import Confirmed, FinalResult
from study.evaluation.test_result import ClassResult, TestResult

if TYPE_CHECKING:
    from mlflow import MlflowClient


def log_final(client: "MlflowClient", run_id: str, final: FinalResult) -> None:
    """Logs the confirmed configurations and the classes as tables, and the whole result as `final.json`."""
    tables = {
        f"classes_{candidate.kind}.json": list(map(_class_row, candidate.test.classes))
        for candidate in final.candidates
    }
    if final.confirmed:
        tables["confirmed.json"] = list(map(_confirmed_row, final.confirmed))
    with tracking_errors(client.tracking_uri):
        for file, rows in tables.items():
            client.log_dict(run_id, _split(rows), file)
        client.set_tag(run_id, names.TABLES, json.dumps([{"path": file, "type": "table"} for file in tables]))
        client.log_dict(run_id, asdict(final), "final.json")


def final_metrics(final: FinalResult) -> dict[str, float]:
    """Metrics for the run: `test/…` of the single network, `ensemble/…` and `selected/…`."""
    metrics: dict[str, float] = {}
    for candidate in final.candidates:
        metrics |= _of_candidate(candidate.test, kind=candidate.kind)
    return metrics


def _of_candidate(test: TestResult, *, kind: str) -> dict[str, float]:
    metrics: dict[str, float] = {
        names.metric_on_test_split("temperature", kind=kind): test.calibration.temperature
    }
    for clean, intervals in ((False, test.metrics), (True, test.clean_metrics or {})):
        for name, interval in intervals.items():
            metrics |= {
                names.metric_on_test_split(name, kind=kind, clean=clean): interval.value,
                names.metric_on_test_split(name, kind=kind, clean=clean, end="low"): interval.low,
                names.metric_on_test_split(name, kind=kind, clean=clean, end="high"): interval.high,
            }
    for name in ("ece", "log_loss", "brier"):
        metrics[names.calibration_metric(name, "before", kind=kind)] = getattr(test.calibration.before, name)
        metrics[names.calibration_metric(name, "after", kind=kind)] = getattr(test.calibration.after, name)
    return metrics


def _confirmed_row(row: Confirmed) -> dict[str, Any]:
    values = ", ".join("none" if value is None else f"{value:.4f}" for value in row.values)
    return {**asdict(row), "trial": names.trial_name(row.trial), "values": values}


def _class_row(row: ClassResult) -> dict[str, Any]:
    shares = {"recall": row.recall, "precision": row.precision}
    ends = {
        f"{name}{end}": None if interval is None else getattr(interval, field)
        for name, interval in shares.items()
        for end, field in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    return {"class": row.name, "images": row.num_images, "predicted": row.num_predicted, **ends}


def _split(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A table in MLflow's own form; `log_table` would append to the table of before an extension."""
    return {"columns": list(rows[0]) if rows else [], "data": [list(row.values()) for row in rows]}
