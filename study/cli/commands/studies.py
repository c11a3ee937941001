"""Commands on studies: checking, running, resuming and looking at them; recipes, and MLflow's pages."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from study.cli.commands.clusters import resume_on_cluster
from study.cli.commands.own_words import Quiet, Verbose, own_words
from study.cli.commands.study_edits import StudyName, Yes
from study.errors import StopRequestedError
from study.remote.remote_option import (
    Address,
    ClusterHome,
    job_server,
    on_this_machine,
    print_answer,
    with_remote_option,
    with_remote_reading,
)

study_commands = typer.Typer()

SpecFile = Annotated[
    Path, typer.Argument(metavar="SPEC", help="A study file in YAML, or the name of a bundled study.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for a program to read.")]
ShowAll = Annotated[bool, typer.Option("--all", help="Show all columns and rows, however wide.")]


@study_commands.command()
@on_this_machine
def quickstart(quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Run a first study: 12 trials of a small CNN on scikit-learn's handwritten digits.

    Example: study quickstart
    """
    from study.cli.reports.study_tables import print_result
    from study.driver.quickstart import run_quickstart

    with own_words("quickstart", quiet=quiet, verbose=verbose) as progress:
        result = run_quickstart(progress=progress)
    print_result(result)


@study_commands.command()
def check(
    spec: SpecFile,
    measure: Annotated[
        bool, typer.Option("--measure", help="Measure steps anew, though this home knows the machine.")
    ] = False,
    as_json: AsJson = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="All dimensions, fixed values and architectures.")
    ] = False,
    address: Address = None,
    home: ClusterHome = None,
) -> None:
    """Say what is wrong with a study file, or what the study will take, and what to think of first.

    Starts no study. The first check on a machine, or on a cluster, measures some steps there, for some
    seconds; they are kept.
    Example: study check fer2013.yaml
    """
    from study.planning.bundled_studies import find_study_file

    server = job_server(address)
    if server is not None:
        from study.remote.submission import check_on_cluster

        given = {"--measure": measure, "--json": as_json, "--all": show_all}
        options = [option for option, is_given in given.items() if is_given]
        print_answer(check_on_cluster(find_study_file(spec), options, server, home=home))
    from study.cli.reports.check_report import Check, print_check
    from study.driver.pretrained_weights import check_registered_weights
    from study.driver.warnings import warnings_of
    from study.execution.capacity import connected_where_named
    from study.execution.image_placement import ImagePlacement
    from study.home import Home
    from study.planning.plan import plan_study
    from study.quote.case import Case
    from study.quote.cautions import cautions_of
    from study.quote.quote import quote
    from study.study_file.study_spec import StudySpec

    plan = plan_study(StudySpec.read(find_study_file(spec)), Home.current())
    check_registered_weights(plan)
    remarks, placement = warnings_of(plan), ImagePlacement.of(plan)
    case = Case.of(plan)
    with connected_where_named(plan.spec.resources):
        quoted = quote(case, say=lambda text: print(text, file=sys.stderr), measures_anew=measure)
    found = Check(
        plan=plan,
        file=spec,
        quote=quoted,
        cautions=cautions_of(case, quoted),
        remarks=remarks,
        placement=placement,
    )
    print_check(found, as_json=as_json, show_all=show_all)


@study_commands.command()
@on_this_machine
def run(spec: SpecFile, as_json: AsJson = False, quiet: Quiet = False, verbose: Verbose = False) -> None:
    """Run a study on this machine, or on the Ray cluster at RAY_ADDRESS.

    Example: study run fer2013.yaml
    """
    from study.cli.reports.study_tables import print_result
    from study.driver.running import run_study
    from study.planning.bundled_studies import find_study_file
    from study.study_file.study_spec import StudySpec

    parsed = StudySpec.read(find_study_file(spec))
    with (
        _resumable(parsed.study),
        own_words(parsed.study, quiet=quiet, verbose=verbose) as progress,
    ):
        result = run_study(parsed, progress=progress)
    print_result(result, as_json=as_json)


