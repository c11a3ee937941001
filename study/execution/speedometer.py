"""How fast a trial's training goes, within its epochs too."""

import time

from study.search.record.trial_protocol import Pace
from trainables.training.cross_validation import CrossValidation
from trainables.training.epoch import Epoch
from trainables.training.loop import Training

FIRST_SECONDS = 1.0


class Speedometer:
    """Measures one training after another; it keeps none of them, as each holds a device's memory."""

    def __init__(self, device: str) -> None:
        """`device` is what they train on, for a person."""
        self.pace: Pace | None = None
        """Where the training was after it was last let go on; None before that."""
        self._device = device
        self._epoch_seconds: float | None = None

    def begin_trial(self) -> None:
        """Forgets the training before."""
        self.pace = self._epoch_seconds = None

    def advance(self, training: Training | CrossValidation, seconds: float) -> Epoch | None:
        """Lets a training go on, as `Training.advance` does; the first time for a second at most, in which
        its first steps make everything ready, and whose speed says nothing.
        """
        is_first, share, begun = self.pace is None, training.share_of_epoch, time.perf_counter()
        epoch = training.advance(min(seconds, FIRST_SECONDS) if is_first else seconds)
        if epoch is not None:
            return epoch  # which is noted where it is reported
        num_images, rate = training.num_train_images, None
        if not is_first:
            done = (training.share_of_epoch - share) * num_images
            rate = done / max(time.perf_counter() - begun, 1e-9)
        self.pace = Pace(
            num_epochs=training.num_epochs_done,
            share=training.share_of_epoch,
            images_per_second=rate,
            epoch_seconds=self._epoch_seconds or (num_images / rate if rate else None),
            device=self._device,
        )
        return None

    def note(self, epoch: Epoch) -> None:
        """Takes in a whole epoch, which this or another process trained."""
        self._epoch_seconds = epoch.train_seconds + epoch.validation_seconds
        self.pace = Pace(
            num_epochs=epoch.number,
            share=0.0,
            images_per_second=epoch.num_train_images / max(epoch.train_seconds, 1e-9),
            epoch_seconds=self._epoch_seconds,
            device=self._device,
        )
