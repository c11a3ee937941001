"""Commands on models at work: `study export | audit | drift | label`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from study.remote.remote_option import on_this_machine

field_commands = typer.Typer()

AnyModel = Annotated[
    str, typer.Argument(metavar="MODEL", help="NAME, NAME/VERSION, NAME@champion or models:/NAME/VERSION.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]


@field_commands.command(rich_help_panel="In the field")
@on_this_machine
def export(
    model: AnyModel,
    output: Annotated[Path, typer.Option(metavar="FILE", help="The file to write.")],
    form: Annotated[
        Literal["onnx", "torch"],
        typer.Option("--format", help="onnx: for ONNX Runtime and others. torch: a program of torch.export."),
    ] = "onnx",
    int8: Annotated[
        bool,
        typer.Option("--int8", help="8-bit integers, with the loss of accuracy measured."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a version as one file with its preprocessing inside, checked against the version on 200 images.

    Example: study export fer2013 --format onnx --output fer2013.onnx
    """
    from study.cli.reports.field_tables import print_exported
    from study.home import Home
    from study.registry.exporting import export_version

    print_exported(export_version(Home.current(), model, output, form, is_int8=int8), as_json=as_json)


@field_commands.command(rich_help_panel="In the field")
@on_this_machine
def audit(
    model: AnyModel,
    by: Annotated[
        str,
        typer.Option(metavar="COLUMN", help="A column that `study data add --keep-column` kept."),
    ],
    edges: Annotated[
        str | None,
        typer.Option(help="Numbers that divide a column of numbers into ranges, with commas: 18,40,60."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure a version by subgroup of its test images, and test the largest gap against chance.

    Example: study audit fer2013 --by age --edges 18,40,60
    """
    from study.cli.reports.field_tables import print_audit
    from study.home import Home
    from study.registry.subgroup_audit import audit_version

    print_audit(audit_version(Home.current(), model, by, _numbers(edges)), as_json=as_json)


@field_commands.command(rich_help_panel="In the field")
@on_this_machine
def drift(
    model: AnyModel,
    folder: Annotated[
        Path,
        typer.Option("--from", metavar="FOLDER", help="Images, such as those that a server recorded."),
    ],
    level: Annotated[float, typer.Option(help="How often to alarm, at most, where nothing differs.")] = 0.05,
    group_pattern: Annotated[
        str | None,
        typer.Option(
            help="Regular expression whose one group finds a person or film in a file's name, such as "
            "'^(S\\d+)_'."
        ),
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where the strangest images go, a PNG; in STUDY_HOME, if left out."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Test whether images are like those that a version was trained on, and show the strangest; exits with 1
    where they differ.

    Example: study drift fer2013 --from recorded/
    """
    from study.cli.reports.field_tables import print_drift
    from study.field.drift import find_drift
    from study.field.strange_sheet import check_sheet, write_strange_sheet
    from study.home import Home

    home = Home.current()
    if sheet is not None:
        check_sheet(sheet)
    found, pixels_NHWC = find_drift(home, model, folder, group_pattern=group_pattern, level=level)
    file = sheet or home.drift_sheets / f"{found.version.replace('/', '-')}.png"
    write_strange_sheet(file, found.strangest, pixels_NHWC)
    print_drift(found, file, as_json=as_json)
    if found.is_alarm:
        raise typer.Exit(1)


@field_commands.command(rich_help_panel="In the field")
@on_this_machine
def label(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Images, such as those that a server recorded."),
    ],
    classes: Annotated[
        str | None, typer.Option(help="Class names with commas; beside them those that the folder names.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="MODEL", help="Take the classes of this registered version.")
    ] = None,
    port: Annotated[int, typer.Option(help="Port of the page on this machine; 0 for a free one.", min=0)] = 0,
) -> None:
    """Correct the labels of images on a page of this machine, by keyboard; they go into FOLDER/labels.csv,
    which `study data add` reads.

    Example: study label recorded/ --model fer2013
    """
    from study.field.label_server import serve_labels
    from study.field.labelling import Labelling

    names = [] if classes is None else [part.strip() for part in classes.split(",")]
    if model is not None:
        names = [*_classes_of(model), *names]
    serve_labels(Labelling(folder, names), port)


def _classes_of(model: str) -> tuple[str, ...]:
    from study.home import Home
    from study.registry.predictions import opened

    with opened(Home.current(), model) as (_, classifier):
        return classifier.config.classes


def _numbers(edges: str | None) -> tuple[float, ...]:
    from study.errors import SpecError

    try:
        return () if edges is None else tuple(float(part) for part in edges.split(","))
    except ValueError as error:
        raise SpecError(f"--edges must be numbers with commas, such as 18,40,60, got {edges!r}") from error
