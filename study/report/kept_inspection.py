"""The inspection of the winner's weights on validation, and the images that it was most confidently wrong
about.
"""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from study import names
from study.evaluation.confirmation import FOLDER as CONFIRMATION
from study.home import Home
from study.results.study_result import StudyResult
from study.search.record.kept_weights import inspection_file
from trainables.datasets.contact_sheet import tile, tile_size
from trainables.datasets.dataset import Dataset
from trainables.datasets.folds import images_at
from trainables.datasets.listing import find_dataset
from trainables.errors import DatasetError
from trainables.metrics.inspection import Inspection


@dataclass(frozen=True, kw_only=True)
class Mistake:
    """An image that the winner was wrong about."""

    true: str
    predicted: str
    probability: float
    """Of the predicted class."""
    png: str
    """The image in base64."""
    width: int
    height: int


def home_of(result: StudyResult) -> Home:
    """The home that holds the study's folder."""
    return Home(result.folder.parent.parent)


def kept_inspection(result: StudyResult) -> Inspection | None:
    """That of the winner's single network: of the further seed that was registered, or of the search."""
    folder, number = result.folder, None if result.best is None else result.best.number
    if result.final is not None:
        single = result.final.candidates[0]
        number = single.trial
        if single.seeds:
            folder = result.folder / CONFIRMATION
            wanted = names.candidate_name(single.trial, single.seeds)
            number = next((index for index, name in enumerate(result.confirmation) if name == wanted), None)
    if number is None:
        return None
    try:
        return Inspection.load(inspection_file(folder, number))
    except FileNotFoundError:
        return None


def mistakes_of(result: StudyResult, home: Home, classes: Sequence[str]) -> tuple[Mistake, ...] | str:
    """The most confident mistakes on validation, the worst first; or the sentence that says why there are
    none.
    """
    inspection = kept_inspection(result)
    if inspection is None:
        return "What the winner says of each image was not kept, so there are no mistakes to show."
    if not len(inspection.image_M):
        return "The winner was right about every image of the validation split."
    try:
        dataset = Dataset.open(find_dataset(home.datasets, result.spec.dataset))
    except DatasetError:
        return "The dataset is not on this machine any more, so its images cannot be shown."
    split, rows = dataset.validation, inspection.image_M
    if result.spec.num_folds is not None:
        split, rows = images_at(dataset, inspection.image_M), np.arange(len(inspection.image_M))
    width, height = tile_size(split)
    return tuple(
        Mistake(
            true=classes[inspection.true_M[index]],
            predicted=classes[inspection.predicted_M[index]],
            probability=float(inspection.probability_M[index]),
            png=_png(tile(split, int(row), (width, height))),
            width=width,
            height=height,
        )
        for index, row in enumerate(rows)
    )


def _png(image: Image.Image) -> str:
    content = io.BytesIO()
    image.save(content, "PNG", optimize=True)
    return base64.b64encode(content.getvalue()).decode()
