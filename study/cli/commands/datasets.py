"""Commands on datasets: `study data add | push | list | rm | show`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from study.cli.commands.cluster_datasets import add_there, dataset_job_commands
from study.remote.remote_option import (
    Address,
    ClusterHome,
    note_this_machine,
    on_this_machine,
    with_remote_option,
    with_remote_reading,
)

if TYPE_CHECKING:
    from trainables.datasets.options import AddOptions

dataset_commands = typer.Typer(help="Add datasets, and see what is in them.", no_args_is_help=True)
dataset_commands.add_typer(dataset_job_commands)

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
    with_: Annotated[
        str | None,
        typer.Option(
            "--with",
            metavar="DATASET",
            help="Add the images to those of a stored dataset, which keep their splits.",
        ),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Resize to a square of this side, in pixels.")] = None,
    store: Annotated[
        Literal["auto", "decoded", "encoded"],
        typer.Option(
            help="decoded: pixels at one size. encoded: the files as they are, at their own sizes. auto: "
            "encoded where sizes differ and that is smaller."
        ),
    ] = "auto",
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
    keep_column: Annotated[
        list[str] | None,
        typer.Option(
            help="Column whose values are stored with each image, for `study audit`; repeat for several."
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
    publish: Annotated[
        str | None,
        typer.Option(metavar="s3://BUCKET/FOLDER", help="Publish it there, too, as `study data push` does."),
    ] = None,
    on_cluster: Annotated[
        bool,
        typer.Option(
            "--on-cluster",
            help="All machines of a cluster read, into the STUDY_HOME that they share; --from is a path "
            "there.",
        ),
    ] = False,
    address: Address = None,
    home: ClusterHome = None,
) -> None:
    """Store labelled images as a dataset that trials map into memory.

    All cores read. Where it is cut off, the same command goes on.

    Example: study data add fer2013 --from fer2013.csv
    """
    from trainables.datasets.options import AddOptions

    options = AddOptions(
        image_size=size,
        store=store,
        channels=channels,
        classes=None if classes is None else tuple(part.strip() for part in classes.split(",")),
        validation_fraction=validation_fraction,
        test_fraction=test_fraction,
        split_seed=split_seed,
        group_column=group_column,
        group_pattern=group_pattern,
        keep_columns=tuple(keep_column or ()),
        image_column=image_column,
        label_column=label_column,
        split_column=split_column,
        relabel=new_classes(relabel),
        permute_seed=permute_seed,
        on_error=on_error,
        follow_links=follow_links,
        licence=licence,
        replace=replace,
        with_dataset=with_,
    )
    if on_cluster:
        from study.remote.dataset_jobs import AddRequest

        path = None if source is None else str(source)
        request = AddRequest(name=name, source=path, options=options, publish=publish)
        add_there(request, address, home)
        return
    for option, value in (("--address", address), ("--home", home)):
        _check_is_for_cluster(option, value)
    note_this_machine()
    _add_here(name, source, options, publish)


@dataset_commands.command()
@on_this_machine
def push(
    name: Name,
    address: Annotated[
        str, typer.Argument(metavar="s3://BUCKET/FOLDER", help="Where it goes, under its name.")
    ],
) -> None:
    """Publish a dataset in an object store; a study file names it as `dataset: s3://BUCKET/FOLDER/NAME`.

    Example: study data push fer2013 s3://my-bucket/datasets
    """
    from study.cli.reports.dataset_tables import print_published
    from study.home import Home
    from trainables.datasets.published import push_dataset

    print_published(push_dataset(Home.current().datasets, name, address))


@dataset_commands.command("list")
@with_remote_reading
def list_(
    as_json: AsJson = False,
    show_all: Annotated[bool, typer.Option("--all", help="Show all columns, however wide.")] = False,
) -> None:
    """List the datasets in STUDY_HOME.

    Example: study data list
    """
    from study.cli.reports.dataset_tables import print_datasets
    from study.disk_space import bytes_in
    from study.home import Home
    from trainables.datasets.listing import list_datasets

    place = Home.current().datasets
    manifests = list_datasets(place)
    sizes = [bytes_in(place / manifest.name) for manifest in manifests]
    print_datasets(manifests, sizes, as_json=as_json, show_all=show_all)


@dataset_commands.command()
@with_remote_option
def rm(
    name: Name,
    yes: Annotated[
        bool, typer.Option("--yes", help="Remove it without asking, also where something needs it.")
    ] = False,
) -> None:
    """Remove a dataset's images, unless a study or a registered model needs them.

    Example: study data rm digits
    """
    from study.cli.reports.terminal import check_is_meant
    from study.driver.removal import find_dataset_folder, needs_of, remove_dataset
    from study.errors import SpecError
    from study.home import Home

    home = Home.current()
    found = find_dataset_folder(home, name)
    what = f"dataset {name!r} in {found.folder} ({found.size_text})"
    if not yes and (needs := needs_of(home, found)):
        raise SpecError(
            f"{what} is needed: {'; '.join(needs)}. To remove it all the same: study data rm {name} --yes"
        )
    if not yes:
        check_is_meant("study data rm", what, "To have it again it must be added again")
    remove_dataset(home, found)
    print(f"removed {what}; the record of the openings of its test split stays")


@dataset_commands.command()
@with_remote_reading
def show(name: Name, as_json: AsJson = False) -> None:
    """Show a dataset's classes by split, its duplicates and label conflicts, and where its contact sheet is.

    Example: study data show digits
    """
    from study.cli.reports.dataset_tables import print_dataset
    from study.home import Home
    from trainables.datasets.listing import find_dataset, read_manifest

    folder = find_dataset(Home.current().datasets, name)
    print_dataset(read_manifest(folder), folder, as_json=as_json)


def _add_here(name: str, source: Path | None, options: "AddOptions", publish: str | None) -> None:
    from study.cli.reports.dataset_tables import adding_progress, print_added, print_published
    from study.home import Home
    from trainables.datasets.adding import add_dataset
    from trainables.datasets.published import check_can_push, push_added
    from trainables.datasets.staging import has_begun

    home = Home.current()
    if publish is not None:
        check_can_push(name, publish)
    try:
        with adding_progress() as progress:
            manifest = add_dataset(home.datasets, name, source, options, progress)
    except KeyboardInterrupt:
        if has_begun(home.datasets, name):
            print("stopped; the same command goes on where this one was", file=sys.stderr)
        raise
    print_added(manifest, home.datasets / name)
    if publish is not None:
        print_published(push_added(home.datasets, name, publish))


def _check_is_for_cluster(option: str, value: str | None) -> None:
    from study.errors import SpecError

    if value is not None:
        raise SpecError(
            f"{option} says where a cluster is, and this would add the dataset to this machine's STUDY_HOME; "
            "add --on-cluster, or leave it out"
        )


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
