"""The device of a process that Ray started."""

import socket

import ray
import torch

from study.errors import StudyError
from trainables.devices.device import device_name


def trial_device() -> torch.device:
    """The GPU that Ray assigned to this process, if it did; a machine's other GPUs are other trials'.

    GPUs that exist for Ray's counting only (`ray start --num-gpus` on a machine without any) leave a trial on
    the CPU. Raises StudyError where there is one that torch cannot use.
    """
    if not ray.get_runtime_context().get_accelerator_ids().get("GPU"):
        return torch.device("cpu")
    if torch.cuda.is_available():
        return torch.device("cuda")
    if _has_driver():
        raise StudyError(
            f"this machine has a GPU that torch {torch.__version__} cannot use; install a torch built for "
            "its CUDA driver there, "
            "or set resources.gpus_per_trial to 0"
        )
    return torch.device("cpu")


def trial_devices(num_gpus: float) -> list[torch.device]:
    """The devices of a trial that has this number of GPUs: one for each whole GPU, one for a part of a GPU or
    none.
    """
    first, num_devices = trial_device(), max(int(num_gpus), 1)
    if num_devices == 1 or first.type == "cpu":
        return [first] * num_devices
    return [torch.device(first.type, index) for index in range(num_devices)]


def _has_driver() -> bool:
    import pynvml

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return False
    pynvml.nvmlShutdown()
    return True


def place_of(devices: list[torch.device]) -> str:
    """The machine and the devices of a process that Ray started, for a person: `node-3, GPU 1, 2 (NVIDIA
    H200)`.
    """
    ids = ray.get_runtime_context().get_accelerator_ids().get("GPU", [])
    if devices[0].type == "cpu":
        return f"{socket.gethostname()}, CPU"
    return f"{socket.gethostname()}, GPU {', '.join(ids)} ({device_name(devices[0])})"
