"""Whether a phase is faster with the output of its frozen layers kept than without; without torch."""

from dataclasses import dataclass

from trainables.recipe.tree import Recipe

LEAST_FLOPS = 5e10
"""Of frozen layers over a phase: what takes less is over before its features are written."""
FLOPS_PER_BYTE = {"cpu": 100, "cuda": 20_000}
"""That frozen layers must take for each byte of features: a core computes some 40 billion in a second and
reads a gigabyte; a GPU computes 100 trillion while it is sent five gigabytes."""


@dataclass(frozen=True, kw_only=True)
class PhaseFrozen:
    """The frozen layers of a phase, and how often it asks them for the same images."""

    flops: int
    """Operations on floating-point numbers for one image."""
    num_bytes: int
    """Of what they make of one image."""
    epochs: int
    num_images: int
    """Different ones that the phase trains on."""
    num_per_epoch: int
    """Of which an epoch trains on so many."""
    num_validated: int
    num_views: int
    """In how many versions training images come back."""
    is_shared: bool
    """Whether other trials of the machine start from the same frozen weights."""
    device_type: str
    """`cpu` or `cuda`."""

    def why_no_use(self) -> str | None:
        """Why features of training images would not be used twice; None where they would."""
        num_uses = self.epochs * self.num_per_epoch / (self.num_views * self.num_images)
        if self.is_shared or num_uses >= 2:
            return None
        return "no image comes back often enough in this phase"

    def why_no_gain(self, *, has_training: bool, is_resident: bool) -> str | None:
        """Why features would not make the phase faster, be it those of validation images alone; None where
        they would. `is_resident` says that they stay in a GPU's memory.
        """
        num_images = self.num_validated + (self.num_per_epoch if has_training else 0)
        if self.flops * num_images * self.epochs < LEAST_FLOPS:
            return "they take too little"
        if self.epochs == 1 and not self.is_shared:
            return "no image comes back in this phase"
        is_slow = self.flops < FLOPS_PER_BYTE[self.device_type] * self.num_bytes
        if is_slow and not is_resident:
            return "to read their output would take as long"
        return None


def is_shared(recipe: Recipe, phase_index: int) -> bool:
    """Whether other trials of the machine train from the same frozen weights in a phase, counted from 0:
    those of a pretrained network, before anything was trained.
    """
    return phase_index == 0 and recipe.model.weights != "none"
