"""What would make a program wait for a GPU, refused on any device."""

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

_READS = ("_local_scalar_dense", "nonzero", "masked_select", "unique")
"""A number is read, or a size follows from values."""


class NoReads(TorchDispatchMode):
    """A context in which a tensor's values must not reach the program."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.name()
        assert not any(read in name for read in _READS), f"{name} waits for the device"
        return func(*args, **(kwargs or {}))
