"""The device a training runs on, and what precision and repeatability mean there."""

from contextlib import AbstractContextManager, nullcontext

import torch

from trainables.errors import RecipeError


def find_device(name: str | None = None) -> torch.device:
    """The device called `name` (`cpu`, `cuda`, `cuda:1`), or without a name the first GPU if there is one.

    Raises RecipeError for a device this machine does not have.
    """
    num_gpus = torch.cuda.device_count()
    if name is None:
        return torch.device("cuda", 0) if num_gpus else torch.device("cpu")
    known = ["cpu", *(["cuda"] if num_gpus else []), *(f"cuda:{index}" for index in range(num_gpus))]
    if name not in known:
        raise RecipeError(f"device must be one of {', '.join(known)} on this machine, got {name!r}")
    return torch.device(name)


def device_name(device: torch.device) -> str:
    """What MLflow's pages call it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"cpu, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"


def autocast(device: torch.device) -> AbstractContextManager[object]:
    """A context for forward passes: bfloat16 on GPUs that compute it natively, float32 elsewhere.

    A CPU without native bfloat16 emulates it, ten times slower than float32, so CPUs always take float32.
    """
    if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return torch.autocast("cuda", torch.bfloat16)
    return nullcontext()


def deterministic(device: torch.device) -> AbstractContextManager[object]:
    """A context in which convolutions give the same bits each time; on CPUs they always do."""
    return (
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True)
        if device.type == "cuda"
        else nullcontext()
    )
