"""What Ray Tune runs as a trial: a class that the study's driver, too, can name without importing torch."""

from typing import Any

from ray import tune


class TunedTrial(tune.Trainable):
    """Hands all on to a `TrialActor`, which its own process imports: torch takes 250 MB of each process that
    has it, and the drivers of all studies of a cluster live on its head.
    """

    def setup(self, config: dict[str, Any]) -> None:
        """Readies the process, then the first trial."""
        from study.execution.trial_actor import TrialActor

        self._actor = TrialActor(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next trial, of the same study; never False, by which Ray Tune would lose the trial."""
        return self._actor.reset_config(new_config)

    def step(self) -> dict[str, Any]:
        """One epoch, or the trial's failure, as Ray Tune's result."""
        return self._actor.step()

    def answers(self) -> bool:
        """True; the driver asks for it to find out whether the process is still there."""
        return self._actor.answers()

    def cleanup(self) -> None:
        """Writes the state of a trial that was cut off, and sends MLflow what it accepts within seconds."""
        self._actor.cleanup()
