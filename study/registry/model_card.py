"""The model card of a version: what it is, how good it is, what it is for, in Markdown (arXiv:1810.03993)."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from study.evaluation.subgroups import ACCURACY, FEWEST_GROUPS, SMALL_SUBGROUP, Audit, Subgroup
from study.evaluation.test_result import Calibration, ClassResult, Interval, TestResult
from study.names import candidate_name
from study.registry.version_layout import MODEL_CARD_FILE, PROGRAM_FILE
from trainables.datasets.manifest import Manifest
from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble, members_of
from trainables.inference.fold_models import num_folds_of
from trainables.printable import cut

MAX_DESCRIPTION = 5000
"""Characters that MLflow keeps of a version's description."""
MODEL_DESCRIPTION = "Labels images like those of the dataset"
"""Begins the description of a registered model."""
_RECIPE, _LIMITS = "## Recipe", "## Limits"
SMALL_CLASS = 50
"""Images of a class in the test split below which its recall is known only roughly."""
FEW_GROUPS = 30
"""Groups in the test split below which all of it is known only roughly."""


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where a version comes from."""

    study: str
    trial: int
    seeds: tuple[int, ...]
    """Further trainings that it consists of."""
    parent_run_id: str
    """The study's run."""
    run_id: str
    """The run that trained it, or the study's."""
    metric: str
    """That the study optimised."""
    value: float | None
    """Of the metric on the validation split, or its mean over folds; None for an ensemble."""
    num_folds: int | None = None
    """Of the images of train and validation; None without folds."""
    made_of: str | None = None
    """The candidate's name; that of these trainings, unless given."""
    gain: str | None = None
    """What a selection gains on validation, in words."""

    @property
    def name(self) -> str:
        """What the version consists of."""
        return self.made_of or candidate_name(self.trial, self.seeds)


def model_card(
    origin: Origin,
    manifest: Manifest,
    classifier: Classifier | Ensemble,
    test: TestResult,
    num_comparisons: int = 0,
) -> str:
    """All that a person should know before using the version; `num_comparisons` of earlier versions were made
    on the same test images.
    """
    parts = [
        f"# {manifest.name}: {origin.name} of study {origin.study}",
        _what(manifest, classifier),
        "## Intended use",
        f"Images like those of the dataset {manifest.name}: one of {_listed(manifest.classes)} for each. Any "
        "image gets one of these "
        "labels, also one that shows none of them; the probabilities say nothing of that.",
        "## Data",
        _data(manifest),
        "## On the test split",
        _tested(test, num_comparisons),
        _metrics_table(test),
        _calibration(test.calibration),
        "### Classes",
        _classes_table(test.classes),
        _LIMITS,
        _bullets(_limits(manifest, test)),
        "## Where it comes from",
        _bullets(_links(origin, classifier)),
        _RECIPE,
        "```json\n" + json.dumps(_recipe(classifier), indent=2) + "\n```",
    ]
    return "\n\n".join(parts) + "\n"


def with_program(model_card: str, sentence: str) -> str:
    """The model card with what is known of the exported program."""
    before, recipe, after = model_card.partition(_RECIPE)
    return f"{before}## Exported program (`{PROGRAM_FILE}`)\n\n{sentence}\n\n{recipe}{after}"


def section(model_card: str, heading: str) -> str | None:
    """What stands below a heading of a model card, such as `Limits`; None where it has no such heading."""
    _, found, rest = model_card.partition(f"\n## {heading}\n")
    return rest.partition("\n## ")[0].strip() if found else None


def with_audits(model_card: str, audits: Sequence[Audit]) -> str:
    """The model card with how the version does by subgroup of its test images."""
    if not audits:
        return model_card
    before, limits, after = model_card.partition(_LIMITS)
    sections = "\n\n".join(_audit(audit) for audit in audits)
    return f"{before}{sections}\n\n{limits}{after}"


def audit_sentences(audit: Audit) -> tuple[str, ...]:
    """What the gaps of an audit come to, and what they leave out."""
    small = [one.name for one in audit.subgroups if one.is_small]
    sentences = []
    for gap in audit.gaps:
        if gap.of == ACCURACY or gap.is_beyond_chance:
            beyond = "beyond" if gap.is_beyond_chance else "not beyond"
            sentences.append(
                f"Largest gap of the {gap.of}: {gap.value:.3f}, highest for {gap.highest}, lowest for "
                f"{gap.lowest}, {beyond} chance (p = {gap.p_value:.2g})"
            )
    if not audit.gaps:
        sentences.append("Fewer than two subgroups are large enough to compare")
    if small:
        few = "" if audit.num_groups is None else f" or of fewer than {FEWEST_GROUPS} groups"
        sentences.append(
            f"Small, of fewer than {SMALL_SUBGROUP} images{few}, and left out of the gaps: {_listed(small)}"
        )
    if audit.num_without:
        sentences.append(f"{audit.num_without:,} images have no {audit.column}, and are left out")
    return tuple(f"{sentence}." for sentence in sentences)


