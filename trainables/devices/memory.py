"""Running out of memory, told apart from other failures."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from trainables.errors import MemoryExhaustedError

_PHRASES = (
    "out of memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""How libraries below torch say it in a RuntimeError."""


@contextmanager
def translate_memory_errors(device: torch.device) -> Iterator[None]:
    """Turns what is raised inside for want of memory, on a CPU or a GPU, into MemoryExhaustedError, and frees
    what can be freed.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryExhaustedError) or not _is_for_want_of_memory(error):
            raise
        reason = str(error).strip().split("\n")[0]
        # Outside of the handler, so that the traceback no longer holds the tensors.
        exhausted = MemoryExhaustedError(f"{device} has too little memory for this training: {reason}")
    else:
        return
    if device.type == "cuda":
        torch.cuda.empty_cache()
    raise exhausted


def limit_memory(device: torch.device, share: float) -> None:
    """Keeps the tensors of this process within a share, in (0, 1], of a GPU's memory; beyond it memory is
    exhausted.
    """
    torch.cuda.set_per_process_memory_fraction(share, device)


def _is_for_want_of_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        phrase in str(error) for phrase in _PHRASES
    )
