"""The champion that a report sets the winner against: kept evidence of the same images, or a sentence."""

from dataclasses import replace
from pathlib import Path

import pytest
from registering_tiny import Registry

from study.evaluation.final_result import Candidate, FinalResult
from study.evaluation.test_evidence import TestEvidence
from study.home import Home
from study.names import CHAMPION
from study.registry.version_files import fetch
from study.registry.version_layout import EVIDENCE
from study.registry.versions import find_version
from study.report.champion import champion_of
from trainables.datasets.sealed_test import openings
from trainables.inference.classifier import Classifier


def result_of(version: int) -> FinalResult:
    """A study whose result is that version of digits; nothing asks for its numbers."""
    candidate = Candidate(kind="single", trial=0, seeds=(), test=None, model="digits", version=version)  # type: ignore[arg-type]
    return FinalResult(candidates=(candidate,), confirmed=())


@pytest.mark.slow
def test_the_winner_is_set_against_the_champion_without_an_opening(
    sqlite_registry: Registry, classifier: Classifier
) -> None:
    home, client = sqlite_registry.home, sqlite_registry.client
    sqlite_registry.add(classifier)
    sqlite_registry.add(classifier)
    winner = TestEvidence.read(fetch(client, home, find_version(client, "digits/2"), EVIDENCE))
    assert champion_of(home, result_of(2), winner) == (
        "No version of the model has been promoted, so there is no champion to compare with."
    )
    client.set_registered_model_alias("digits", CHAMPION, "1")
    num_openings = len(openings(home.datasets / "digits"))
    found = champion_of(home, result_of(2), winner)
    assert not isinstance(found, str)
    version, evidence = found
    assert version.name == "digits/1"
    assert (evidence.labels_N == winner.labels_N).all()
    assert champion_of(home, result_of(1), winner) == "The winner is the champion."
    assert champion_of(home, result_of(2), replace(winner, dataset_digest="other")) == (
        "The champion, digits/1, was measured on other images, so nothing is set against it."
    )
    assert len(openings(home.datasets / "digits")) == num_openings


def test_a_home_without_a_registry_has_no_champion(tmp_path: Path) -> None:
    empty = Home(tmp_path)
    assert champion_of(empty, result_of(1), None) == (  # type: ignore[arg-type]
        "There is no registry of models here, so there is no champion to compare with."
    )
    assert list(empty.folder.iterdir()) == []
