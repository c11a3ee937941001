"""What a server answers, and what it refuses with which words."""

import base64
import http.client
import json
import socket
import struct
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import psutil
import pytest
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from registering_tiny import Registry
from running_server import PATIENCE_SECONDS, PNG, Running, png, reply_of, running

from study.serving.bounds import Bounds
from trainables.inference.classifier import Classifier

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def served(registered: Registry) -> Iterator[Running]:
    with running(registered.home) as found:
        yield found


def form(files: list[bytes], boundary: str = "edge") -> tuple[bytes, dict[str, str]]:
    """A form as browsers and curl send it, with a field that is no file."""
    parts = [b'--edge\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n']
    for number, content in enumerate(files):
        head = f'--edge\r\nContent-Disposition: form-data; name="image"; filename="{number}.png"\r\n'
        parts.append(head.encode() + b"Content-Type: image/png\r\n\r\n" + content + b"\r\n")
    return b"".join(parts) + b"--edge--\r\n", {"Content-Type": f"multipart/form-data; boundary={boundary}"}


def in_base64(files: list[bytes]) -> bytes:
    return json.dumps({"images": [base64.b64encode(content).decode() for content in files]}).encode()


def bomb(width: int, height: int) -> bytes:
    """A PNG of few bytes that says it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def check_answer(tree: Any, files: list[bytes], classifier: Classifier) -> None:
    """The answer says what the classifier says of the files, in their order."""
    expected_NK = classifier.probabilities(files)
    assert (tree["model"], tree["version"]) == ("digits", 1)
    assert tree["milliseconds"] > 0
    assert len(tree["predictions"]) == len(files)
    for prediction, row in zip(tree["predictions"], expected_NK, strict=True):
        assert tuple(prediction["probabilities"]) == classifier.config.classes
        assert list(prediction["probabilities"].values()) == pytest.approx(row.tolist(), abs=1e-5)
        assert prediction["label"] == classifier.config.classes[int(row.argmax())]
        assert "box" not in prediction


def test_one_image_is_sent_as_it_is(served: Running, digits: list[bytes], classifier: Classifier) -> None:
    for headers in (PNG, {"Content-Type": "application/octet-stream"}, {}):
        reply = served.post("/predict", digits[0], headers)
        assert reply.status == 200
        check_answer(reply.tree, digits[:1], classifier)


def test_images_of_a_form_and_of_json_keep_their_order(
    served: Running, digits: list[bytes], classifier: Classifier
) -> None:
    for body, headers in (form(digits[:5]), (in_base64(digits[:5]), JSON)):
        reply = served.post("/predict", body, headers)
        assert reply.status == 200, reply.body
        check_answer(reply.tree, digits[:5], classifier)


def test_many_callers_each_get_their_own_answer(
    served: Running, digits: list[bytes], classifier: Classifier
) -> None:
    expected_NK = classifier.probabilities(digits)

    def ask(number: int) -> list[float]:
        tree = served.post("/predict", digits[number % len(digits)], PNG).tree
        return list(tree["predictions"][0]["probabilities"].values())

    with ThreadPoolExecutor(16) as callers:
        for number, row in enumerate(callers.map(ask, range(320))):
            assert row == pytest.approx(expected_NK[number % len(digits)].tolist(), abs=1e-5)
    batches = metric(served, "study_serve_batch_images_count")
    assert batches < metric(served, "study_serve_batch_images_sum"), "no two requests shared a batch"


def metric(served: Running, name: str) -> float:
    lines = served.get("/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.split("{")[0].split(" ")[0] == name)


@pytest.mark.parametrize(
    ("body", "headers", "status", "rule"),
    [
        (b"", PNG, 400, "at least one image"),
        (b"hello", PNG, 400, "an image must be a PNG, JPEG, WebP"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", PNG, 400, "must be a PNG"),
        (b"\x89PNG\r\n\x1a\nbroken", PNG, 400, "an image must"),
        (b"{}", JSON, 400, '"images"'),
        (b"[1]", JSON, 400, "must be an object"),
        (b"{", JSON, 400, "no JSON"),
        (b"[" * 100_000, JSON, 400, "no JSON"),
        (b'{"images": []}', JSON, 400, "at least one image"),
        (b'{"images": ["?"]}', JSON, 400, "image 1: text must be an image file in base64"),
        (b'{"images": [null]}', JSON, 400, "image 1"),
        (b'{"images": [[[1e99]]]}', JSON, 400, "image 1"),
        (b"x", {"Content-Type": "text/html"}, 415, "text/html"),
        (b"x", {"Content-Type": "multipart/form-data"}, 400, "boundary"),
        (form([b""])[0], form([])[1], 400, "an image must"),
        (form([])[0], form([])[1], 400, "at least one image"),
        (form([b"x"])[0][:-20], form([])[1], 400, "last boundary"),
        (form([b"x"])[0], form([], "other")[1], 400, "form cannot be read"),
        (bomb(60_000, 60_000), PNG, 400, "25,000,000 pixels"),
        (bomb(6_000, 6_000), PNG, 400, "25,000,000 pixels"),
    ],
)  # fmt: skip
def test_wrong_input_is_refused_with_the_rule(
    served: Running, body: bytes, headers: dict[str, str], status: int, rule: str
) -> None:
    reply = served.post("/predict", body, headers)
    assert (reply.status, rule in reply.error) == (status, True), reply.body


def test_one_bad_image_among_good_ones_is_named(served: Running, digits: list[bytes]) -> None:
    body, headers = form([digits[0], b"no image", digits[1]])
    reply = served.post("/predict", body, headers)
    assert reply.status == 400
    assert reply.error.startswith("image 2 of 3:")


def test_unknown_paths_and_methods_are_told(served: Running) -> None:
    assert "/predict" in served.get("/nope").error
    reply = served.get("/predict")
    assert (reply.status, reply.error) == (405, "/predict does not take GET")
    reply = served.post("/predict?find=cat", b"x", PNG)
    assert (reply.status, "must be face" in reply.error) == (400, True)
    reply = served.post("/predict?find=face", b"x", PNG)
    assert (reply.status, "--find-faces" in reply.error) == (400, True)


def test_a_bomb_takes_no_memory(served: Running) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    body, headers = form([bomb(30_000, 30_000)] * 20)
    assert served.post("/predict", body, headers).status == 400
    assert process.memory_info().rss - before < 2**26


def test_too_many_bytes_and_images_are_refused_while_they_are_read(registered: Registry) -> None:
    with running(registered.home, bounds=Bounds(request_bytes=10_000, images_per_request=3)) as served:
        reply = served.post("/predict", b"x" * 20_000, PNG)
        assert (reply.status, "10,000 bytes" in reply.error) == (413, True)
        reply = served.post("/predict", iter([b"x" * 1000] * 100), PNG)  # chunks, without a length
        assert (reply.status, "10,000 bytes" in reply.error) == (413, True)
        body, headers = form([png(np.zeros((8, 8), np.uint8))] * 4)
        reply = served.post("/predict", body, headers)
        assert (reply.status, "3 images" in reply.error) == (413, True)


def test_who_comes_while_too_many_wait_may_try_again(registered: Registry, digits: list[bytes]) -> None:
    with running(registered.home, bounds=Bounds(waiting_requests=1, seconds=60)) as served:
        slow = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE_SECONDS)
        slow.putrequest("POST", "/predict")
        slow.putheader("Content-Length", str(len(digits[0])))
        slow.endheaders(digits[0][:10])
        while metric(served, "study_serve_waiting_requests") < 1:
            time.sleep(0.01)
        reply = served.post("/predict", digits[1], PNG)
        assert (reply.status, reply.headers["retry-after"]) == (429, "1")
        slow.send(digits[0][10:])
        assert reply_of(slow).status == 200
        assert served.post("/predict", digits[1], PNG).status == 200


def test_bytes_of_all_who_wait_are_bounded(registered: Registry, digits: list[bytes]) -> None:
    bounds = Bounds(request_bytes=10_000, waiting_bytes=10_000, seconds=60)
    with running(registered.home, bounds=bounds) as served:
        slow = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE_SECONDS)
        slow.putrequest("POST", "/predict")
        slow.putheader("Content-Length", "9990")
        slow.endheaders()
        while metric(served, "study_serve_waiting_requests") < 1:
            time.sleep(0.01)
        assert served.post("/predict", digits[1], PNG).status == 429
        slow.close()
        while metric(served, "study_serve_waiting_requests"):
            time.sleep(0.01)
        assert served.post("/predict", digits[1], PNG).status == 200


@pytest.mark.slow
def test_a_request_that_takes_too_long_is_told(registered: Registry) -> None:
    with running(registered.home, bounds=Bounds(seconds=0.2)) as served:
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE_SECONDS) as slow:
            slow.sendall(b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx")
            assert b" 408 " in slow.recv(1000)
        # Few bytes, which arrive at once, and 500 million pixels to decode.
        body, headers = form([png(np.zeros((4900, 4900, 3), np.uint8))] * 20)
        reply = served.post("/predict", body, headers)
        assert (reply.status, "0.2 s" in reply.error) == (504, True)


def test_mlflows_client_is_answered(served: Running, digits: list[bytes], classifier: Classifier) -> None:
    client = ScoringServerClient("127.0.0.1", served.port)
    client.ping()
    client.wait_server_ready(timeout=5)
    assert json.loads(client.get_version())["version"] == 1
    texts = [base64.b64encode(content).decode() for content in digits[:3]]
    table = client.invoke(pd.DataFrame({"image": texts})).get_predictions()
    expected_NK = classifier.probabilities(digits[:3])
    assert list(table.columns) == ["label", *classifier.config.classes]
    assert table[list(classifier.config.classes)].to_numpy() == pytest.approx(expected_NK, abs=1e-5)
    rows = [{"image": text} for text in texts]
    for tree in (
        {"dataframe_split": {"columns": ["image"], "data": [[text] for text in texts]}},
        {"dataframe_records": rows, "params": {}},
        {"instances": rows},
        {"instances": texts},
        {"inputs": {"image": texts}},
        {"inputs": rows},
    ):
        reply = served.post("/invocations", json.dumps(tree).encode(), JSON)
        assert reply.status == 200, reply.body
        assert [row["label"] for row in reply.tree["predictions"]] == table["label"].tolist()
        assert reply.headers["x-model-version"] == "digits/1"
    pixels = np.zeros((8, 8), int).tolist()
    assert served.post("/invocations", json.dumps({"instances": [{"image": pixels}]}), JSON).status == 200


@pytest.mark.parametrize(
    ("tree", "rule"),
    [
        ({}, "must have one of"),
        ({"instances": [], "inputs": []}, "must have one of"),
        ({"instances": []}, "at least one image"),
        ({"instances": 3}, "must be a list"),
        ({"instances": [{"picture": "x"}]}, 'must have an "image"'),
        ({"dataframe_split": {"columns": ["x"], "data": []}}, 'with "image"'),
        ({"dataframe_split": {"columns": ["image"], "data": [[1, 2]]}}, "must have 1 values"),
        ({"inputs": {"image": 3}}, 'list under "image"'),
        ({"instances": [{"image": "/etc/passwd"}]}, "image 1"),
    ],
)
def test_wrong_invocations_are_refused_with_the_rule(served: Running, tree: Any, rule: str) -> None:
    reply = served.post("/invocations", json.dumps(tree).encode(), JSON)
    assert (reply.status, rule in reply.error) == (400, True), reply.body


def test_the_state_is_told(served: Running, digits: list[bytes]) -> None:
    assert served.get("/live").tree == {"status": "live"}
    ready = served.get("/ready").tree
    assert (ready["status"], ready["model"], ready["version"], ready["following"]) == (
        "ready",
        "digits",
        1,
        "yes",
    )
    assert served.get("/version").tree["version"] == 1
    assert served.get("/ping").status == 200
    before = metric(served, "study_serve_predictions_total")
    assert served.post("/predict", digits[0], PNG).status == 200
    assert metric(served, "study_serve_predictions_total") == before + 1
    text = served.get("/metrics").body.decode()
    assert 'study_serve_requests_total{path="/predict",status="200"}' in text
    assert "study_serve_request_seconds_bucket" in text
    assert "process_resident_memory_bytes" in text
    assert 'study_serve_version{model="digits"} 1.0' in text
    assert "study_serve_following 1.0" in text


def test_the_interface_is_described(served: Running) -> None:
    tree = served.get("/openapi.json").tree
    assert {"/predict", "/invocations", "/ready", "/metrics"} <= set(tree["paths"])
    predict = tree["paths"]["/predict"]["post"]
    assert {"image/*", "multipart/form-data", "application/json"} == set(predict["requestBody"]["content"])
    assert "429" in predict["responses"]
    assert served.get("/docs").status == 404