@study_commands.command()
def resume(
    name: StudyName,
    yes: Yes = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    address: Address = None,
    home: ClusterHome = None,
) -> None:
    """Go on with an interrupted study: ended trials stay, the others go on from their checkpoints.

    Example: study resume fer2013-freeze-depth
    """
    from study.cli.reports.study_tables import print_result
    from study.driver.running import resume_study
    from study.home import Home
    from study.results.study_result import find_study
    from study.user import check_owner

    server = job_server(address)
    if server is not None:
        resume_on_cluster(name, server, home, yes=yes)
        return
    check_owner(name, find_study(Home.current(), name).user, is_meant=yes)
    with _resumable(name), own_words(name, quiet=quiet, verbose=verbose) as progress:
        result = resume_study(name, progress=progress)
    print_result(result, as_json=as_json)


@study_commands.command("list")
@with_remote_reading
def list_(
    tag: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="Only studies with this tag; repeat it for several."),
    ] = None,
    as_json: AsJson = False,
    show_all: Annotated[
        bool, typer.Option("--all", help="Archived studies, too, and all columns, however wide.")
    ] = False,
) -> None:
    """List the studies in STUDY_HOME.

    Example: study list --tag owner=ada
    """
    from study.cli.reports.study_list import print_studies
    from study.home import Home
    from study.results.study_result import list_studies, not_archived, with_tags
    from study.study_file.tags import wanted_tags

    wanted = wanted_tags(tag or [])
    found = with_tags(list_studies(Home.current()), wanted)
    listed = found if show_all else not_archived(found)
    num_hidden = len(found) - len(listed)
    print_studies(listed, wanted, num_hidden=num_hidden, as_json=as_json, show_all=show_all)


@study_commands.command()
@with_remote_reading
def show(
    name: StudyName,
    importance: Annotated[
        bool,
        typer.Option("--importance", help="In place of them: what mattered, and what to beware of."),
    ] = False,
    timeline: Annotated[
        bool,
        typer.Option("--timeline", help="In place of them: what the trials' processes spent their time on."),
    ] = False,
    as_json: AsJson = False,
    show_all: ShowAll = False,
) -> None:
    """Show a study's leaderboard, its test result and its registered model.

    Example: study show quickstart
    """
    from study.errors import SpecError
    from study.home import Home
    from study.results.study_result import find_study

    if importance and timeline:
        raise SpecError("study show takes one of --importance and --timeline, got both; leave one out")
    result = find_study(Home.current(), name)
    if timeline:
        from study.cli.reports.time_tables import print_time_spent

        print_time_spent(result, as_json=as_json, show_all=show_all)
        return
    if importance:
        from study.cli.reports.importance_tables import print_importance

        print_importance(result, as_json=as_json, show_all=show_all)
        return
    from study.cli.reports.study_tables import print_result

    print_result(result, as_json=as_json, show_all=show_all)


@study_commands.command()
@with_remote_option
def rm(
    name: StudyName,
    yes: Annotated[bool, typer.Option("--yes", help="Remove it without asking.")] = False,
) -> None:
    """Remove a study's folder; its runs in MLflow and its registered models stay.

    Example: study rm quickstart --yes
    """
    from study.cli.reports.terminal import check_is_meant
    from study.driver.removal import find_study_folder, remove_study
    from study.home import Home

    found = find_study_folder(Home.current(), name)
    what = f"the record, weights and checkpoints of study {name!r} in {found.folder} ({found.size_text})"
    if not yes:
        check_is_meant("study rm", what, "It cannot be resumed after that")
    remove_study(found)
    print(f"removed {what}; MLflow keeps its runs, and the registry its models")


@study_commands.command()
@with_remote_option
def archive(
    name: StudyName,
    undo: Annotated[bool, typer.Option("--undo", help="Bring it back into the list.")] = False,
    yes: Yes = False,
) -> None:
    """Take a study out of the list, and free the space of weights and checkpoints that it no longer needs.

    Example: study archive quickstart
    """
    from study.disk_space import size_text
    from study.driver.removal import archive_study, unarchive_study
    from study.home import Home
    from study.results.study_result import find_study
    from study.user import check_owner

    home = Home.current()
    check_owner(name, find_study(home, name).user, is_meant=yes)
    if undo:
        unarchive_study(home, name)
        print(f"{name} is in the list again; what was freed stays away")
        return
    num_freed = archive_study(home, name)
    what = (
        "weights of what is not registered, so it can be shown, and not be extended"
        if find_study(home, name).has_ended
        else "checkpoints, so trials that were cut off begin again if it goes on"
    )
    print(
        f"archived {name}: {size_text(num_freed)} freed ({what})\n"
        f"Next: study list --all shows it, study archive {name} --undo brings it back"
    )


