"""The card of the version that answers: what it can do and where its limits are, for the page and for
programs.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from study import names
from study.connections.model_registry import registry_of
from study.errors import MissingFilesError, StudyError
from study.evaluation.scoring import class_results
from study.evaluation.test_evidence import TestEvidence
from study.evaluation.test_result import ClassResult
from study.home import Home
from study.registry.model_card import section
from study.registry.version_files import fetch
from study.registry.version_layout import EVIDENCE, MODEL_CARD_FILE
from study.registry.versions import Version
from study.serving.loaded_version import LoadedVersion
from study.serving.recording import Recording
from study.serving.refusals import RequestRefusedError
from trainables.datasets.listing import find_dataset, read_manifest
from trainables.errors import DatasetError
from trainables.inference.classifier import ClassifierConfig


@dataclass(frozen=True, kw_only=True)
class CardClass:
    """One class of the model."""

    name: str
    recall: float | None
    """Of its images in the test split the share that is recognised; None where it has none, or where no
    evidence was kept with the version."""
    low: float | None
    """Of the 95 % interval of the recall."""
    high: float | None
    num_images: int | None
    """Of the class in the test split; None where no evidence was kept."""


@dataclass(frozen=True, kw_only=True)
class CardDataset:
    """What the model was trained on."""

    name: str
    digest: str
    num_train_images: int | None
    """None where the dataset is not on this machine any more, or another one has its name by now."""
    text: str | None
    """What the model card says of the data."""


@dataclass(frozen=True, kw_only=True)
class CardInput:
    """The image that the model sees, in pixels; others are scaled and cropped to it."""

    height: int
    width: int
    channels: int
    """1 gray, 3 RGB."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """What a person should know of the version that answers."""

    model: str
    version: int
    alias: str | None
    """`champion`, or another alias that the version has; None where it has none."""
    classes: tuple[CardClass, ...]
    """In the model's order."""
    dataset: CardDataset
    use: str | None
    """What it is for, as the model card says it."""
    limits: str
    """Of the model card: a line with `- ` for each."""
    study: str | None
    registered: str
    """UTC, ISO 8601."""
    input: CardInput
    is_recording: bool = False
    """Whether the server keeps a sample of what it is sent."""
    finds_faces: bool = False
    """Whether `POST /predict?find=face` is understood."""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, as `GET /card` answers."""
        return asdict(self)


class Cards:
    """The card of whichever version answers, on one server; for several threads at once."""

    def __init__(self, home: Home, recording: Recording | None, *, finds_faces: bool) -> None:
        self._home = home
        self._recording = recording
        self._finds_faces = finds_faces
        self._known: tuple[Version, Card] | None = None

    def __call__(self, loaded: LoadedVersion) -> dict[str, Any]:
        """What `GET /card` answers. Raises RequestRefusedError while MLflow cannot be asked."""
        version, known = loaded.version, self._known
        if known is None or known[0] is not version:
            try:
                known = version, read_card(self._home, version, loaded.config)
            except StudyError as error:
                raise RequestRefusedError(503, f"the card cannot be read: {error}", retry_after=5) from error
            self._known = known
        return replace(
            known[1],
            alias=_alias_now(self._home, version),
            is_recording=self._recording is not None and self._recording.is_on,
            finds_faces=self._finds_faces,
        ).to_dict()


def read_card(home: Home, version: Version, config: ClassifierConfig) -> Card:
    """The card of a version, out of what was registered with it. Of what is missing it says nothing."""
    text = _model_card(home, version)
    return Card(
        model=version.model,
        version=version.number,
        alias=_first_alias(version.aliases),
        classes=_classes(home, version, config),
        dataset=CardDataset(
            name=config.dataset,
            digest=config.dataset_digest,
            num_train_images=_num_train_images(home, config),
            text=_first_paragraph(section(text, "Data")),
        ),
        use=section(text, "Intended use"),
        limits=section(text, "Limits") or "",
        study=version.tags.get(names.STUDY),
        registered=version.registered,
        input=_input(config),
    )


def _first_paragraph(text: str | None) -> str | None:
    return None if text is None else text.partition("\n\n")[0]


def _first_alias(aliases: Collection[str]) -> str | None:
    return next((alias for alias in (*names.ALIASES, *aliases) if alias in aliases), None)


def _alias_now(home: Home, version: Version) -> str | None:
    """A promotion may give the version that answers another alias; without MLflow, the one that it had."""
    try:
        with registry_of(home) as client:
            known = client.get_registered_model(version.model).aliases
    except StudyError:
        return _first_alias(version.aliases)
    return _first_alias([alias for alias, number in known.items() if int(number) == version.number])


def _model_card(home: Home, version: Version) -> str:
    try:
        return _fetched(home, version, MODEL_CARD_FILE).read_text(encoding="utf-8")
    except MissingFilesError:
        return ""


def _fetched(home: Home, version: Version, part: str) -> Path:
    with registry_of(home) as client:
        return fetch(client, home, version, part)


def _classes(home: Home, version: Version, config: ClassifierConfig) -> tuple[CardClass, ...]:
    try:
        evidence = TestEvidence.read(_fetched(home, version, EVIDENCE))
    except MissingFilesError:
        return tuple(
            CardClass(name=name, recall=None, low=None, high=None, num_images=None) for name in config.classes
        )
    predicted_N = evidence.probabilities_NK.argmax(1)
    results = class_results(predicted_N, evidence.labels_N, evidence.classes, evidence.groups_N)
    by_name = {one.name: one for one in results}
    return tuple(_card_class(by_name[name]) for name in config.classes)


def _card_class(result: ClassResult) -> CardClass:
    recall = result.recall
    return CardClass(
        name=result.name,
        recall=None if recall is None else recall.value,
        low=None if recall is None else recall.low,
        high=None if recall is None else recall.high,
        num_images=result.num_images,
    )


def _num_train_images(home: Home, config: ClassifierConfig) -> int | None:
    try:
        manifest = read_manifest(find_dataset(home.datasets, config.dataset))
    except DatasetError:
        return None
    return manifest.splits["train"].num_images if manifest.digest == config.dataset_digest else None


def _input(config: ClassifierConfig) -> CardInput:
    pixels = config.preprocessing
    return CardInput(height=pixels.height, width=pixels.width, channels=pixels.channels)
