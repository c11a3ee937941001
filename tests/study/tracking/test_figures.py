"""Pictures of a training are drawn from its log: of all its epochs, also those of an earlier process."""

from pathlib import Path

import numpy as np
from run_records import measured, opened

from study.tracking.figure_logging import epochs_of
from study.tracking.figures import confusion_matrix, learning_curves, reliability_diagram
from study.tracking.log_records import Measured
from study.tracking.run_log import RunLog
from trainables.metrics.inspection import Inspection


def test_the_curves_of_a_resumed_trial_have_all_its_epochs(tmp_path: Path) -> None:
    log = RunLog(tmp_path, "trial-0000")
    log.append(opened("1"), measured(1), measured(2), measured(3))
    log.append(opened("1"), measured(3), Measured(**{**vars(measured(4)), "phase": 2}))
    (losses, _) = learning_curves(epochs_of(log)).axes
    assert losses.lines[0].get_xdata().tolist() == [1, 2, 3, 4]
    assert losses.lines[-1].get_xdata() == [3.5, 3.5], "a phase begins with epoch 4"


def test_a_confusion_matrix_and_a_reliability_diagram_say_which_epoch_they_show() -> None:
    labels_N = np.arange(90) % 3
    inspection = Inspection.of(
        predicted_N=np.where(np.arange(90) < 45, labels_N, 0),
        probability_N=np.full(90, 0.75),
        labels_N=labels_N,
        num_classes=3,
        epoch=7,
    )
    (matrix,) = confusion_matrix(inspection, ("a", "b", "c")).axes
    assert matrix.get_title() == "validation, epoch 7: accuracy 66.67%, 90 images"
    assert [text.get_text() for text in matrix.texts] == ["30", "0", "0", "15", "15", "0", "15", "0", "15"]
    accuracy, share = reliability_diagram(inspection).axes
    assert accuracy.get_title() == "validation, epoch 7: calibration error 0.083"
    (bar,) = accuracy.patches
    assert bar.get_height() == np.float64(60 / 90)
    assert sum(patch.get_height() for patch in share.patches) == 1