@study_commands.command()
@with_remote_reading
def replay(
    name: StudyName,
    early_stopping: Annotated[
        str | None,
        typer.Option(help="The other rule, as a study file names it; all rules without it.", metavar="RULE"),
    ] = None,
    first_rung: Annotated[
        float | None, typer.Option(help="Share of its epochs up to which no trial is compared.")
    ] = None,
    reduction: Annotated[int | None, typer.Option(help="One trial in this many goes on.")] = None,
    slots: Annotated[int, typer.Option(help="Trials that run at the same time.", min=1)] = 1,
    as_json: AsJson = False,
) -> None:
    """Say what another early-stopping rule would have saved, and whether it would have lost the winner.

    Example: study replay fer2013-freeze-depth --early-stopping asha --first-rung 0.3
    """
    from study.cli.reports.replay_tables import print_replay, print_replays
    from study.errors import SpecError
    from study.home import Home
    from study.results.replay import replay_all, replay_named

    if early_stopping is None:
        if first_rung is not None or reduction is not None:
            raise SpecError("--first-rung and --reduction belong to one rule; name it: --early-stopping")
        print_replays(replay_all(Home.current(), name, slots=slots), as_json=as_json)
        return
    replayed = replay_named(
        Home.current(), name, rule=early_stopping, first_rung=first_rung, reduction=reduction, slots=slots
    )
    print_replay(replayed, as_json=as_json)


@study_commands.command(rich_help_panel="Data and recipes")
def recipes(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A recipe, or a bundled study.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the named recipes, or print one in full: what its source states, and what we chose and why.

    Example: study recipes fer-r50-hybrid
    """
    from search_spaces.named import find_recipe, named_recipes
    from study.cli.reports.recipe_tables import print_recipe, print_recipes
    from study.planning.bundled_studies import bundled_studies

    if name is None:
        print_recipes(named_recipes().values(), as_json=as_json)
    elif name in bundled_studies():
        print(bundled_studies()[name].read_text(encoding="utf-8"), end="")
    else:
        print_recipe(find_recipe(name), as_json=as_json)


@study_commands.command(rich_help_panel="Data and recipes")
@on_this_machine
def reproduce(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME...", help="Recipes; `fer-r18-freeze-*` names several.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="All recipes.")] = False,
    images: Annotated[int | None, typer.Option(help="Train on this many images only.", min=2)] = None,
    epochs: Annotated[int | None, typer.Option(help="In place of the recipe's.", min=1)] = None,
    size: Annotated[int | None, typer.Option(help="Side in pixels of what the network sees.", min=4)] = None,
    weights: Annotated[str | None, typer.Option(help="A file in place of published weights.")] = None,
    seeds: Annotated[int, typer.Option(help="Trainings of each recipe.", min=1)] = 3,
    markdown: Annotated[Path | None, typer.Option(help="Write the table there, too.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Train recipes and compare what they reach on the sealed test split with what their sources state.

    Example: study reproduce fer-cnn4-32x256 --images 6000 --epochs 5
    """
    from study.cli.reports.reproduction_tables import print_reproductions
    from study.driver.recipe_runs import Scale, reproduce
    from study.errors import SpecError
    from study.results.reproduction_table import markdown_table

    if all_ == bool(names):
        raise SpecError("study reproduce takes names of recipes, or --all; see them: study recipes")
    scale = Scale(images=images, epochs=epochs, size=size, weights=weights, seeds=seeds)
    with own_words("reproduce", quiet=quiet, verbose=verbose) as progress:
        reproductions = reproduce(names or ["*"], scale, progress=progress)
    if markdown is not None:
        markdown.write_text(markdown_table(reproductions), encoding="utf-8")
    print_reproductions(reproductions, as_json=as_json)


@study_commands.command()
@on_this_machine
def ui(port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5000) -> None:
    """Open MLflow's pages on this machine only, on the runs and models of STUDY_HOME.

    Example: study ui --port 5000
    """
    from study.tracking.mlflow_ui import serve_pages

    serve_pages(port)


@contextmanager
def _resumable(name: str) -> Iterator[None]:
    """Prints how to go on when a study is interrupted."""
    try:
        yield
    except (KeyboardInterrupt, StopRequestedError):
        print(f"interrupted; nothing measured is lost. Go on with: study resume {name}", file=sys.stderr)
        raise
