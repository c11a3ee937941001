"""A real S3 endpoint that a test starts and stops: moto's server in a process of its own.

Tests take the fixture `s3` of `tests/conftest.py`; it also sets the environment that boto3 and MLflow read,
for this process and those that it starts, so that `s3://BUCKET/folder` works everywhere.
"""

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from ports import free_port

BUCKET = "studies"
NUM_TRIES = 5
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class S3:
    """An endpoint with one empty bucket."""

    endpoint: str

    @property
    def address(self) -> str:
        """Where artifacts may go."""
        return f"s3://{BUCKET}/artifacts"

    @property
    def environment(self) -> dict[str, str]:
        """What boto3 and MLflow need to find it."""
        return {
            "MLFLOW_S3_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def object_names(self) -> list[str]:
        """Names of all objects in the bucket."""
        pages = _client(self).get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [one["Key"] for page in pages for one in page.get("Contents", [])]


@contextmanager
def running_s3() -> Iterator[S3]:
    """The endpoint; what is in it goes with it."""
    process, s3 = _start()
    try:
        _client(s3).create_bucket(Bucket=BUCKET)
        yield s3
    finally:
        process.kill()
        process.wait()


def _start() -> tuple[subprocess.Popen[bytes], S3]:
    for _ in range(NUM_TRIES):
        port = free_port()
        command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(
            command,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "AWS_DEFAULT_REGION": "us-east-1"},
        )
        endpoint = f"http://127.0.0.1:{port}"
        if _answers(process, endpoint):
            return process, S3(endpoint)
    raise AssertionError("moto's server does not start")


def _answers(process: subprocess.Popen[bytes], endpoint: str) -> bool:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            urllib.request.urlopen(endpoint + "/moto-api/", timeout=2).close()
        except OSError:
            time.sleep(0.1)
        else:
            return True
    return False


def _client(s3: S3) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
