"""How busy a trial's machine is, under the names by which MLflow shows it as system metrics."""

import psutil
import torch

from study.names import system_metric

_MEGABYTE = 1e6


class MachineUse:
    """Measured between one call and the next, by the trial's process itself: some tenths of a millisecond an
    epoch, and no thread.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._process = psutil.Process()
        self.since_last()

    def since_last(self) -> dict[str, float]:
        """Processors since the last call, memory and the trial's own GPU as they are now; what a GPU driver
        does not report is left out.
        """
        memory = psutil.virtual_memory()
        use = {
            "cpu_utilization_percentage": psutil.cpu_percent(None),
            "system_memory_usage_megabytes": memory.used / _MEGABYTE,
            "system_memory_usage_percentage": memory.percent,
            "trial_cpu_utilization_percentage": self._process.cpu_percent(None),
            "trial_memory_usage_megabytes": self._process.memory_info().rss / _MEGABYTE,
        }
        if self._device.type == "cuda":
            use |= self._gpu()
        return {system_metric(name): float(value) for name, value in use.items()}

    def _gpu(self) -> dict[str, float]:
        free, total = torch.cuda.mem_get_info(self._device)
        use = {
            "gpu_0_memory_usage_megabytes": (total - free) / _MEGABYTE,
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
