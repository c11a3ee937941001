"""The page of labels, in a real Chromium on a real server."""

import csv
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from browser import Browser, running_browser
from test_labelling import ask, folder_of, recorded, written


@contextmanager
def labelled(folder: Path, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`study label` as a process, and its address."""
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from study.cli.main import main; main()",
            "label",
            str(folder),
            *options,
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "STUDY_HOME": str(folder.parent / "home"), "PYTHONUNBUFFERED": "1"},
    )
    try:
        assert process.stdout is not None
        address = None
        for line in process.stdout:
            if found := re.search(r"http://127\.0\.0\.1:\d+/", line):
                address = found[0]
                break
        assert address is not None, "the server does not begin"
        yield process, address
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One for all tests."""
    with running_browser(tmp_path_factory.mktemp("browser")) as running:
        yield running


def test_labels_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "field")
    recorded(folder, {"4, a.png": ("sad", 0.9), "3, a.png": ("happy", 0.4)})
    with labelled(folder, "--classes", "happy,sad,angry") as (process, address):
        page = browser.open(address)
        page.wait_for("document.body.dataset.ready === 'yes'")
        assert page.text("#file") == "3, a.png"
        assert "taken for happy 40.0 %" in page.text("#guess")
        page.wait_for("document.querySelector('#image').naturalWidth === 8")

        page.press("2")  # sad
        page.wait_for("document.querySelector('#file').innerText === '4, a.png'")
        assert written(folder)[1:] == [["3, a.png", "sad"]]
        page.press("Enter")  # as the model took it
        page.wait_for("document.querySelector('#file').innerText === '1, a.png'")
        assert written(folder)[1:] == [["3, a.png", "sad"], ["4, a.png", "sad"]]

        page.press("u")
        page.wait_for("document.querySelector('#file').innerText === '4, a.png'")
        assert written(folder)[1:] == [["3, a.png", "sad"]]
        page.press("ArrowLeft")
        assert page.text("#file") == "3, a.png"
        assert page.evaluate("document.querySelector('[aria-pressed=true]').dataset.name") == "sad"
        page.press("3")  # angry
        page.wait_for("document.querySelector('#file').innerText === '4, a.png'")
        assert written(folder)[1:] == [["3, a.png", "angry"]]
        page.evaluate("document.querySelector('[data-name=happy]').click()")
        page.wait_for("document.querySelector('#count').innerText === '2 of 6 labels'")
        for _ in range(4):
            before = page.text("#count")
            page.press("1")
            page.wait_for(f"document.querySelector('#count').innerText !== '{before}'")
        assert page.text("#message") == "All images have labels."
        assert len(written(folder)) == 7
        assert page.problems == []

        process.send_signal(signal.SIGINT)
        rest = process.stdout.read() if process.stdout is not None else ""
        assert process.wait(timeout=60) == 0
        assert "6 labels in" in rest
        assert f"study data add NAME --from {folder / 'labels.csv'}" in rest


@pytest.mark.slow
def test_a_killed_server_loses_no_label(browser: Browser, tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "field")
    with labelled(folder, "--classes", "happy,sad") as (process, address):
        assert ask(f"{address}label", {"file": "1, a.png", "label": "sad"})[0] == 200
        process.kill()
        process.wait()
    assert written(folder)[1:] == [["1, a.png", "sad"]]
    with labelled(folder, "--classes", "happy,sad") as (_, address):
        page = browser.open(address, width=390, height=800)
        page.wait_for("document.body.dataset.ready === 'yes'")
        assert page.text("#count") == "1 of 6 labels"
        assert page.text("#file") == "2, a.png"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, "a telephone needs no scrolling"
    assert [file.name for file in folder.iterdir() if file.name.startswith(".labels.csv")] == []


def test_nobody_elsewhere_changes_labels(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "field")
    change = {"file": "1, a.png", "label": "sad"}
    with labelled(folder, "--classes", "happy,sad") as (_, address):
        assert ask(f"{address}label", change, Origin="https://example.com")[0] == 403
        assert ask(f"{address}label", change, Host="example.com")[0] == 400
        assert ask(f"{address}label", change, Host="example.com", Origin="http://example.com")[0] == 400
        assert ask(f"{address}state", None, Host="rebound.example.com:80")[0] == 400
        assert not (folder / "labels.csv").exists()
        status, answer = ask(f"{address}label", {"file": "../secret.png", "label": "sad"})
        assert (status, "an image must be one of" in str(answer["error"])) == (400, True)
        status, answer = ask(f"{address}label", {"file": "1, a.png", "label": "bad"})
        assert (status, "a label must be one of happy, sad" in str(answer["error"])) == (400, True)
        assert ask(f"{address}label", {"file": "1, a.png"})[0] == 422
        for path in ("images/99", "images/-1", "images/..%2f..%2fetc%2fpasswd", "openapi.json", "docs"):
            assert ask(f"{address}{path}")[0] in (404, 422), path
        assert not (folder / "labels.csv").exists()
        assert ask(f"{address}label", change)[0] == 200
        assert ask(f"{address}undo", {})[1]["file"] == "1, a.png"
    with (folder / "labels.csv").open(newline="") as stream:
        assert list(csv.reader(stream)) == [["filename", "label"]]
