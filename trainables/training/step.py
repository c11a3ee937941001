"""One optimizer step: a batch is changed, mixed, judged by the network, and its gradients move the
weights.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from trainables.devices.device import autocast
from trainables.devices.randomness import generator
from trainables.models.network import Network
from trainables.recipe.tree import Recipe
from trainables.training.loss_functions import ImageLoss
from trainables.training.process_group import ProcessGroup
from trainables.training.stopwatch import Stopwatch
from trainables.training.torch_optimizers import clip_gradients
from trainables.training.training_images import Batch
from trainables.training.weight_average import WeightAverage
from trainables.transforms.augment import augment
from trainables.transforms.fixed_views import FixedViews
from trainables.transforms.mixing import Mixed, mix
from trainables.transforms.preprocessing import Preprocessing

# B batch, b a part of it, H height, W width as stored, C channels, S and L sides of the square image, K
# classes


@dataclass(frozen=True, kw_only=True, eq=False)
class Step:
    """What every step of a training has in common."""

    recipe: Recipe
    network: Network
    loss: ImageLoss
    preprocessing: Preprocessing
    average: WeightAverage | None
    multipliers_K: Tensor | None
    """What the augmentation's strength is multiplied by for each class; None where all are treated alike."""
    views: FixedViews | None
    """Of the training images; None where each epoch changes them anew."""
    micro_batch: int
    """Images that go through the network at once."""
    device: torch.device
    stopwatch: Stopwatch
    """Counts what each part of a step takes; on a GPU, which goes on by itself, what the whole step does."""

    def take(
        self,
        optimizer: torch.optim.Optimizer,
        batch: Batch,
        index: int,
        epoch: int,
        progress: float,
        group: ProcessGroup | None = None,
        suffix: nn.Module | None = None,
    ) -> Tensor:
        """Takes step `index` of the training in `epoch`, from 0, at `progress` in [0, 1), the share of
        epochs done; returns the batch's loss, a scalar.

        With a `suffix` of the network the batch has features, which go through it as they are.

        A process of a `group` computes its parts of the batch alone, and takes the step of all.
        """
        if suffix is None:
            mixed = self._augmented(batch, index, epoch, progress)
        else:
            mixed = Mixed(images_BCSS=batch.images_BHWC)
        self._lap("augmentation")
        optimizer.zero_grad(set_to_none=True)
        loss = self._add_gradients(_Judged(mixed, batch.labels_B, suffix), progress, group)
        clip_gradients(self.recipe.optimizer, self.network.trainable_parameters())
        optimizer.step()
        if self.average is not None:
            self.average.update(self.network.module)
        self.lap_at_end()
        return loss

    def lap_at_end(self) -> None:
        """Counts the time since the last lap to the end of a step."""
        self.stopwatch.lap("optimizer" if self.device.type == "cpu" else "step")

    def _lap(self, span: str) -> None:
        if self.device.type == "cpu":
            self.stopwatch.lap(span)

    def _augmented(self, batch: Batch, index: int, epoch: int, progress: float) -> Mixed:
        augmentation, size = self.recipe.augmentation, self.recipe.data.image_size
        changes = generator(self.device, self.recipe.seed, "augmentation", index)
        multiplier_B = None if self.multipliers_K is None else self.multipliers_K[batch.labels_B]
        images_BCLL = self.preprocessing.scaled(batch.images_BHWC)
        images_BCSS = (
            augment(images_BCLL, augmentation, changes, image_size=size, multiplier_B=multiplier_B)
            if self.views is None
            else self.views.changed(images_BCLL, batch.positions_B, self.views.of_epoch(epoch))
        )
        return mix(images_BCSS, batch.labels_B, augmentation.mixing, changes, progress)

    def _add_gradients(self, judged: "_Judged", progress: float, group: ProcessGroup | None) -> Tensor:
        """Adds the batch's gradients and returns its loss, part by part where it does not go through
        whole.
        """
        mixed, labels_B = judged.mixed, judged.labels_B
        if group is None and len(labels_B) <= self.micro_batch:
            loss = self._loss(judged, progress)
            self._lap("forward")
            loss.backward()
            self._lap("backward")
            return loss.detach()
        total = self._divisor(mixed, labels_B, progress)
        loss_sum = torch.zeros((), device=self.device)
        for part_b, counts in self._parts(len(labels_B), group):
            part, labels_b = mixed.part(part_b), labels_B[part_b]
            weight = self._divisor(part, labels_b, progress) / total if counts else 0.0
            loss = self._loss(_Judged(part, labels_b, judged.suffix), progress) * weight
            self._lap("forward")
            loss.backward()
            loss_sum += loss.detach()
            self._lap("backward")
        if group is not None:
            loss_sum = group.all_reduce_gradients(self.network.trainable_parameters(), loss_sum)
            self._lap("backward")
        return loss_sum

    def _parts(self, num_images: int, group: ProcessGroup | None) -> list[tuple[Tensor, bool]]:
        """Indices of the images that go through the network at once here, and whether they count.

        A process without a part of its own computes one that does not, so that all have gradients of the same
        parameters.
        """
        num_processes = 1 if group is None else group.world_size
        parts_b = torch.arange(num_images, device=self.device).tensor_split(
            self._num_parts(num_images, num_processes)
        )
        own = parts_b if group is None else parts_b[group.rank :: group.world_size]
        return [(part_b, True) for part_b in own] or [(parts_b[0], False)]

    def _num_parts(self, num_images: int, num_processes: int) -> int:
        """As few as fit and go round, but none of a single image, on which BatchNorm cannot train."""
        num_parts = math.ceil(num_images / self.micro_batch / num_processes) * num_processes
        if self.micro_batch == 1:
            return min(num_parts, num_images)
        return num_parts if num_images // num_parts > 1 else max(num_images // 2, 1)

    def _loss(self, judged: "_Judged", progress: float) -> Tensor:
        mixed = judged.mixed
        with autocast(self.device):
            logits_BK = (
                self.network.module(self.preprocessing.normalised(mixed.images_BCSS))
                if judged.suffix is None
                else judged.suffix(mixed.images_BCSS)
            )
        return self.loss(
            logits_BK.float(),
            judged.labels_B,
            progress=progress,
            others_B=mixed.others_B,
            share_B=mixed.share_B,
        )

    def _divisor(self, mixed: Mixed, labels_B: Tensor, progress: float) -> Tensor:
        return self.loss.divisor(labels_B, progress=progress, others_B=mixed.others_B, share_B=mixed.share_B)


@dataclass(frozen=True, eq=False)
class _Judged:
    """Images, or features of them for a suffix of the network, and their labels."""

    mixed: Mixed
    labels_B: Tensor
    suffix: nn.Module | None
