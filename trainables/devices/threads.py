"""How many CPU threads a process computes with."""

import os
from contextlib import suppress

import torch

_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


def use_threads(num_threads: int) -> None:
    """Lets the process, and those that it starts, compute with so many threads, whatever its environment said
    before.

    One operation at a time is computed: torch's second pool, for several at once, gets one thread, which is
    never used.
    """
    for name in _VARIABLES:
        os.environ[name] = str(num_threads)
    torch.set_num_threads(num_threads)
    with suppress(RuntimeError):  # the second pool has begun, so that its size is settled
        torch.set_num_interop_threads(1)
