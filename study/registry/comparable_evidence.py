"""Evidence of two versions on the same test split: kept with them, or measured anew."""

from typing import TYPE_CHECKING

import numpy as np

from study.errors import MissingFilesError
from study.evaluation.test_evidence import TestEvidence, kept_values, latency_ms
from study.home import Home
from study.registry.version_files import fetch
from study.registry.version_layout import CLASSIFIER, EVIDENCE
from study.registry.versions import Version
from trainables.datasets.encoded_images import EncodedImages
from trainables.datasets.listing import find_dataset, read_manifest
from trainables.datasets.manifest import Manifest
from trainables.datasets.sealed_test import open_test_split
from trainables.datasets.split import StoredImages
from trainables.errors import DatasetError
from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble, load_classifier

if TYPE_CHECKING:
    from mlflow import MlflowClient


def comparable_evidence(
    client: "MlflowClient", home: Home, champion: Version, challenger: Version
) -> tuple[tuple[TestEvidence, TestEvidence] | None, str]:
    """Both versions' evidence on the same images and a sentence on its source; or None and the reason.

    Where they were measured on different data, or one was not measured, both are measured on the test split
    of the dataset as it is now, which is recorded as an opening.
    """
    kept = [_kept(client, home, version) for version in (champion, challenger)]
    before, after = kept
    if before is not None and after is not None and before.dataset_digest == after.dataset_digest:
        return (before, after), "both measured when they were registered; the test split was not opened again"
    why = (
        "no evidence was kept with "
        + " and ".join(one.name for one, found in zip((champion, challenger), kept, strict=True) if not found)
        if before is None or after is None
        else (
            f"{champion.name} was measured on dataset {before.dataset_digest[:12]}, {challenger.name} on "
            f"{after.dataset_digest[:12]}"
        )
    )
    try:
        measured = _measured(client, home, champion, challenger)
    except (DatasetError, MissingFilesError) as error:
        return None, f"{why}, and both cannot be measured again: {error}"
    return (
        measured,
        f"{why}; so both were measured on the test split of the dataset as it is now, which counts as an "
        "opening",
    )


def _kept(client: "MlflowClient", home: Home, version: Version) -> TestEvidence | None:
    try:
        return TestEvidence.read(fetch(client, home, version, EVIDENCE))
    except MissingFilesError:
        return None


def _measured(
    client: "MlflowClient", home: Home, champion: Version, challenger: Version
) -> tuple[TestEvidence, TestEvidence]:
    folder = find_dataset(home.datasets, champion.model)
    manifest = read_manifest(folder)
    loaded = [load_classifier(fetch(client, home, version, CLASSIFIER)) for version in (champion, challenger)]
    for version, classifier in zip((champion, challenger), loaded, strict=True):
        _check_fits(version, classifier, manifest)
    split, is_clean_N = open_test_split(
        folder, opened_by=f"comparison of {champion.name} with {challenger.name}"
    )
    before, after = (
        TestEvidence(
            dataset=manifest.name,
            dataset_digest=manifest.digest,
            classes=manifest.classes,
            labels_N=np.array(split.labels),
            is_clean_N=is_clean_N,
            # Columns in the dataset's order, which may have changed since the version was trained.
            probabilities_NK=_probabilities(classifier, split.images)[
                :, [classifier.config.classes.index(name) for name in manifest.classes]
            ],
            latency_ms=latency_ms(classifier, np.zeros((1, *_stored_shape(classifier)), np.uint8)),
            groups_N=None if split.groups is None else np.array(split.groups),
            **kept_values(folder),
        )
        for classifier in loaded
    )
    return before, after


def _check_fits(version: Version, classifier: Classifier | Ensemble, manifest: Manifest) -> None:
    if set(classifier.config.classes) != set(manifest.classes):
        raise DatasetError(
            f"{version.name} knows the classes {', '.join(classifier.config.classes)}, the dataset "
            f"{manifest.name!r} has "
            f"{', '.join(manifest.classes)}; add the dataset that it was trained on again: study data add "
            f"{manifest.name} --replace"
        )
    if classifier.config.permute_seed != manifest.options.get("permute_seed"):
        raise DatasetError(
            f"the pixels of {manifest.name!r} are permuted otherwise than those that {version.name} was "
            "trained on"
        )


def _probabilities(classifier: Classifier | Ensemble, images_NHWC: StoredImages) -> np.ndarray:
    if isinstance(images_NHWC, EncodedImages):
        chunks = np.array_split(np.arange(len(images_NHWC)), len(images_NHWC) // 256 + 1)
        return np.concatenate(
            [classifier.probabilities([images_NHWC[row] for row in chunk.tolist()]) for chunk in chunks]
        )
    if images_NHWC.shape[1:] == _stored_shape(classifier):
        return classifier.probabilities_of_stored(images_NHWC)
    if classifier.config.permute_seed is not None:
        raise DatasetError(
            f"permuted images of {images_NHWC.shape[1:3]} pixels cannot be brought to another size"
        )
    return np.concatenate(
        [
            classifier.probabilities(list(chunk))
            for chunk in np.array_split(images_NHWC, len(images_NHWC) // 256 + 1)
        ]
    )


def _stored_shape(classifier: Classifier | Ensemble) -> tuple[int, int, int]:
    pixels = classifier.config.preprocessing
    return pixels.height, pixels.width, pixels.channels
