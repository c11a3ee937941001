"""The datasets that named recipes were published on: what they are called here, and how a person adds
them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class NamedDataset:
    """A published dataset."""

    name: str
    about: str
    add: str
    """The command that adds it, with FOLDER for where its files lie."""


_CLOTHES, _SHOES, _OTHERS = (
    "T - shirt / top,Pullover,Dress,Coat,Shirt",
    "Sandal,Sneaker,Ankle boot",
    "Trouser,Bag",
)
_GROUPS = f'--relabel "clothes={_CLOTHES}" --relabel "shoes={_SHOES}" --relabel "others={_OTHERS}"'


FER2013 = NamedDataset(
    name="fer2013",
    about="35,887 faces of 48x48 gray pixels, seven emotions (Goodfellow et al. 2013)",
    add="study data add fer2013 --from FOLDER",
)
FASHION = NamedDataset(
    name="fashion-mnist",
    about="70,000 pieces of clothing of 28x28 gray pixels, ten kinds",
    add="study data add fashion-mnist --from FOLDER",
)
FASHION3 = NamedDataset(
    name="fashion3",
    about="Fashion-MNIST in three classes: clothes, shoes, others",
    add=f"study data add fashion3 --from FOLDER {_GROUPS}",
)
FASHION3_PERMUTED = NamedDataset(
    name="fashion3-permuted",
    about="fashion3 with the pixels of all images in one random order",
    add=f"study data add fashion3-permuted --from FOLDER {_GROUPS} --permute-seed 0",
)
NOTMNIST = NamedDataset(
    name="notmnist",
    about="18,724 letters A to J of 28x28 gray pixels in many fonts",
    add="study data add notmnist --from FOLDER --test-fraction 0.2",
)
NOTMNIST_PERMUTED = NamedDataset(
    name="notmnist-permuted",
    about="notmnist with the pixels of all images in one random order",
    add="study data add notmnist-permuted --from FOLDER --test-fraction 0.2 --permute-seed 0",
)
