"""What a sampler of Optuna sees of a study: its past, which it cannot change, and the one trial that is
drawn.
"""

import datetime
from collections.abc import Container, Sequence
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

_DRAWN = -1
"""The id of the drawn trial; those of the past are the storage's."""


class SamplersView(InMemoryStorage):
    """A storage that lives for one draw.

    A draw that is thrown away leaves no trace in the study's own storage.
    """

    def __init__(self, past: Sequence[FrozenTrial], number: int) -> None:
        super().__init__()
        self._past = past
        self.drawn = FrozenTrial(
            number=number,
            trial_id=_DRAWN,
            state=TrialState.RUNNING,
            value=None,
            datetime_start=datetime.datetime.now(),
            datetime_complete=None,
            params={},
            distributions={},
            user_attrs={},
            system_attrs={},
            intermediate_values={},
        )

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """The drawn trial: there is only one."""
        return _DRAWN

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The drawn trial: no sampler reads another by its id."""
        assert trial_id == _DRAWN
        return self.drawn

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """The past and the drawn trial."""
        return [trial for trial in (*self._past, self.drawn) if states is None or trial.state in states]

    def set_trial_param(
        self, trial_id: int, param_name: str, param_value_internal: float, distribution: BaseDistribution
    ) -> None:
        """Of the drawn trial."""
        self.drawn.params[param_name] = distribution.to_external_repr(param_value_internal)
        self.drawn.distributions[param_name] = distribution

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Of the drawn trial."""
        self.drawn.system_attrs[key] = value
