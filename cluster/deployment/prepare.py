"""Makes what a deployment lacks once MLflow runs: a bucket for artifacts, and an account that logs.

`python -m cluster.deployment.prepare` runs between the starts of MLflow and of Ray, each time: what is there
stays, and the account's password becomes the one in the environment. It reads

    MLFLOW_TRACKING_URI, MLFLOW_AUTH_ADMIN_PASSWORD       the server; the account `admin` makes others
    MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD    the account to make
    MLFLOW_ARTIFACTS_DESTINATION                          s3://BUCKET/FOLDER
    MLFLOW_S3_ENDPOINT_URL                                the object store, where it is not AWS's own
"""

import base64
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from urllib.parse import urlsplit

from cluster.errors import ClusterError

ADMIN = "admin"
PATIENCE_SECONDS = 300
"""A first start of MLflow makes its tables."""
_USERS = "/api/2.0/mlflow/users"


def main() -> None:
    """Prepares the deployment that the environment describes.

    What a person must correct is one message and exit code 2.
    """
    try:
        prepare(os.environ)
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


def prepare(settings: Mapping[str, str]) -> None:
    """Makes the bucket and the account.

    Raises ClusterError if a setting is missing, or if something does not answer or refuses.
    """
    destination = _setting(settings, "MLFLOW_ARTIFACTS_DESTINATION")
    bucket = urlsplit(destination).netloc
    if not destination.startswith("s3://") or not bucket:
        raise ClusterError(f"MLFLOW_ARTIFACTS_DESTINATION must be s3://BUCKET/FOLDER, got {destination!r}")
    server = _setting(settings, "MLFLOW_TRACKING_URI").rstrip("/")
    admin_password = _setting(settings, "MLFLOW_AUTH_ADMIN_PASSWORD")
    name = _setting(settings, "MLFLOW_TRACKING_USERNAME")
    password = _setting(settings, "MLFLOW_TRACKING_PASSWORD")
    make_bucket(bucket, settings.get("MLFLOW_S3_ENDPOINT_URL"))
    _wait_for(server)
    make_account(server, admin_password, name, password)


def make_bucket(bucket: str, endpoint: str | None) -> None:
    """Makes the bucket if the store at `endpoint` lacks it; on AWS itself (None) it must be there.

    Raises ClusterError if it is not, or if the store fails or refuses.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    retries = Config(retries={"total_max_attempts": 8, "mode": "standard"})
    try:
        client = boto3.client("s3", endpoint_url=endpoint, config=retries)
        try:
            client.head_bucket(Bucket=bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] != "404":
                raise
            if endpoint is None:
                absent = f"there is no bucket {bucket!r}"
                raise ClusterError(f"{absent}; make it: aws s3 mb s3://{bucket}") from None
            client.create_bucket(Bucket=bucket)
            print(f"made the bucket {bucket}")
    except (BotoCoreError, ClientError) as error:
        store = f"the object store at {endpoint or 'AWS'}"
        raise ClusterError(f"{store} fails or refuses bucket {bucket!r}: {error}") from error


def make_account(server: str, admin_password: str, name: str, password: str) -> None:
    """Makes the MLflow account, or gives the one that is there this password. Raises ClusterError."""
    account = {"username": name, "password": password}
    status, answer = _call(server, admin_password, "POST", "/create", account)
    if answer.get("error_code") == "RESOURCE_ALREADY_EXISTS":
        status, answer = _call(server, admin_password, "PATCH", "/update-password", account)
    elif status == 200:
        print(f"made the MLflow account {name}")
    if status in (401, 403):
        raise ClusterError(
            f"MLflow at {server} refuses MLFLOW_AUTH_ADMIN_PASSWORD; it is read only by a fresh database: "
            f"give the password that the account {ADMIN!r} has now"
        )
    if status != 200:
        reason = answer.get("message") or status
        raise ClusterError(f"MLflow at {server} does not make the account {name!r}: {reason}")


def _setting(settings: Mapping[str, str], name: str) -> str:
    value = settings.get(name)
    if not value:
        raise ClusterError(f"{name} is not set; secrets come from .env, which is made from .env.example")
    return value


def _wait_for(server: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            urllib.request.urlopen(server + "/health", timeout=5).close()
        except (OSError, ValueError) as error:
            if time.monotonic() > deadline or isinstance(error, ValueError):
                raise ClusterError(f"MLflow at {server} does not answer ({error})") from None
            time.sleep(1)
        else:
            return


def _call(
    server: str,
    admin_password: str,
    method: str,
    path: str,
    body: Mapping[str, str],
) -> tuple[int, dict[str, str]]:
    """Status and answer of MLflow, asked as its administrator."""
    key = base64.b64encode(f"{ADMIN}:{admin_password}".encode()).decode()
    request = urllib.request.Request(server + _USERS + path, json.dumps(body).encode(), method=method)
    request.add_header("Authorization", f"Basic {key}")
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, {}
    except urllib.error.HTTPError as error:
        return error.code, _json(error.read())
    except OSError as error:
        raise ClusterError(f"MLflow at {server} does not answer ({error})") from error


def _json(text: bytes) -> dict[str, str]:
    try:
        return dict(json.loads(text))
    except ValueError:  # a refusal is plain text
        return {}


if __name__ == "__main__":
    main()
