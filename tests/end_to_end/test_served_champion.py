"""The champion of a real study, served by a real `mlflow models serve`."""

import base64
import json
import os
import sys
import urllib.error
import urllib.request
from io import BytesIO
from pathlib import Path

import pytest
from finished_study import Finished
from mlflow_server import running_server
from PIL import Image

from study.registry.promotion import promote
from trainables.datasets.dataset import Dataset
from trainables.datasets.manifest import Manifest


def asked(port: int, image: str) -> dict[str, object]:
    """The first prediction for one image, as text."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/invocations",
        data=json.dumps({"dataframe_records": [{"image": image}]}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        return dict(json.load(answer)["predictions"][0])


@pytest.mark.slow
def test_the_champion_answers_over_http(finished: Finished, tmp_path: Path) -> None:
    assert promote(finished.home, "digits").decision.kind == "promoted"
    folder = finished.home.datasets / "digits"
    split, classes = Dataset.open(folder).validation, Manifest.read(folder).classes
    file, content = tmp_path / "digit.png", BytesIO()
    Image.fromarray(split.images[0].squeeze()).save(content, "PNG")
    file.write_bytes(content.getvalue())
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "models",
        "serve",
        "-m",
        "models:/digits@champion",
        "--env-manager",
        "local",
    ]
    with running_server(command, {**os.environ, "MLFLOW_TRACKING_URI": finished.home.tracking_uri}) as port:
        row = asked(port, base64.b64encode(content.getvalue()).decode())
        assert set(row) == {"label", *classes}
        assert row["label"] == classes[split.labels[0]]
        assert row[str(row["label"])] == pytest.approx(max(float(str(row[name])) for name in classes))
        for text in (str(file), file.as_uri()):  # a file of the serving machine
            with pytest.raises(urllib.error.HTTPError) as refused:
                asked(port, text)
            assert "text must be an image file in base64" in refused.value.read().decode()
