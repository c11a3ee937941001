"""Commands on registered models: versions, champions, predictions."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from study.remote.remote_option import on_this_machine, with_remote_reading

model_commands = typer.Typer()

Model = Annotated[str, typer.Argument(metavar="DATASET", help="Name of the dataset, which is the model's.")]
AnyModel = Annotated[
    str, typer.Argument(metavar="MODEL", help="NAME, NAME/VERSION, NAME@champion or models:/NAME/VERSION.")
]
Reason = Annotated[str | None, typer.Option(help="Why; kept in the history.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


@model_commands.command(rich_help_panel="Models")
@with_remote_reading
def models(
    model: Annotated[str | None, typer.Argument(metavar="[DATASET]", help="One model only.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the registered versions, and which is champion.

    Example: study models fer2013
    """
    from study.cli.reports.version_tables import print_versions
    from study.home import Home
    from study.registry.promotion import split_uses, versions_with_files

    home = Home.current()
    print_versions(versions_with_files(home, model), split_uses(home, model), as_json=as_json)
    _print_alias_remarks(model)


@model_commands.command(rich_help_panel="Models")
@on_this_machine
def promote(
    model: Model,
    version: Annotated[
        int | None, typer.Argument(metavar="[VERSION]", help="The candidate, if none is named.", min=1)
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Promote it though it breaks the rules; needs --reason.")
    ] = False,
    adopt: Annotated[
        bool,
        typer.Option("--adopt", help="Take over the champion that somebody chose in MLflow's pages."),
    ] = False,
    reason: Reason = None,
    as_json: AsJson = False,
) -> None:
    """Make a version the champion, if it keeps the promotion rules of its study file on the test images.

    Example: study promote fer2013 4
    """
    from study.cli.reports.version_tables import print_outcome
    from study.errors import SpecError
    from study.home import Home
    from study.registry import promotion

    if adopt and (version is not None or force):
        raise SpecError("--adopt takes over what stands in MLflow; leave the version and --force out")
    outcome = (
        promotion.adopt(Home.current(), model, reason=reason)
        if adopt
        else promotion.promote(Home.current(), model, version, force=force, reason=reason)
    )
    print_outcome(outcome, as_json=as_json)
    if outcome.decision.kind == "refused":
        raise typer.Exit(2)


@model_commands.command(rich_help_panel="Models")
@on_this_machine
def rollback(model: Model, reason: Reason = None, as_json: AsJson = False) -> None:
    """Go back to the champion before the present one.

    Example: study rollback fer2013 --reason "confuses fear with surprise in the field"
    """
    from study.cli.reports.version_tables import print_outcome
    from study.home import Home
    from study.registry.promotion import rollback as decide

    print_outcome(decide(Home.current(), model, reason=reason), as_json=as_json)


@model_commands.command(rich_help_panel="Models")
@with_remote_reading
def history(model: Model, as_json: AsJson = False) -> None:
    """Show who promoted, refused or took back which version, when, and on which evidence.

    Example: study history fer2013
    """
    from study.cli.reports.version_tables import print_history
    from study.home import Home
    from study.registry.promotion import history as read

    print_history(read(Home.current(), model), as_json=as_json)
    _print_alias_remarks(model)


def _print_alias_remarks(model: str | None) -> None:
    from study.home import Home
    from study.registry.promotion import alias_remarks

    for sentence in alias_remarks(Home.current(), model):
        print(f"warning: {sentence}", file=sys.stderr)


