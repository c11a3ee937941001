"""Commands on datasets: `study data add | push | list | show`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

dataset_commands = typer.Typer(help="Add datasets, and see what is in them.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the dataset.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


@dataset_commands.command()
def add(
    name: Name,
    source: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Parquet file or folder, image folder, CSV (of files, or FER2013), or folder of IDX files.",
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Resize to a square of this side, in pixels.")] = None,
    channels: Annotated[int | None, typer.Option(help="1 gray, 3 RGB; as the images are by default.")] = None,
    classes: Annotated[
        str | None, typer.Option(help="Class names in order, with commas, where labels are numbers.")
    ] = None,
    relabel: Annotated[
        list[str] | None,
        typer.Option(help="NEW=OLD,OLD,...; repeat for every new class; others stay.", metavar="NEW=OLD,..."),
    ] = None,
    permute_seed: Annotated[
        int | None, typer.Option(help="Permute the pixels of every image alike, by this seed.")
    ] = None,
    validation_fraction: Annotated[
        float | None, typer.Option(help="Share carved for validation where the source has none.")
    ] = None,
    test_fraction: Annotated[
        float | None, typer.Option(help="Share carved for test where the source has none.")
    ] = None,
    split_seed: Annotated[int, typer.Option(help="Seed of the carving.")] = 0,
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
    follow_links: Annotated[
        bool,
        typer.Option("--follow-links", help="Take in what links in an image folder lead to outside of it."),
    ] = False,
    licence: Annotated[str | None, typer.Option(help="Licence of the images, kept with the dataset.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace a dataset of the same name.")] = False,
) -> None:
    """Store labelled images as a dataset that trials map into memory.

    Example: study data add fer2013 --from fer2013.csv
    """
    from study.cli.reports.dataset_tables import adding_progress, print_added
    from study.home import Home
    from trainables.datasets.adding import add_dataset
    from trainables.datasets.options import AddOptions

    options = AddOptions(
        image_size=size,
        channels=channels,
        classes=None if classes is None else tuple(part.strip() for part in classes.split(",")),
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        split_seed=split_seed,
        group_column=group_column,
        group_pattern=group_pattern,
        image_column=image_column,
        label_column=label_column,
        split_column=split_column,
        relabel=new_classes(relabel),
        permute_seed=permute_seed,
        on_error=on_error,
        follow_links=follow_links,
        licence=licence,
        replace=replace,
    )
    home = Home.current()
    with adding_progress() as progress:
        manifest = add_dataset(home.datasets, name, source, options, progress)
    print_added(manifest, home.datasets / name)


@dataset_commands.command()
def push(
    name: Name,
    address: Annotated[
        str, typer.Argument(metavar="s3://BUCKET/FOLDER", help="Where it goes, under its name.")
    ],
) -> None:
    """Publish a dataset in an object store; a study file names it as `dataset: s3://BUCKET/FOLDER/NAME`.

    Example: study data push fer2013 s3://my-bucket/datasets
    """
    from study.home import Home
    from trainables.datasets.published import push_dataset

    print(f"published; in a study file: dataset: {push_dataset(Home.current().datasets, name, address)}")


@dataset_commands.command("list")
def list_(as_json: AsJson = False) -> None:
    """List the datasets in STUDY_HOME.

    Example: study data list
    """
    from study.cli.reports.dataset_tables import print_datasets
    from study.home import Home
    from trainables.datasets.listing import list_datasets

    print_datasets(list_datasets(Home.current().datasets), as_json=as_json)


@dataset_commands.command()
def show(name: Name, as_json: AsJson = False) -> None:
    """Show a dataset's classes by split, its duplicates and label conflicts, and where its contact sheet is.

    Example: study data show digits
    """
    from study.cli.reports.dataset_tables import print_dataset
    from study.home import Home
    from trainables.datasets.listing import find_dataset, read_manifest

    folder = find_dataset(Home.current().datasets, name)
    print_dataset(read_manifest(folder), folder, as_json=as_json)


def new_classes(relabel: list[str] | None) -> dict[str, tuple[str, ...]] | None:
    """New class to old classes, from each `NEW=OLD,OLD`."""
    return None if relabel is None else dict(_new_class(text) for text in relabel)


def _new_class(text: str) -> tuple[str, tuple[str, ...]]:
    from trainables.errors import DatasetError

    new, equals, old = text.partition("=")
    if not (new and equals and old):
        raise DatasetError(
            f"--relabel takes NEW=OLD,OLD,..., got {text!r}; for example --relabel shoes=Sandal,Sneaker"
        )
    return new.strip(), tuple(part.strip() for part in old.split(","))
