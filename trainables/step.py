"""One optimizer step: a batch is changed, mixed, judged by the network, and its gradients move the weights."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from trainables.augmentation.changing import augment
from trainables.augmentation.mixing import Mixed, mix
from trainables.averaging import WeightAverage
from trainables.device import computing
from trainables.losses import ImageLoss
from trainables.member import Member
from trainables.models.network import Network
from trainables.optimizers import clip_gradients
from trainables.preprocessing import Preprocessing
from trainables.randomness import generator
from trainables.recipe.tree import Recipe

# B batch, b a part of it, H height, W width as stored, C channels, S and L sides of the square image, K classes


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
    micro_batch: int
    """Images that go through the network at once."""
    device: torch.device

    def take(
        self,
        optimizer: torch.optim.Optimizer,
        images_BHWC: Tensor,
        labels_B: Tensor,
        index: int,
        progress: float,
        member: Member | None = None,
    ) -> Tensor:
        """Takes step `index` of the training at `progress` in [0, 1), the share of epochs done; returns the batch's loss, a scalar.

        A `member` computes its parts of the batch alone, and takes the step of all.
        """
        mixed = self._disturbed(images_BHWC, labels_B, index, progress)
        optimizer.zero_grad(set_to_none=True)
        loss = self._backward(mixed, labels_B, progress, member)
        clip_gradients(self.recipe.optimizer, self.network.trainable_parameters())
        optimizer.step()
        if self.average is not None:
            self.average.update(self.network.module)
        return loss

    def _disturbed(self, images_BHWC: Tensor, labels_B: Tensor, index: int, progress: float) -> Mixed:
        augmentation, size = self.recipe.augmentation, self.recipe.data.image_size
        changes = generator(self.device, self.recipe.seed, "augmentation", index)
        multiplier_B = None if self.multipliers_K is None else self.multipliers_K[labels_B]
        images_BCLL = self.preprocessing.scaled(images_BHWC)
        images_BCSS = augment(images_BCLL, augmentation, changes, image_size=size, multiplier_B=multiplier_B)
        return mix(images_BCSS, labels_B, augmentation.mixing, changes, progress)

    def _backward(self, mixed: Mixed, labels_B: Tensor, progress: float, member: Member | None) -> Tensor:
        """Adds the batch's gradients and returns its loss, part by part where it does not go through whole."""
        if member is None and len(labels_B) <= self.micro_batch:
            loss = self._loss(mixed, labels_B, progress)
            loss.backward()
            return loss.detach()
        total = self._divisor(mixed, labels_B, progress)
        loss_sum = torch.zeros((), device=self.device)
        for part_b, counts in self._parts(len(labels_B), member):
            part, labels_b = mixed.part(part_b), labels_B[part_b]
            weight = self._divisor(part, labels_b, progress) / total if counts else 0.0
            loss = self._loss(part, labels_b, progress) * weight
            loss.backward()
            loss_sum += loss.detach()
        return loss_sum if member is None else member.add_gradients(self.network.trainable_parameters(), loss_sum)

    def _parts(self, num_images: int, member: Member | None) -> list[tuple[Tensor, bool]]:
        """Indices of the images that go through the network at once here, and whether they count.

        A member without a part of its own computes one that does not, so that all have gradients of the same parameters.
        """
        num_members = 1 if member is None else member.size
        parts_b = torch.arange(num_images, device=self.device).tensor_split(self._num_parts(num_images, num_members))
        own = parts_b if member is None else parts_b[member.rank :: member.size]
        return [(part_b, True) for part_b in own] or [(parts_b[0], False)]

    def _num_parts(self, num_images: int, num_members: int) -> int:
        """As few as fit and go round, but none of a single image, on which BatchNorm cannot train."""
        num_parts = math.ceil(num_images / self.micro_batch / num_members) * num_members
        if self.micro_batch == 1:
            return min(num_parts, num_images)
        return num_parts if num_images // num_parts > 1 else max(num_images // 2, 1)

    def _loss(self, mixed: Mixed, labels_B: Tensor, progress: float) -> Tensor:
        with computing(self.device):
            logits_BK = self.network.module(self.preprocessing.normalised(mixed.images_BCSS))
        return self.loss(logits_BK.float(), labels_B, progress=progress, others_B=mixed.others_B, share_B=mixed.share_B)

    def _divisor(self, mixed: Mixed, labels_B: Tensor, progress: float) -> Tensor:
        return self.loss.divisor(labels_B, progress=progress, others_B=mixed.others_B, share_B=mixed.share_B)
