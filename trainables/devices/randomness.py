"""Random numbers that follow from (seed, purpose, index) alone, so that no generator's state has to be kept.

The process's own generators neither influence a training nor are changed by it.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch


def derived_seed(seed: int, purpose: str, index: int = 0) -> int:
    """A seed in [0, 2**63) for one purpose (`order`, `dropout`, ...) at one epoch or step; unrelated for any
    two of them.
    """
    digest = hashlib.blake2b(f"{seed}/{purpose}/{index}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def generator(device: torch.device, seed: int, purpose: str, index: int = 0) -> torch.Generator:
    """A fresh generator on `device` at its derived seed."""
    return torch.Generator(device).manual_seed(derived_seed(seed, purpose, index))


@contextmanager
def seeded(seed: int, purpose: str, index: int = 0, device: torch.device | None = None) -> Iterator[None]:
    """What layers draw inside, on the CPU and on `device`, follows from the derived seed; outside nothing is
    changed.

    Not for several threads of one process at once: the generators they share are swapped.
    """
    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        # Not torch.manual_seed, which would also seed devices that are not forked here.
        torch.default_generator.manual_seed(derived_seed(seed, purpose, index))
        for cuda in devices:
            with torch.cuda.device(cuda):
                torch.cuda.manual_seed(derived_seed(seed, purpose, index))
        yield


def generator_states(device: torch.device) -> tuple[torch.Tensor, ...]:
    """Where the generators stand that layers draw from: the CPU's, then that of a CUDA device."""
    states = [torch.default_generator.get_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return tuple(states)


def set_generator_states(states: Sequence[torch.Tensor], device: torch.device) -> None:
    """Sets the generators to what `generator_states` gave; inside `seeded`, where it ends with the block."""
    torch.default_generator.set_state(states[0].cpu())
    if device.type == "cuda" and len(states) > 1:
        torch.cuda.set_rng_state(states[1].cpu(), device)