def description(model_card: str) -> str:
    """As much of the model card as MLflow keeps beside a version."""
    if len(model_card) <= MAX_DESCRIPTION:
        return model_card
    rest = f"\n\n… the whole model card is the artifact `{MODEL_CARD_FILE}`"
    # A table or a recipe that is cut at a line is still read as one.
    kept = model_card[: MAX_DESCRIPTION - len(rest) - len("\n```")].rpartition("\n")[0]
    return kept + ("\n```" if kept.count("```") % 2 else "") + rest


def model_description(classifier: Classifier | Ensemble) -> str:
    """What a registered model is, whichever version of it: what it predicts, and where versions come from."""
    config = classifier.config
    name, size = config.dataset, config.preprocessing
    text = (
        f"{MODEL_DESCRIPTION} `{name}` ({size.width}x{size.height} "
        f"{'gray' if size.channels == 1 else 'RGB'}) with one of {len(config.classes):,} classes: "
        f"{_listed(config.classes)}.\n\n"
        "Each version is the result of a study; the version's page says of which, how good it is and where "
        f"its limits are. The alias `champion` is the promoted one: `study predict {name} IMAGE` uses it, "
        f"`study history {name}` says who promoted which and why, and `study models {name}` lists them all."
    )
    return cut(text, MAX_DESCRIPTION)


def _what(manifest: Manifest, classifier: Classifier | Ensemble) -> str:
    models = dict.fromkeys(
        f"`{model.architecture}` (first weights: {model.weights})"
        for model in (member.config.recipe.model for member in members_of(classifier))
    )
    many = (
        f"The mean of {len(classifier.members)} networks" if isinstance(classifier, Ensemble) else "A network"
    )
    return (
        f"{many} {', '.join(models)} that distinguishes "
        f"{manifest.num_classes} classes.{_often(classifier)}{_folds(classifier)}"
    )


def _often(classifier: Classifier | Ensemble) -> str:
    if not isinstance(classifier, Ensemble) or set(classifier.times) == {1}:
        return ""
    return f" In the mean they count {', '.join(map(str, classifier.times))} times."


def _recipe(classifier: Classifier | Ensemble) -> object:
    """The recipe that trained it, as plain values; all of them where they differ in more than the seed."""
    recipes = [member.config.recipe.to_dict() for member in members_of(classifier)]
    if all({**recipe, "seed": 0} == {**recipes[0], "seed": 0} for recipe in recipes):
        return recipes[0]
    return recipes


def _folds(classifier: Classifier | Ensemble) -> str:
    num_folds = num_folds_of(classifier)
    if num_folds is None:
        return ""
    return (
        f" The images of train and validation were divided into {num_folds} folds, and each network was "
        f"trained on {num_folds - 1} of them and validated on the one left."
    )


def _data(manifest: Manifest) -> str:
    channels = "gray" if manifest.channels == 1 else "RGB"
    counts = ", ".join(
        f"{split.num_images:,} for {name} ({split.origin}"
        + ("" if split.num_groups is None else f", {split.num_groups:,} groups")
        + ")"
        for name, split in manifest.splits.items()
    )
    return (
        f"{manifest.name}, {manifest.sizes} {channels}: {counts}. Licence: "
        f"{manifest.licence or 'not stated'}. "
        f"From: {manifest.source.rstrip('/').rpartition('/')[2]}.\n\nDigest: `{manifest.digest}`"
    )


def _tested(test: TestResult, num_comparisons: int) -> str:
    of_group = "" if test.num_groups is None else ", and none of their group,"
    clean = (
        ""
        if test.clean_metrics is None
        else f", of which {test.num_clean:,} have no equal{of_group} in training or validation (clean)"
    )
    times = "once" if test.num_openings == 1 else f"{test.num_openings} times"
    groups = "" if test.num_groups is None else f" of {test.num_groups:,} groups"
    compared = (
        ""
        if not num_comparisons
        else f" Before that, {num_comparisons} comparison{'s' if num_comparisons > 1 else ''} of earlier "
        "versions decided on a promotion by these images."
    )
    over = "" if test.num_groups is None else ", over groups, as images of a group are alike"
    return (
        f"{test.num_images:,} images{groups}{clean}. The split had been opened {times}, this time included."
        f"{compared} Intervals are 95 %{over}."
    )


def _metrics_table(test: TestResult) -> str:
    clean: Mapping[str, Interval] = test.clean_metrics or {}
    header = ("metric", "all images", *(("clean images",) if clean else ()))
    rows = [
        (name.replace("_", " "), _interval(value), *((_interval(clean[name]),) if name in clean else ()))
        for name, value in test.metrics.items()
    ]
    return _table(header, rows)


