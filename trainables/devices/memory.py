"""Running out of memory, told apart from other failures."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from trainables.errors import MemoryExhaustedError

_PHRASES = (
    "out of memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)
"""How libraries below torch say it in a RuntimeError."""
_SHARE_OF_GPU = 0.8
"""What is left goes to the network; where that is too little, a trial streams its images all the same."""
_SHARE_OF_HOST = 0.5
"""The system keeps pages of files in what is left."""


@contextmanager
def translate_memory_errors(device: torch.device) -> Iterator[None]:
    """Turns what is raised inside for want of memory, on a CPU or a GPU, into MemoryExhaustedError, and frees
    what can be freed.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, MemoryExhaustedError) or not is_for_want_of_memory(error):
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


def room_for_images(device: torch.device, num_threads: int | None = None) -> int:
    """Bytes that the images of a training may take: most of this process's share of a GPU's memory, or half
    of its share of the host's, which is that of its threads (None: as many as it has) among the machine's
    cores.
    """
    if device.type == "cuda":
        _, total = torch.cuda.mem_get_info(device)
        return int(_SHARE_OF_GPU * torch.cuda.get_per_process_memory_fraction(device) * total)
    share = (num_threads or torch.get_num_threads()) / (os.cpu_count() or 1)
    return int(_SHARE_OF_HOST * _host_bytes() * min(share, 1.0))


def _host_bytes() -> int:
    """Memory of the host, or of the container that this process runs in."""
    host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with suppress(OSError, ValueError):
        return min(host, int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="utf-8")))
    return host


def is_for_want_of_memory(error: Exception) -> bool:
    """Whether an error says that a CPU or a GPU has no memory left."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(
        phrase in str(error) for phrase in _PHRASES
    )
