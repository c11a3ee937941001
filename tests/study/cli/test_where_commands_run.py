"""On a machine whose environment names a cluster, each command goes there or says that it is about this
machine.
"""

import re
import shlex
from pathlib import Path

import pytest
from command_line import Study

from study.home import Home
from study.reference.commands import Command, commands

ELSEWHERE = {"study quickstart", "study recipes", "study ui", "study submit", "study check"}
"""The first runs a study of minutes, the second is the same everywhere, the third serves pages here, and the
last two read a file before they go to the cluster."""


@pytest.mark.parametrize(
    "command", [one for one in commands() if one.words not in ELSEWHERE], ids=lambda one: one.words
)
def test_each_command_says_which_place_it_means(
    study: Study, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "http://127.0.0.1:1")
    words = shlex.split(re.sub(r" --address \S+", "", command.example))[1:]
    done = study(Home(tmp_path), *words)
    assert done.returncode != 0
    assert re.match(r"note: this is about this machine|error: no Ray cluster answers at", done.stderr), done


def test_an_empty_address_names_no_cluster(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAY_API_SERVER_ADDRESS", "")
    done = study(Home(tmp_path), "data", "push", "faces", "s3://bucket/datasets")
    assert done.stderr.startswith("error: unknown dataset 'faces'"), done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--on-cluster", "--from", "/photos"], "which cluster? Give its dashboard with --address"),
        (["--on-cluster", "--from", "photos", "--address", "h"], "--from takes the whole path of a source"),
        (["--address", "http://h:8265"], "--address says where a cluster is"),
        (["--home", "/shared"], "--home says where a cluster is"),
        (["--publish", "gs://bucket"], "datasets are published at s3://BUCKET/FOLDER, got 'gs://bucket"),
        (["--on-cluster", "--address", "http://127.0.0.1:1"], "no Ray cluster answers at"),
    ],
)
def test_a_dataset_is_added_where_it_is_said(
    study: Study, tmp_path: Path, words: list[str], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_API_SERVER_ADDRESS", raising=False)
    done = study(Home(tmp_path / "home"), "data", "add", "digits", *words)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {told}")
    assert not (tmp_path / "home").exists()
