"""What was measured of a training, for processes that do not train themselves and go without torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What one configuration takes; plain numbers."""

    peak_bytes: int | None
    """Most of a GPU's memory that its tensors took in training and validating, with all of its images there
    unless they are streamed; all that the GPU has where that is too little; None on a CPU."""
    images_per_second: float | None
    """In training, alone on its device; None where memory was too little."""
    is_streamed: bool = False
    """Whether images stayed on the disk, as the device has no room for all of them."""


@dataclass(frozen=True, kw_only=True)
class FrozenTime:
    """How long what is left of a network takes, where its first stages are frozen and their output is there;
    plain numbers.
    """

    freeze_depth: int
    """Stages that are frozen, counted from the input, at least 1."""
    seconds: float
    """Of a step of as many images as that of the whole network: forward, backward, and the optimizer."""
    fixed_seconds: float = 0.0
    """Of these, what a step of any number of images takes."""
    evaluation_seconds: float
    """For each image that is validated, seen once."""
    flops: int
    """Operations of the frozen layers for one image."""
    num_bytes: int
    """Of what they make of one image."""


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """How long a training that trains its whole network takes; plain numbers."""

    num_images: int
    """Of the step that was timed: the recipe's batch, or fewer where that would have taken long."""
    seconds: float
    """Of one such step, in the median: its images prepared, forward, backward, and the optimizer."""
    fixed_seconds: float = 0.0
    """Of these, what a step of any number of images takes."""
    evaluation_seconds: float
    """For each image that is validated, seen once."""
    build_seconds: float
    """Of building the network and readying a few images, before the first step."""
    frozen: tuple[FrozenTime, ...] = ()
    """By how many stages are frozen, as far as the network can be cut there."""


@dataclass(frozen=True, kw_only=True)
class DeviceMemory:
    """A GPU's memory in bytes."""

    total: int
    overhead: int
    """What is taken of it besides the tensors of this process: by its context, libraries, and by others."""

    @classmethod
    def of(cls, device: "torch.device") -> "DeviceMemory | None":
        """As it is now; None for a CPU."""
        import torch

        if device.type != "cuda":
            return None
        free, total = torch.cuda.mem_get_info(device)
        return cls(total=total, overhead=total - free - torch.cuda.memory_reserved(device))
