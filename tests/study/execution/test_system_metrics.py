"""How busy a machine is: read seldom, and at least once for each trial."""

import time

import pytest
import torch

from study.execution import system_metrics
from study.execution.system_metrics import MachineUse


def test_each_trial_has_a_reading_and_then_one_after_the_other_half_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    machine = MachineUse(torch.device("cpu"))
    first = machine.if_due()
    assert 0 <= first["system/system_memory_usage_percentage"] <= 100
    assert first["system/trial_memory_usage_megabytes"] > 10
    assert machine.if_due() == {}, "the next epoch"
    machine.begin_trial()
    assert set(machine.if_due()) == set(first), "the first epoch of the next trial"
    assert machine.if_due() == {}
    monkeypatch.setattr(system_metrics, "SECONDS_BETWEEN_READINGS", 0.05)
    time.sleep(0.06)
    assert set(machine.if_due()) == set(first)
