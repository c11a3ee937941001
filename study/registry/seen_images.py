"""The images that a model was trained or selected on, those of the models that it started from included."""

from dataclasses import dataclass
from pathlib import Path

from study.connections.model_registry import registry_of
from study.errors import StudyError
from study.home import Home
from study.planning.plan import Plan, is_registered_model
from study.registry.version_files import fetch
from study.registry.version_layout import CLASSIFIER
from study.registry.versions import find_version
from trainables.datasets.arrow_files import read_pixel_digests
from trainables.datasets.listing import list_datasets
from trainables.datasets.manifest import Manifest
from trainables.datasets.sealed_test import pixel_digests_of_test
from trainables.inference.classifier import CONFIG_FILE, ClassifierConfig


@dataclass(frozen=True, kw_only=True)
class SeenImages:
    """Images that took part in making a model, as far as they are known."""

    digests: frozenset[bytes]
    """Of pixels as they are stored (`trainables.datasets.pixels.pixel_digest`); images of another size are
    other images.
    """
    unknown: tuple[str, ...]
    """Reasons why there may be others, a phrase each."""


@dataclass(frozen=True, kw_only=True)
class Leak:
    """First weights that know images of a dataset's test split."""

    digests: frozenset[bytes]
    """Of all images that the weights know."""
    sentence: str


def images_seen(home: Home, config: ClassifierConfig) -> SeenImages:
    """The images of the training and validation splits that a model was made with, by any of its ancestors.

    Reads the digests that the datasets of `home` keep, no pixels.
    """
    digests: set[bytes] = set()
    unknown: list[str] = []
    pending, met = [config], set()
    while pending:
        one = pending.pop()
        if one.dataset_digest not in met:
            met.add(one.dataset_digest)
            folder = dataset_folder_of(home, one)
            if folder is None:
                unknown.append(f"its dataset {one.dataset} ({one.dataset_digest[:12]}) is not here")
            else:
                for split in ("train", "validation"):
                    digests |= set(read_pixel_digests(folder / f"{split}.arrow").tolist())
        if is_registered_model(one.recipe.model.weights) and one.recipe.model.weights not in met:
            met.add(one.recipe.model.weights)
            try:
                pending.append(_config(home, one.recipe.model.weights))
            except StudyError as error:
                unknown.append(str(error))
    return SeenImages(digests=frozenset(digests), unknown=tuple(unknown))


def leaks_into_test(plan: Plan) -> tuple[Leak, ...]:
    """What models that the study's trials may start from know of its test split: one for each model that
    knows some of it, or of which that cannot be told.

    Images of their own dataset are left out: its test split is not among those that they were trained on.
    Reads digests, and opens no image of the test split. Raises SpecError or UnknownModelError where there is
    no such model.
    """
    named = sorted({weights for _, weights in plan.pretrained() if is_registered_model(weights)})
    leaks = (_leak(plan, weights, _config(plan.home, weights)) for weights in named)
    return tuple(leak for leak in leaks if leak is not None)


def leak_of(plan: Plan, weights: str) -> Leak | None:
    """The same of the weights that a trial started from, also where they are no registered model, or none any
    more.
    """
    if not is_registered_model(weights):
        return None
    try:
        config = _config(plan.home, weights)
    except StudyError as error:
        sentence = f"whether {weights} was trained on images of the test split is not known: {error}"
        return Leak(digests=frozenset(), sentence=sentence)
    return _leak(plan, weights, config)


def _leak(plan: Plan, weights: str, config: ClassifierConfig) -> Leak | None:
    seen = images_seen(plan.home, config)
    test = pixel_digests_of_test(plan.dataset_folder)
    num_seen = sum(digest in seen.digests for digest in test)
    if num_seen and config.dataset_digest != plan.manifest.digest:
        sentence = (
            f"{num_seen:,} of the {len(test):,} test images are among those that {weights} was trained or "
            "selected on, so the test result flatters; the clean images leave them out"
        )
    elif seen.unknown:
        sentence = (
            f"whether {weights} was trained on images of the test split is not known: "
            f"{'; '.join(seen.unknown)}"
        )
    else:
        return None
    return Leak(digests=seen.digests, sentence=sentence)


def dataset_folder_of(home: Home, config: ClassifierConfig) -> Path | None:
    """The folder of the dataset that a model was trained on, whatever its name is now; None where it is not
    here.
    """
    found: list[Manifest] = [
        one for one in list_datasets(home.datasets) if one.digest == config.dataset_digest
    ]
    found.sort(key=lambda one: one.name != config.dataset)
    return home.datasets / found[0].name if found else None


def _config(home: Home, weights: str) -> ClassifierConfig:
    """Of the version that weights name; of an ensemble, that of its first member."""
    with registry_of(home) as client:
        version = find_version(client, weights)
        folder = fetch(client, home, version, CLASSIFIER)
    return ClassifierConfig.read(min(folder.rglob(CONFIG_FILE)))
