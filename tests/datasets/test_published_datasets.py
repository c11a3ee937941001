"""Datasets in an object store: what is fetched is what was pushed, once for a machine, or one message says
why not.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import Study
from PIL import Image
from s3_server import BUCKET, S3

from study.home import Home
from trainables.datasets.adding import add_dataset
from trainables.datasets.dataset import Dataset
from trainables.datasets.listing import read_manifest
from trainables.datasets.node_cache import CACHE_VARIABLE, cached_dataset
from trainables.datasets.options import AddOptions
from trainables.datasets.published import fetch_dataset, published_address, push_dataset
from trainables.datasets.sealed_test import open_test_split
from trainables.errors import DatasetError

ASK = (
    "import sys; from trainables.datasets.node_cache import cached_dataset; "
    "print(cached_dataset(*sys.argv[1:]))"
)


@pytest.fixture
def pushed(s3: S3, tmp_path: Path) -> str:
    """The address of the digits, which lie in `tmp_path/laptop`, too."""
    add_dataset(tmp_path / "laptop", "digits", None, AddOptions())
    return push_dataset(tmp_path / "laptop", "digits", f"s3://{BUCKET}/{tmp_path.name}/")


def overwrite(s3: S3, key: str, content: bytes) -> None:
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=s3.endpoint,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        region_name="us-east-1",
    )
    client.put_object(Bucket=BUCKET, Key=key, Body=content)


def test_what_is_fetched_is_what_was_pushed(pushed: str, tmp_path: Path) -> None:
    before, after = tmp_path / "laptop" / "digits", fetch_dataset(pushed, tmp_path / "cluster")
    assert (after / "train.arrow").read_bytes() == (before / "train.arrow").read_bytes()
    assert read_manifest(after) == read_manifest(before)
    assert published_address(after) == published_address(before) == pushed
    assert len(open_test_split(after, "a test")[0]) == 359
    assert fetch_dataset(pushed, tmp_path / "cluster") == after, "it is there"
    assert push_dataset(tmp_path / "laptop", "digits", pushed.rsplit("/", 1)[0]) == pushed, (
        "pushing it again changes nothing"
    )


def test_files_of_any_size_are_fetched_as_they_were_pushed(s3: S3, tmp_path: Path) -> None:
    for number in range(40):
        place = tmp_path / "photos" / "ab"[number % 2]
        place.mkdir(parents=True, exist_ok=True)
        size = (60 + number % 9, 40 + number)
        Image.new("RGB", size, (6 * number, number, 0)).save(place / f"{number}.jpg")
    manifest = add_dataset(tmp_path / "laptop", "photos", tmp_path / "photos", AddOptions())
    assert manifest.is_encoded
    address = push_dataset(tmp_path / "laptop", "photos", f"s3://{BUCKET}/{tmp_path.name}/")
    fetched = fetch_dataset(address, tmp_path / "cluster")
    assert read_manifest(fetched) == manifest
    assert (fetched / "train.arrow").read_bytes() == (
        tmp_path / "laptop" / "photos" / "train.arrow"
    ).read_bytes()


def test_a_machine_fetches_once_and_never_the_test_split(
    pushed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    digest = read_manifest(tmp_path / "laptop" / "digits").digest
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ASK, pushed, digest],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = [process.communicate(timeout=120) for process in processes]
    folders = {Path(out.strip()) for out, _ in said}
    assert len(folders) == 1, said
    (folder,) = folders
    assert len(Dataset.open(folder).train) == 1079
    assert sorted(file.name for file in folder.iterdir()) == [
        "manifest.json",
        "train.arrow",
        "validation.arrow",
    ]
    written = (folder / "train.arrow").stat().st_mtime_ns
    assert cached_dataset(pushed, digest) == folder
    assert (folder / "train.arrow").stat().st_mtime_ns == written
    assert not list(folder.parent.glob(".digits*")), "nothing half-fetched stays"


def test_damage_is_one_message_and_nothing_stays(
    s3: S3, pushed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    manifest = read_manifest(tmp_path / "laptop" / "digits")
    content = bytearray((tmp_path / "laptop" / "digits" / "train.arrow").read_bytes())
    content[len(content) // 3] ^= 1
    overwrite(s3, f"{tmp_path.name}/digits/train.arrow", bytes(content))
    message = (
        rf"{re.escape(pushed)}/train.arrow is damaged: its digest is \w{{12}}, the manifest says "
        f"{manifest.splits['train'].digest[:12]}"
    )
    with pytest.raises(DatasetError, match=message):
        cached_dataset(pushed, manifest.digest)
    with pytest.raises(DatasetError, match=message):
        fetch_dataset(pushed, tmp_path / "cluster")
    assert not list((tmp_path / "cluster").iterdir())
    assert {file.name for file in (tmp_path / "cache" / manifest.digest).iterdir()} == {"lock", "used"}
    with pytest.raises(DatasetError, match="was replaced"):
        cached_dataset(pushed, "0" * 64)


def test_what_cannot_be_used_is_one_message(
    s3: S3, pushed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = pushed.rsplit("/", 1)[0]
    add_dataset(tmp_path / "other", "digits", None, AddOptions(split_seed=1))
    with pytest.raises(DatasetError, match="holds another dataset 'digits'"):
        push_dataset(tmp_path / "other", "digits", folder)
    with pytest.raises(DatasetError, match="is another dataset than s3://"):
        fetch_dataset(pushed, tmp_path / "other")
    with pytest.raises(
        DatasetError,
        match=f"there is no dataset at {folder}/cats; publish one: study data push NAME {folder}",
    ):
        fetch_dataset(f"{folder}/cats", tmp_path / "cluster")
    with pytest.raises(DatasetError, match="published at s3://BUCKET/FOLDER, got 'ftp://x/digits'"):
        push_dataset(tmp_path / "laptop", "digits", "ftp://x")
    with pytest.raises(
        DatasetError,
        match=r"s3://no-such-bucket-here/digits cannot be used .*; check its name, AWS_ACCESS_KEY_ID",
    ):
        push_dataset(tmp_path / "laptop", "digits", "s3://no-such-bucket-here")


def test_a_dataset_is_published_as_it_is_added(s3: S3, tmp_path: Path, study: Study) -> None:
    place, words = f"s3://{BUCKET}/{tmp_path.name}", ("data", "add", "digits", "--publish")
    added = study(Home(tmp_path / "home"), *words, place)
    assert (added.returncode, f"in a study file: dataset: {place}/digits" in added.stdout) == (0, True), added
    assert fetch_dataset(f"{place}/digits", tmp_path / "cluster") == tmp_path / "cluster" / "digits"

    other = study(Home(tmp_path / "other"), *words, place, "--size", "16")
    assert other.returncode == 2
    assert "digits is added, but not published: " in other.stderr
    assert f"study data push digits {place}" in other.stderr

    taken = study(Home(tmp_path / "home"), *words, f"{place}/elsewhere")
    assert (taken.returncode, "there is a dataset 'digits' already" in taken.stderr) == (2, True), taken
    assert [name for name in s3.object_names() if "elsewhere" in name] == [], "what is refused leaves nothing"

    nowhere = study(Home(tmp_path / "nowhere"), *words, "s3://no-such-bucket-/f")
    assert (nowhere.returncode, "there is no bucket" in nowhere.stderr) == (2, True), nowhere
    assert not (tmp_path / "nowhere").exists(), "it is refused before anything is read"
