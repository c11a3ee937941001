"""How far a trial has come after an epoch."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialProgress:
    """A trial after one of its epochs. More is better in it, whatever the objective."""

    trial: int
    num_epochs: int
    """The trial's own length."""
    epoch: int
    group: str
    """Trials are ranked among those of one group."""
    value: float
    """Of this epoch."""
    best: float
    """Highest value so far."""
    improved_at: int
    """Epoch of the highest value; at least the one before the trial came into its group, as what trains there
    has to show first."""
    total: float
    """Sum of the values so far."""
    num_values: int

    @classmethod
    def first(cls, trial: int, num_epochs: int, epoch: int, value: float, group: str) -> "TrialProgress":
        """After the first epoch that is known."""
        return cls(
            trial=trial,
            num_epochs=num_epochs,
            epoch=epoch,
            group=group,
            value=value,
            best=value,
            improved_at=epoch,
            total=value,
            num_values=1,
        )

    def after(self, epoch: int, value: float, group: str) -> "TrialProgress":
        """After another epoch."""
        improved_at = self.improved_at if group == self.group else epoch - 1
        return TrialProgress(
            trial=self.trial,
            num_epochs=self.num_epochs,
            epoch=epoch,
            group=group,
            value=value,
            best=max(self.best, value),
            improved_at=epoch if value > self.best else improved_at,
            total=self.total + value,
            num_values=self.num_values + 1,
        )

    @property
    def mean(self) -> float:
        """Running average of the values."""
        return self.total / self.num_values