def _calibration(calibration: Calibration) -> str:
    if calibration.is_at_bound:
        return (
            f"Expected calibration error {calibration.before.ece:.4f}. No temperature fits the validation "
            f"split (the best is an end of its range, {calibration.temperature:g}), so none is applied."
        )
    if calibration.is_by_member:
        return (
            f"Expected calibration error {calibration.before.ece:.4f}. Its networks apply temperatures "
            "that were fitted to images that they were not trained on. A further one for their mean, "
            f"{calibration.temperature:.3f}, would make it {calibration.after.ece:.4f}; it is not applied."
        )
    applied = "is applied" if calibration.is_registered else "is not applied, as the recipe does not want it"
    if calibration.is_worse:
        applied += (
            f"; on the test split it makes the log loss worse ({calibration.before.log_loss:.4f} → "
            f"{calibration.after.log_loss:.4f})"
        )
    return (
        f"Expected calibration error {calibration.before.ece:.4f}; with a temperature of "
        f"{calibration.temperature:.3f} it is "
        f"{calibration.after.ece:.4f}. The temperature {applied}.{_by_halves(calibration)}"
    )


def _by_halves(calibration: Calibration) -> str:
    if calibration.validation_by_halves is None:
        return ""
    before, after = calibration.validation_by_halves
    return (
        f" On the images that it was fitted to, with that of the other half for each half, the error is "
        f"{before.ece:.4f} without and {after.ece:.4f} with it."
    )


def _classes_table(classes: Sequence[ClassResult]) -> str:
    groups = ("groups",) if any(row.num_groups is not None for row in classes) else ()
    rows = [
        (
            row.name,
            f"{row.num_images:,}",
            *(f"{row.num_groups or 0:,}" for _ in groups),
            _share(row.recall),
            _share(row.precision),
        )
        for row in classes
    ]
    return _table(("class", "images", *groups, "recall", "precision"), rows)


def _limits(manifest: Manifest, test: TestResult) -> list[str]:
    small = [row.name for row in test.classes if row.num_images < SMALL_CLASS]
    known = [(row.recall.value, row.name) for row in test.classes if row.recall is not None]
    limits = [
        "Measured on images from the same source as those it was trained on; on others it may do worse."
    ]
    limits += [f"{remark[0].upper()}{remark[1:]}." for remark in test.remarks]
    worst, name = min(known, default=(1.0, ""))
    if worst < 1:
        limits.append(f"It is weakest on {name}: {worst:.1%} of its images are recognised.")
    if small:
        limits.append(
            f"Fewer than {SMALL_CLASS} test images of {_listed(small)}: what it does there is known only "
            "roughly."
        )
    if test.num_groups is not None and test.num_groups < FEW_GROUPS:
        limits.append(
            f"Its test images are of only {test.num_groups} groups ({manifest.grouped_by}): how it does on "
            "others is known only roughly."
        )
    if manifest.findings.num_label_conflicts:
        limits.append(
            f"{manifest.findings.num_label_conflicts:,} images of the dataset have more than one class."
        )
    return limits


def _audit(audit: Audit) -> str:
    groups = ("groups",) if audit.num_groups is not None else ()
    rows = [
        (
            one.name + (" (small)" if one.is_small else ""),
            f"{one.num_images:,}",
            *(f"{one.num_groups or 0:,}" for _ in groups),
            _share(one.accuracy),
            _interval(one.calibration_error),
            _worst_recall(one),
        )
        for one in audit.subgroups
    ]
    header = (audit.column, "images", *groups, "accuracy", "calibration error", "worst recall")
    sentences = " ".join(audit_sentences(audit))
    return f"### By {audit.column}\n\n{_table(header, rows)}\n\n{sentences}"


def _worst_recall(subgroup: Subgroup) -> str:
    known = [(one.recall.value, one) for one in subgroup.classes if one.recall is not None]
    if not known:
        return "none"
    _, worst = min(known, key=lambda pair: pair[0])
    return f"{worst.name} {_share(worst.recall)}"


def _links(origin: Origin, classifier: Classifier | Ensemble) -> list[str]:
    card = classifier.config
    value = (
        ()
        if origin.value is None
        else (f"validation {origin.metric.replace('_', ' ')}: {origin.value:.4f}{_over_folds(origin)}",)
    )
    members = members_of(classifier)
    seeds = ", ".join(str(member.config.recipe.seed) for member in members)
    temperatures = ", ".join(dict.fromkeys(f"{member.config.temperature:.4g}" for member in members))
    return [
        f"study {origin.study}: MLflow run `{origin.parent_run_id}`",
        f"{origin.name}: MLflow run `{origin.run_id}`",
        *value,
        *(() if origin.gain is None else (f"selected among trainings: {origin.gain}",)),
        f"seed {seeds}, temperature {temperatures}",
        *(f"up to epoch {last}, another recipe trained its weights" for last, _ in card.earlier),
    ]


def _over_folds(origin: Origin) -> str:
    return "" if origin.num_folds is None else f", the mean over {origin.num_folds} folds"


def _interval(interval: Interval) -> str:
    return f"{interval.value:.4f} ({interval.low:.4f} to {interval.high:.4f})"


def _share(interval: Interval | None) -> str:
    return "none" if interval is None else f"{interval.value:.1%} ({interval.low:.1%} to {interval.high:.1%})"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)


def _bullets(sentences: Iterable[str]) -> str:
    return "\n".join(f"- {sentence}" for sentence in sentences)


def _listed(names: Sequence[str], most: int = 10) -> str:
    return (
        ", ".join(names) if len(names) <= most else f"{', '.join(names[:most])} and {len(names) - most} more"
    )
