"""Where the images of a study's trials will be, as far as this machine tells: in memory, or streamed from the
disk, and then how fast.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from study.execution.peak_memory import configuration_text, heaviest_recipes
from study.planning.plan import Plan
from trainables.recipe.tree import Recipe

if TYPE_CHECKING:
    from trainables.transforms.image_stream import StreamedImages

SMALL_BYTES = 2**28
"""Images that take less fit everywhere; no library is loaded to say so."""
SECONDS = 1.0
"""About as long as streaming is measured."""


@dataclass(frozen=True, kw_only=True)
class ImagePlacement:
    """Of the configuration whose images take most."""

    configuration: str
    image_bytes: int
    room_bytes: int
    """What they may take of a trial's memory here."""
    images_per_second: float | None
    """Read, decoded and brought to the device while nothing trains; None where images are in memory."""

    @classmethod
    def of(cls, plan: Plan) -> "ImagePlacement | None":
        """Measures for about a second where images are streamed; None where they are small."""
        recipe = max(heaviest_recipes(plan), key=lambda recipe: _most_bytes(recipe, plan))
        if _most_bytes(recipe, plan) < SMALL_BYTES:
            return None
        import torch

        from trainables.datasets.dataset import Dataset
        from trainables.devices.device import find_device
        from trainables.devices.memory import room_for_images
        from trainables.training.loop import num_image_bytes
        from trainables.transforms.image_stream import StreamedImages
        from trainables.transforms.preprocessing import Preprocessing

        dataset = Dataset.open(plan.dataset_folder)
        device = find_device() if plan.spec.resources.gpus_per_trial else torch.device("cpu")
        num_bytes = num_image_bytes(recipe, dataset) * (plan.spec.num_folds or 1)
        room = room_for_images(device, plan.spec.resources.cpus_per_trial)
        stream = StreamedImages(dataset.train, Preprocessing.of(recipe, plan.manifest), device)
        return cls(
            configuration=configuration_text(recipe),
            image_bytes=num_bytes,
            room_bytes=room,
            images_per_second=_rate(stream, recipe.batch_size) if num_bytes > room else None,
        )


def _most_bytes(recipe: Recipe, plan: Plan) -> int:
    """At least what the images of a training take in memory."""
    manifest, side = plan.manifest, recipe.data.image_size + recipe.data.crop_margin
    of_one = manifest.channels * max(side**2, 0 if manifest.is_encoded else manifest.height * manifest.width)
    num_images = manifest.splits["train"].num_images + manifest.splits["validation"].num_images
    return num_images * of_one * (plan.spec.num_folds or 1)


def _rate(stream: "StreamedImages", batch_size: int) -> float:
    import torch

    order = torch.randperm(len(stream), generator=torch.Generator().manual_seed(0))
    batches = stream.batches(order.split(batch_size))
    next(batches)  # threads start, and the first buffers fill
    start, num_images = time.perf_counter(), 0
    for batch in batches:
        num_images += len(batch)
        if time.perf_counter() - start > SECONDS:
            break
    return num_images / (time.perf_counter() - start)
