"""What a person sees of registered versions and of the decisions on them, at 80 columns."""

import re

import pytest
from command_line import Study
from registering_tiny import Registry, add

from study.registry.promotion import promote
from trainables.inference.classifier import Classifier


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal of 80 columns."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("COLUMNS", "80")


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


@pytest.mark.usefixtures("narrow")
def test_versions_and_decisions(study: Study, sqlite_registry: Registry, classifier: Classifier) -> None:
    home = sqlite_registry.home
    assert "no models yet" in study(home, "models").stdout
    add(sqlite_registry, classifier, 0.9)
    add(sqlite_registry, classifier, 0.97)
    assert "nothing was decided on digits yet" in study(home, "history", "digits").stdout
    promote(home, "digits", 1, user="ann")
    listed = plain(study(home, "models").stdout)
    rows = [line for line in listed.splitlines() if "by-hand" in line]
    assert ["candidate" in row for row in rows] == [True, False]
    assert ["champion" in row for row in rows] == [False, True]
    assert "0.969" in rows[0]
    assert "study promote digits" in listed
    promote(home, "digits", 2, force=True, reason="a test")
    (newest,) = [line for line in plain(study(home, "models").stdout).splitlines() if "0.969" in line]
    assert ("champion" in newest, "candidate" in newest) == (True, False)
    assert max(map(len, listed.splitlines())) <= 80
    told = plain(study(home, "history", "digits").stdout)
    assert "ann  promoted digits/1" in told
    assert "there was no champion to compare with" in told
