"""A classifier as one program of `torch.export`, which runs where there is none of this code, nor Python."""

import copy
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble
from trainables.inference.logits import logits_of_batch
from trainables.recipe.evaluation import Evaluation
from trainables.transforms.preprocessing import resized_uint8

# B batch, H height, W width as stored, C channels, K classes

NUM_EXAMPLES = 3
"""More than one, which a program would take for a constant."""
NUM_CHECKED = 5
"""Images on which the program is compared with the classifier; another number than it was traced with."""
TOLERANCE = 1e-4
"""Of a probability."""


class _Member(nn.Module):
    """One network with all that its images go through."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.module = copy.deepcopy(classifier.module).to("cpu").eval().requires_grad_(False)
        self._pixels, self._temperature = classifier.config.preprocessing, classifier.config.temperature
        self._evaluation = Evaluation(views=classifier.config.recipe.evaluation.views)

    def forward(self, images_BHWC: Tensor) -> Tensor:
        pixels, side = self._pixels, self._pixels.scaled_size
        if pixels.height > side or pixels.width > side:
            images_BHWC = resized_uint8(images_BHWC, side, side)
        logits_BK = logits_of_batch(self.module, pixels, pixels.scaled(images_BHWC), self._evaluation)
        return (logits_BK / self._temperature).softmax(1)


class _Program(nn.Module):
    """uint8 images (B, H, W, C) of the dataset's size in, class probabilities (B, K) float32 out."""

    def __init__(self, classifier: Classifier | Ensemble) -> None:
        super().__init__()
        members = classifier.members if isinstance(classifier, Ensemble) else (classifier,)
        self.members = nn.ModuleList(_Member(member) for member in members)

    def forward(self, images_BHWC: Tensor) -> Tensor:
        return torch.stack([member(images_BHWC) for member in self.members]).mean(0)


def export_program(classifier: Classifier | Ensemble, file: Path) -> str:
    """Writes the classifier as a program for CPUs with any number of images, and returns a sentence on what
    it contains.

    Where it cannot be exported, or the program gives other probabilities, no file is written and the sentence
    tells why.
    """
    program = _Program(classifier)
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            _export(program, _images(classifier, NUM_EXAMPLES), file)
            difference = _difference(program, _images(classifier, NUM_CHECKED), file)
    except Exception as error:  # noqa: BLE001  torch.export raises almost anything for what it cannot follow
        file.unlink(missing_ok=True)
        return (
            f"This architecture does not export ({type(error).__name__}: "
            f"{str(error).strip().splitlines()[0][:200]})."
        )
    if not difference <= TOLERANCE:
        file.unlink()
        return (
            f"The exported program gave other probabilities (by up to {difference:.2g}), so it was left out."
        )
    return _contents(classifier)


def _export(program: _Program, images_BHWC: Tensor, file: Path) -> None:
    program(images_BHWC)  # what is computed once and kept must be computed before it is traced
    exported = torch.export.export(
        program, (images_BHWC,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},)
    )
    torch.export.save(exported, file)


def _difference(program: _Program, images_BHWC: Tensor, file: Path) -> float:
    """The largest, on images that were not traced, of what was written and what it was made from."""
    return float((torch.export.load(file).module()(images_BHWC) - program(images_BHWC)).abs().max())


def _images(classifier: Classifier | Ensemble, num_images: int) -> Tensor:
    """Random pixels, the same each time; the process's random generator is not touched."""
    pixels = classifier.config.preprocessing
    shape = (num_images, pixels.height, pixels.width, pixels.channels)
    return torch.randint(256, shape, generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def _contents(classifier: Classifier | Ensemble) -> str:
    pixels, evaluation = classifier.config.preprocessing, classifier.config.recipe.evaluation
    members = f", the mean of {len(classifier.members)} networks" if isinstance(classifier, Ensemble) else ""
    views = {
        "one": "one view of each image",
        "flip": "each image and its mirror image",
        "ten_crop": "ten crops of each image",
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
