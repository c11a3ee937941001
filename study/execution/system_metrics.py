"""How busy a trial's machine is, under the names by which MLflow shows it as system metrics."""

import time

import psutil
import torch

from study.names import system_metric

SECONDS_BETWEEN_READINGS = 30.0
"""At least: one value in 30 s tells a machine's load as well as one an epoch, and epochs of a second would
fill MLflow's database with it."""
_MEGABYTE = 1e6


class MachineUse:
    """Measured between one reading and the next, by the trial's process itself: some tenths of a millisecond,
    and no thread.

    Each metric is there for a question: is the machine full (`cpu_utilization_percentage`,
    `system_memory_usage_percentage`), is its GPU (`gpu_0_utilization_percentage`,
    `gpu_0_memory_usage_percentage`) and what does it draw (`gpu_0_power_usage_watts`); which part of that is
    this trial's (`trial_…`), by which a person chooses how many trials share a machine.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._process = psutil.Process()
        self._read_at = time.monotonic()
        self.begin_trial()
        self._read()  # percentages are since the last call

    def begin_trial(self) -> None:
        """Makes the next reading due: each trial has one, however short it is."""
        self._is_due = True

    def if_due(self) -> dict[str, float]:
        """The processors since the last reading, memory and the trial's own GPU as they are now; what a GPU
        driver does not report is left out. Empty within SECONDS_BETWEEN_READINGS of the trial's last reading.
        """
        if not self._is_due and time.monotonic() - self._read_at < SECONDS_BETWEEN_READINGS:
            return {}
        self._is_due, self._read_at = False, time.monotonic()
        return {system_metric(name): float(value) for name, value in self._read().items()}

    def _read(self) -> dict[str, float]:
        use = {
            "cpu_utilization_percentage": psutil.cpu_percent(None),
            "system_memory_usage_percentage": psutil.virtual_memory().percent,
            "trial_cpu_utilization_percentage": self._process.cpu_percent(None),
            "trial_memory_usage_megabytes": self._process.memory_info().rss / _MEGABYTE,
        }
        return use | self._gpu() if self._device.type == "cuda" else use

    def _gpu(self) -> dict[str, float]:
        free, total = torch.cuda.mem_get_info(self._device)
        use = {
            "gpu_0_memory_usage_percentage": 100 * (total - free) / total,
            "trial_gpu_memory_peak_megabytes": torch.cuda.max_memory_allocated(self._device) / _MEGABYTE,
        }
        readings = {"gpu_0_utilization_percentage": torch.cuda.utilization, "gpu_0_power_usage_watts": _watts}
        for name, read in readings.items():
            try:
                use[name] = float(read(self._device))
            except (ImportError, RuntimeError):  # not every driver reports it
                continue
        return use


def _watts(device: torch.device) -> float:
    return torch.cuda.power_draw(device) / 1000
