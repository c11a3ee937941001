"""The card of a version: what the page and programs are told of it."""

import shutil
from pathlib import Path

import pytest
from registering_tiny import Registry

from study.registry.version_files import fetch
from study.registry.version_layout import EVIDENCE, MODEL_CARD_FILE
from study.registry.versions import find_version
from study.serving.card import read_card
from trainables.datasets.manifest import Manifest
from trainables.inference.classifier import Classifier


def test_the_card_says_what_was_measured_and_where_the_limits_are(
    registered: Registry, classifier: Classifier
) -> None:
    version = find_version(registered.client, "digits")
    card = read_card(registered.home, version, classifier.config)
    assert (card.model, card.version, card.alias, card.study) == ("digits", 1, "candidate", "by-hand")
    assert [one.name for one in card.classes] == [str(digit) for digit in range(10)]
    manifest = Manifest.read(registered.home.datasets / "digits")
    assert card.dataset.num_train_images == manifest.splits["train"].num_images
    assert card.dataset.digest == manifest.digest
    assert card.dataset.text is not None
    assert "gray" in card.dataset.text
    assert "Digest" not in card.dataset.text
    assert card.use is not None
    assert card.use.startswith("Images like those of the dataset digits")
    assert card.limits.startswith("- Measured on images from the same source")
    assert (card.input.height, card.input.width, card.input.channels) == (8, 8, 1)
    whole = fetch(registered.client, registered.home, version, MODEL_CARD_FILE).read_text(encoding="utf-8")
    for one in card.classes:
        assert one.recall is not None
        assert one.low is not None
        assert one.high is not None
        assert (
            f"| {one.name} | {one.num_images} | {one.recall:.1%} ({one.low:.1%} to {one.high:.1%}) |" in whole
        )


def test_the_card_leaves_out_what_is_gone(
    sqlite_registry: Registry, classifier: Classifier, tmp_path: Path
) -> None:
    sqlite_registry.add(classifier)
    version = find_version(sqlite_registry.client, "digits")
    folder = fetch(sqlite_registry.client, sqlite_registry.home, version, EVIDENCE)
    shutil.rmtree(folder)
    (folder.parent / MODEL_CARD_FILE).unlink()
    shutil.rmtree(sqlite_registry.home.datasets / "digits")
    card = read_card(sqlite_registry.home, version, classifier.config)
    assert {one.recall for one in card.classes} == {None}
    assert len(card.classes) == 10
    assert card.dataset.num_train_images is None
    assert card.dataset.text is None
    assert card.limits == ""


@pytest.mark.parametrize("alias", ["champion", "candidate"])
def test_the_champion_is_called_so(registered: Registry, classifier: Classifier, alias: str) -> None:
    version = find_version(registered.client, "digits")
    aliases = ("candidate", "champion") if alias == "champion" else ("candidate",)
    renamed = type(version)(**{**vars(version), "aliases": aliases})
    assert read_card(registered.home, renamed, classifier.config).alias == alias
