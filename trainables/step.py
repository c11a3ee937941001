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

    def take(self, optimizer: torch.optim.Optimizer, images_BHWC: Tensor, labels_B: Tensor, index: int, progress: float) -> Tensor:
        """Takes step `index` of the training at `progress` in [0, 1), the share of epochs done; returns the batch's loss, a scalar."""
        mixed = self._disturbed(images_BHWC, labels_B, index, progress)
        optimizer.zero_grad(set_to_none=True)
        loss = self._backward(mixed, labels_B, progress)
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

    def _backward(self, mixed: Mixed, labels_B: Tensor, progress: float) -> Tensor:
        """Adds the batch's gradients and returns its loss, part by part where it does not go through whole."""
        if len(labels_B) <= self.micro_batch:
            loss = self._loss(mixed, labels_B, progress)
            loss.backward()
            return loss.detach()
        total = self._divisor(mixed, labels_B, progress)
        loss_sum = torch.zeros((), device=self.device)
        for part_b in torch.arange(len(labels_B), device=self.device).tensor_split(self._num_parts(len(labels_B))):
            part, labels_b = mixed.part(part_b), labels_B[part_b]
            loss = self._loss(part, labels_b, progress) * (self._divisor(part, labels_b, progress) / total)
            loss.backward()
            loss_sum += loss.detach()
        return loss_sum

    def _num_parts(self, num_images: int) -> int:
        """As few as fit, but none of a single image, on which BatchNorm cannot train."""
        num_parts = math.ceil(num_images / self.micro_batch)
        return num_parts if num_images // num_parts > 1 or self.micro_batch == 1 else max(num_images // 2, 1)

    def _loss(self, mixed: Mixed, labels_B: Tensor, progress: float) -> Tensor:
        with computing(self.device):
            logits_BK = self.network.module(self.preprocessing.normalised(mixed.images_BCSS))
        return self.loss(logits_BK.float(), labels_B, progress=progress, others_B=mixed.others_B, share_B=mixed.share_B)

    def _divisor(self, mixed: Mixed, labels_B: Tensor, progress: float) -> Tensor:
        return self.loss.divisor(labels_B, progress=progress, others_B=mixed.others_B, share_B=mixed.share_B)
