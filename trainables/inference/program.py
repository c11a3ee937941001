"""A classifier as one module, from stored images to probabilities: what is traced to become a program."""

import copy
import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble, members_of
from trainables.inference.logits import logits_of_batch
from trainables.recipe.evaluation import Evaluation
from trainables.transforms.preprocessing import resized_uint8

# B batch, H height, W width as stored, S side of what the model sees, C channels, K classes


class Member(nn.Module):
    """One network with all that its images go through."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.module = copy.deepcopy(classifier.module).to("cpu").eval().requires_grad_(False)
        self._pixels, self._temperature = classifier.config.preprocessing, classifier.config.temperature
        self._evaluation = Evaluation(views=classifier.config.recipe.evaluation.views)

    def forward(self, images_BHWC: Tensor) -> Tensor:
        """Class probabilities (B, K) of uint8 images as the dataset stores them."""
        pixels, side = self._pixels, self._pixels.scaled_size
        if pixels.height > side or pixels.width > side:
            images_BHWC = resized_uint8(images_BHWC, side, side)
        logits_BK = logits_of_batch(self.module, pixels, pixels.scaled(images_BHWC), self._evaluation)
        return (logits_BK / self._temperature).softmax(1)

    def example_input(self, num_images: int) -> Tensor:
        """Zeros (B, C, S, S), as the network itself takes them."""
        shape = (num_images, self._pixels.channels, self._pixels.image_size, self._pixels.image_size)
        return torch.zeros(shape).contiguous(memory_format=torch.channels_last)


class Program(nn.Module):
    """uint8 images (B, H, W, C) of the dataset's size in, class probabilities (B, K) float32 out; on CPUs."""

    def __init__(self, classifier: Classifier | Ensemble) -> None:
        super().__init__()
        self.members = nn.ModuleList(Member(member) for member in members_of(classifier))
        times = classifier.times if isinstance(classifier, Ensemble) else (1,)
        self._shares = [one / sum(times) for one in times]

    def forward(self, images_BHWC: Tensor) -> Tensor:
        """The mean over the networks, each as often as it counts."""
        said = [member(images_BHWC) * share for member, share in zip(self.members, self._shares, strict=True)]
        return torch.stack(said).sum(0)


def as_exported(classifier: Classifier | Ensemble) -> Classifier | Ensemble:
    """The same classifier on the CPU, without the samples of dropout that no program draws: what a program is
    compared with.
    """
    members = [_without_samples(member) for member in members_of(classifier)]
    return classifier.with_members(members) if isinstance(classifier, Ensemble) else members[0]


def random_images(classifier: Classifier | Ensemble, num_images: int) -> NDArray[np.uint8]:
    """Images (B, H, W, C) of random pixels, the same each time; the process's random generator is not
    touched.
    """
    pixels = classifier.config.preprocessing
    shape = (num_images, pixels.height, pixels.width, pixels.channels)
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8).numpy()


def contents(classifier: Classifier | Ensemble) -> str:
    """What a program takes, what it returns, and what is inside."""
    pixels, evaluation = classifier.config.preprocessing, classifier.config.recipe.evaluation
    members = f", the mean of {len(classifier.members)} networks" if isinstance(classifier, Ensemble) else ""
    views = {
        "one": "one view of each image",
        "flip": "each image and its mirror image",
        "ten_crop": "ten crops of each image",
        "three_sizes": "each image at three sizes",
    }
    dropout = (
        "; one pass without dropout stands for the recipe's samples of it"
        if evaluation.dropout_samples
        else ""
    )
    return (
        f"It takes uint8 images (any number, {pixels.height}, {pixels.width}, {pixels.channels}), as the "
        "dataset stores them, and returns "
        f"class probabilities{members}. Normalisation, {views[evaluation.views]} and the temperature are "
        f"inside{dropout}. Decoding files "
        "and bringing them to this size are not."
    )


def _without_samples(member: Classifier) -> Classifier:
    recipe = member.config.recipe
    evaluation = dataclasses.replace(recipe.evaluation, dropout_samples=0)
    config = dataclasses.replace(member.config, recipe=dataclasses.replace(recipe, evaluation=evaluation))
    return Classifier(config, member.module.state_dict(), device=torch.device("cpu"))
