"""From the field back into the model: a recorded folder, labels, a larger dataset, a promotion."""

import csv
from pathlib import Path

import numpy as np
import pytest
from command_line import Study
from PIL import Image
from registering_tiny import Registry, trained

from study.field.labelling import Labelling
from study.registry.promotion import promote
from trainables.datasets.dataset import Dataset
from trainables.datasets.listing import read_manifest
from trainables.inference.classifier import Classifier
from trainables.metrics.from_logits import metrics_of


def in_the_field(images_NHWC: np.ndarray) -> np.ndarray:
    """The camera there shows the negative."""
    return 255 - images_NHWC


def record(folder: Path, classifier: Classifier, images_NHWC: np.ndarray) -> None:
    """What `study serve --record` leaves: pictures, and what the champion said of each."""
    (folder / "images").mkdir(parents=True)
    rows = [["file", "label", "confidence", "version", "time"]]
    for number, probabilities_K in enumerate(classifier.probabilities_of_stored(images_NHWC)):
        name = f"images/{number:016x}.png"
        Image.fromarray(images_NHWC[number, ..., 0]).save(folder / name)
        label = classifier.config.classes[int(probabilities_K.argmax())]
        rows.append(
            [name, label, f"{probabilities_K.max():.6f}", "digits/1", "2026-11-22T08:00:00.000+00:00"]
        )
    with (folder / "predictions.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)


@pytest.mark.slow
def test_the_loop_closes(study: Study, sqlite_registry: Registry, tmp_path: Path) -> None:
    home, folder = sqlite_registry.home, tmp_path / "recorded"
    dataset = Dataset.open(home.datasets / "digits")
    # The dataset that was trained on has no image of what the field sends.
    field_NHWC = in_the_field(np.array(dataset.train.images[:500]))
    truth = dict(zip(range(500), dataset.train.labels[:500].tolist(), strict=True))
    champion = trained(home, epochs=2)
    sqlite_registry.add(champion)
    assert promote(home, "digits").decision.kind == "promoted"

    record(folder, champion, field_NHWC)
    assert study(home, "drift", "digits", "--from", folder).returncode == 1

    labelling = Labelling(folder, champion.config.classes)
    for name in labelling.names:
        labelling.set(name, str(truth[int(Path(name).stem, 16)]))
    labelling.close()

    before = read_manifest(home.datasets / "digits")
    added = study(
        home, "data", "add", "digits", "--with", "digits", "--from", folder / "labels.csv", "--replace"
    )
    assert added.returncode == 0, added.stderr
    after = read_manifest(home.datasets / "digits")
    assert after.classes == before.classes
    assert [after.splits[name].num_images - before.splits[name].num_images for name in after.splits] == [
        400,
        50,
        50,
    ]

    candidate = trained(home, epochs=3)
    number = sqlite_registry.add(candidate)
    outcome = promote(home, "digits", number)
    assert outcome.decision.kind == "promoted", outcome.decision.evidence
    assert outcome.comparison is not None
    assert "dataset" in outcome.decision.evidence[-1], "both were measured on the test split as it is now"
    unseen_NHWC = in_the_field(np.array(dataset.validation.images))
    accuracies = [
        metrics_of(one.probabilities_of_stored(unseen_NHWC), np.array(dataset.validation.labels)).accuracy
        for one in (champion, candidate)
    ]
    assert accuracies[1] > accuracies[0] + 0.2


def test_a_dataset_that_is_not_there_is_not_extended(
    study: Study, sqlite_registry: Registry, tmp_path: Path
) -> None:
    home = sqlite_registry.home
    refused = study(home, "data", "add", "digits", "--with", "nothing", "--from", tmp_path)
    assert refused.returncode == 2
    assert "unknown dataset 'nothing'" in refused.stderr
