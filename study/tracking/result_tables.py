"""What a study came to, as tables and numbers of its MLflow run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from study.connections.mlflow_client import tracking_errors
from study.evaluation.final_result import Candidate, Confirmed, Final
from study.evaluation.test_result import ClassResult, Interval
from study.names import trial_name

TABLES_TAG = "mlflow.loggedArtifacts"
"""By which MLflow knows the tables of a run."""


def log_final(client: Any, run_id: str, final: Final) -> None:
    """Puts the confirmed configurations and every class of each candidate into tables, and the whole into `final.json`."""
    tables = {f"classes_{candidate.kind}.json": list(map(_class_row, candidate.test.classes)) for candidate in final.candidates}
    if final.confirmed:
        tables["confirmed.json"] = list(map(_confirmed_row, final.confirmed))
    with tracking_errors(client.tracking_uri):
        for file, rows in tables.items():
            client.log_dict(run_id, _split(rows), file)
        client.set_tag(run_id, TABLES_TAG, json.dumps([{"path": file, "type": "table"} for file in tables]))
        client.log_dict(run_id, asdict(final), "final.json")


def final_metrics(final: Final) -> dict[str, float]:
    """Numbers for the run: `test/accuracy`, `test/accuracy_low` and so on for the single network, `ensemble/...` for the ensemble."""
    metrics: dict[str, float] = {}
    for candidate in final.candidates:
        metrics |= _of_candidate(candidate, "test" if candidate.kind == "single" else "ensemble")
    return metrics


def _of_candidate(candidate: Candidate, prefix: str) -> dict[str, float]:
    test = candidate.test
    metrics = {**_ends(test.metrics, prefix), **_ends(test.clean_metrics or {}, f"{prefix}_clean")}
    if test.calibration is not None:
        metrics[f"{prefix}/temperature"] = test.calibration.temperature
        for when, scores in (("before", test.calibration.before), ("after", test.calibration.after)):
            metrics |= {f"{prefix}_calibration/{name}_{when}": value for name, value in asdict(scores).items()}
    return metrics


def _ends(intervals: Mapping[str, Interval], prefix: str) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for name, interval in intervals.items():
        metrics |= {f"{prefix}/{name}": interval.value, f"{prefix}/{name}_low": interval.low, f"{prefix}/{name}_high": interval.high}
    return metrics


def _confirmed_row(row: Confirmed) -> dict[str, Any]:
    return {**asdict(row), "trial": trial_name(row.trial), "values": ", ".join("none" if v is None else f"{v:.4f}" for v in row.values)}


def _class_row(row: ClassResult) -> dict[str, Any]:
    shares = {"recall": row.recall, "precision": row.precision}
    ends = {
        f"{name}{end}": None if interval is None else getattr(interval, field)
        for name, interval in shares.items()
        for end, field in (("", "value"), ("_low", "low"), ("_high", "high"))
    }
    return {"class": row.name, "images": row.num_images, "predicted": row.num_predicted, **ends}


def _split(rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """A table as MLflow keeps those that it shows; its own `log_table` would add to the one of before the study was extended."""
    return {"columns": list(rows[0]) if rows else [], "data": [list(row.values()) for row in rows]}
