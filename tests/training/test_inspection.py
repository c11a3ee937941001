"""What is kept of a validation: the same counts as the metrics have, and the mistakes that were made most
confidently.
"""

import numpy as np
import pytest

from trainables.metrics.calibration import expected_calibration_error
from trainables.metrics.inspection import MAX_MISTAKES, Inspection
from trainables.metrics.mistake_sheet import mistake_sheet
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.loop import Training


def test_it_agrees_with_the_epochs_metrics_and_with_the_calibration_error(make_dataset, tmp_path):
    dataset = make_dataset()
    recipe = Recipe(
        data=Data(image_size=8),
        model=Model(architecture="cnn2-32x64"),
        phases=(Phase(epochs=2, learning_rate=0.01),),
        batch_size=16,
    )
    training = Training(recipe, dataset)
    *_, last = training
    inspection = training.inspection()
    assert inspection.epoch == 2
    assert tuple(map(tuple, inspection.confusion_KK.tolist())) == last.metrics.confusion
    assert inspection.num_right_B.sum() / inspection.num_B.sum() == pytest.approx(last.metrics.accuracy)
    probabilities_NK = training.predict(dataset.validation.images)
    assert inspection.calibration_error == pytest.approx(
        expected_calibration_error(probabilities_NK, dataset.validation.labels), abs=1e-6
    )
    inspection.save(tmp_path / "inspection.npz")
    kept = Inspection.load(tmp_path / "inspection.npz")
    for name, value in vars(inspection).items():
        np.testing.assert_array_equal(getattr(kept, name), value)


def test_the_worst_mistakes_come_first_and_only_mistakes() -> None:
    labels_N = np.arange(100) % 4
    predicted_N = np.where(np.arange(100) < 60, (labels_N + 1) % 4, labels_N)
    probability_N = np.linspace(0.3, 0.9, 100)
    inspection = Inspection.of(
        predicted_N=predicted_N, probability_N=probability_N, labels_N=labels_N, num_classes=4, epoch=1
    )
    assert inspection.image_M.tolist() == list(range(59, 59 - MAX_MISTAKES, -1))
    assert (inspection.true_M != inspection.predicted_M).all()
    assert (np.diff(inspection.probability_M) < 0).all()


def test_a_sheet_shows_the_mistakes_and_is_none_without_any(make_dataset):
    split = make_dataset().validation
    right = {
        "probability_N": np.full(len(split), 0.9),
        "labels_N": split.labels,
        "num_classes": 3,
        "epoch": 1,
    }
    perfect = Inspection.of(predicted_N=split.labels, **right)
    assert mistake_sheet(split, perfect, ("left", "middle", "right")) is None
    one_wrong = np.where(np.arange(len(split)) == 7, (split.labels + 1) % 3, split.labels)
    sheet = mistake_sheet(split, Inspection.of(predicted_N=one_wrong, **right), ("left", "middle", "right"))
    assert sheet is not None
    shown = np.asarray(sheet)
    image = split.images[7, ..., 0]
    assert shown[6:102:12, 6:102:12, 0].tolist() == image.tolist(), "each pixel of 8x8 is a square of 12"