@model_commands.command(rich_help_panel="Models")
@on_this_machine
def predict(
    model: AnyModel,
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...", help="Files (PNG, JPEG, whatever Pillow reads), or folders of them."
        ),
    ],
    csv: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write file, class, probability, and that of every class, in place of a list.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Label images: a label and its confidence for each, by the champion if no version is named.

    Example: study predict fer2013 photos/ --csv labels.csv
    """
    from study.cli.reports.dataset_tables import adding_progress
    from study.cli.reports.prediction_tables import print_predictions, print_written
    from study.home import Home
    from study.registry.prediction_csv import check_writable, writing
    from study.registry.predictions import image_files, opened, predictions

    if csv is not None:
        check_writable(csv)
    files = image_files(images, left_out=csv)
    with opened(Home.current(), model) as (version, classifier):
        found = predictions(classifier, files)
        if csv is not None:
            found = writing(csv, classifier.config.classes, found)
        if csv is not None and not as_json:
            with adding_progress() as progress:
                num_failed = print_written(version, found, csv, len(files), progress)
        else:
            width = max(len(str(file)) for file in files)
            num_failed = print_predictions(version, found, width=width, as_json=as_json)
    if num_failed:
        raise typer.Exit(1)


@model_commands.command(rich_help_panel="Models")
@on_this_machine
def evaluate(
    model: AnyModel,
    source: Annotated[
        Path, typer.Option("--from", help="Labelled images in any format that `study data add` reads.")
    ],
    split: Annotated[
        str | None, typer.Option(help="train, validation or test; all images, if left out.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Class names in order, with commas, where labels are numbers.")
    ] = None,
    relabel: Annotated[
        list[str] | None,
        typer.Option(help="NEW=OLD,OLD,...; repeat for every new class; others stay.", metavar="NEW=OLD,..."),
    ] = None,
    group_column: Annotated[
        str | None, typer.Option(help="Column whose equal values are one group, such as a person.")
    ] = None,
    group_pattern: Annotated[
        str | None,
        typer.Option(
            help="Regular expression whose one group finds it in a file's name, such as '^(S\\d+)_'."
        ),
    ] = None,
    image_column: Annotated[
        str | None, typer.Option(help="Column of the images, where it has an unusual name.")
    ] = None,
    label_column: Annotated[
        str | None, typer.Option(help="Column of the labels, where it has an unusual name.")
    ] = None,
    split_column: Annotated[
        str | None, typer.Option(help="Column of the splits, where one file holds all.")
    ] = None,
    on_error: Annotated[
        Literal["refuse", "skip"], typer.Option(help="What to do with images that cannot be used.")
    ] = "refuse",
    as_json: AsJson = False,
) -> None:
    """Measure a model on labelled images of your own, which are not stored.

    Example: study evaluate fer2013 --from field_images/
    """
    from study.cli.commands.datasets import new_classes
    from study.cli.reports.dataset_tables import adding_progress
    from study.cli.reports.prediction_tables import print_evaluated
    from study.home import Home
    from study.registry.labelled_images import evaluate as measure
    from study.registry.predictions import opened
    from study.registry.seen_images import images_seen
    from trainables.datasets.options import AddOptions

    options = AddOptions(
        classes=None if classes is None else tuple(part.strip() for part in classes.split(",")),
        relabel=new_classes(relabel),
        group_column=group_column,
        group_pattern=group_pattern,
        image_column=image_column,
        label_column=label_column,
        split_column=split_column,
        on_error=on_error,
    )
    home = Home.current()
    with opened(home, model) as (version, classifier), adding_progress() as progress:
        seen = images_seen(home, classifier.config)
        evaluated = measure(classifier, source, options, split, seen, progress)
    print_evaluated(version, evaluated, as_json=as_json)


@model_commands.command("reproduce-model", rich_help_panel="Models")
@on_this_machine
def reproduce_model(model: AnyModel, as_json: AsJson = False) -> None:
    """Train a version again from its recorded recipe, seed and data, and say whether it comes out the same.

    Example: study reproduce-model fer2013/3
    """
    from study.cli.reports.prediction_tables import print_retrained, retraining_progress
    from study.home import Home
    from study.registry.predictions import opened
    from study.registry.retraining import retrain

    home = Home.current()
    with opened(home, model) as (version, classifier):
        retrained = retrain(home, version, classifier, retraining_progress)
    print_retrained(version, retrained, as_json=as_json)
    if not retrained.is_within:
        raise typer.Exit(1)
