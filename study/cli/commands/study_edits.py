"""Commands that change a study, whether it runs or not."""

from typing import TYPE_CHECKING, Annotated

import typer

from study.remote.remote_option import with_remote_option

if TYPE_CHECKING:
    from search_spaces.dimensions import Value
    from search_spaces.space import SearchSpace
    from study.results.study_result import StudyResult
    from study.study_file.edits import Edit

edit_commands = typer.Typer()

MOST_TRIALS, MOST_HOURS = 1_000_000, 100_000
"""As in a study file."""

StudyName = Annotated[str, typer.Argument(metavar="NAME", help="Name of the study.")]
Yes = Annotated[bool, typer.Option("--yes", help="Also where the study is somebody else's.")]
Settings = Annotated[list[str], typer.Argument(metavar="DIMENSION=VALUE...", help="Such as batch_size=64.")]


@edit_commands.command(rich_help_panel="While a study runs, and after")
@with_remote_option
def stop(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="Name of the study.")] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every study of yours that runs or waits.")] = False,
    user: Annotated[str | None, typer.Option(metavar="USER", help="With --all: this person's.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Also where the study is somebody else's; --all without asking.")
    ] = False,
) -> None:
    """Stop a study in order, from any terminal: running trials end with their epoch and keep their state.

    Example: study stop fer2013-freeze-depth
    """
    from study.errors import SpecError
    from study.study_file.edits import Edit

    if all_ == (name is not None) or (user is not None and not all_):
        raise SpecError("study stop takes the NAME of a study, or --all, with which --user may stand")
    if name is None:
        _stop_all(user, yes)
        return
    _append(name, Edit(kind="stop"), yes)
    print(f"{name} stops once its running trials have ended their epochs; go on with: study resume {name}")


@edit_commands.command(rich_help_panel="While a study runs, and after")
@with_remote_option
def extend(
    name: StudyName,
    trials: Annotated[int, typer.Option(help="More trials.", min=0)] = 0,
    hours: Annotated[float, typer.Option(help="More hours.", min=0.0)] = 0.0,
    yes: Yes = False,
) -> None:
    """Give a study more trials or hours, while it runs or after it has ended.

    Example: study extend fer2013-freeze-depth --trials 20
    """
    from study.errors import SpecError
    from study.study_file.edits import Edit

    if not (trials or hours):
        raise SpecError("study extend needs --trials or --hours above 0")
    if not (trials <= MOST_TRIALS and hours <= MOST_HOURS):
        raise SpecError(
            f"study extend gives at most {MOST_TRIALS:,} trials and {MOST_HOURS:,} hours, got {trials:g} and "
            f"{hours:g}"
        )
    if hours and _result(name).spec.budget.hours is None:
        raise SpecError(
            f"{name} has no limit of hours (budget.hours in its study file), so {hours:g} more would change "
            f"nothing; give it trials: study extend {name} --trials N"
        )
    result = _append(name, Edit(kind="extend", trials=trials, hours=hours), yes)
    given = " and ".join(
        text
        for text in (f"{trials} more trial(s)" if trials else "", f"{hours:g} more hour(s)" if hours else "")
        if text
    )
    print(
        f"{name} was given {given}"
        + (f"; go on with: study resume {name}" if result.has_ended or result.is_extended else "")
    )


@edit_commands.command(rich_help_panel="While a study runs, and after")
@with_remote_option
def pin(name: StudyName, settings: Settings, yes: Yes = False) -> None:
    """Hold dimensions at values for all trials that the sampler draws from now on.

    Example: study pin fer2013-freeze-depth batch_size=64 optimizer=adamw
    """
    from study.study_file.edits import Edit, check_pins

    values = _values(settings)
    check_pins(_space_of(name), values)
    _append(name, Edit(kind="pin", point=values), yes)
    print(f"{name}: {', '.join(f'{key} = {value}' for key, value in values.items())} in every new trial")


@edit_commands.command(rich_help_panel="While a study runs, and after")
@with_remote_option
def unpin(
    name: StudyName,
    dimensions: Annotated[
        list[str] | None,
        typer.Argument(metavar="DIMENSION...", help="All pinned ones, if none is named."),
    ] = None,
    yes: Yes = False,
) -> None:
    """Let the sampler draw dimensions again that `study pin` holds.

    Example: study unpin fer2013-freeze-depth batch_size
    """
    from study.errors import SpecError
    from study.study_file.edits import Edit, pinned, read_edits

    held = pinned(read_edits(_result(name).folder))
    wanted = tuple(dimensions or held)
    unknown = [dimension for dimension in wanted if dimension not in held]
    if unknown or not held:
        raise SpecError(
            f"{name} pins {', '.join(held) or 'nothing'}"
            + (f", and not {', '.join(map(repr, unknown))}" if unknown else "")
        )
    _append(name, Edit(kind="unpin", dimensions=wanted), yes)
    print(f"{name}: {', '.join(wanted)} drawn again in every new trial")


@edit_commands.command(rich_help_panel="While a study runs, and after")
@with_remote_option
def enqueue(
    name: StudyName,
    settings: Annotated[
        list[str] | None, typer.Argument(metavar="DIMENSION=VALUE...", help="Such as batch_size=64.")
    ] = None,
    recipe: Annotated[str | None, typer.Option(help="A named recipe.")] = None,
    yes: Yes = False,
) -> None:
    """Put a configuration in front of the sampler's, as the next trial to start.

    Example: study enqueue fer2013-freeze-depth learning_rate=3e-4 freeze_depth=2
    """
    from search_spaces.named import find_recipe
    from study.errors import SpecError
    from study.search.sampling.start_points import start_points
    from study.study_file.edits import Edit

    if (recipe is None) == (not settings):
        raise SpecError("study enqueue takes either --recipe NAME or one or more DIMENSION=VALUE")
    values = _values(settings or []) if recipe is None else dict(find_recipe(recipe).point)
    (start,) = start_points([values if recipe is None else recipe], _space_of(name), {})
    _append(name, Edit(kind="enqueue", point=start.point, origin=recipe), yes)
    print(f"{name} tries this next: {', '.join(f'{key} = {value}' for key, value in start.point.items())}")


@edit_commands.command(
    rich_help_panel="While a study runs, and after",
    context_settings={"ignore_unknown_options": True},  # a priority below 0 is no option
)
@with_remote_option
def priority(
    name: StudyName,
    value: Annotated[int, typer.Argument(metavar="N", help="Studies of higher priority get trials first.")],
    yes: Yes = False,
) -> None:
    """Change the priority that a study has in the queue of its cluster, while it waits or runs.

    Example: study priority fer2013-freeze-depth 5
    """
    from study.errors import SpecError
    from study.execution.priorities import check_priority
    from study.study_file.edits import Edit
    from study.user import current_user

    if _result(name).has_ended:
        raise SpecError(
            f"{name} has ended and wants no more slots; a priority counts once it goes on: study extend "
            f"{name}"
        )
    check_priority(value, current_user())
    _append(name, Edit(kind="priority", priority=value), yes)
    print(f"{name} has priority {value} from now on; how it stands in the queue: study queue")


@edit_commands.command("kill-trial", rich_help_panel="While a study runs, and after")
@with_remote_option
def kill_trial(
    name: StudyName,
    trial: Annotated[int, typer.Argument(metavar="TRIAL", help="Number of the trial.", min=0)],
    yes: Yes = False,
) -> None:
    """End one trial with its epoch; what it measured stays.

    Example: study kill-trial fer2013-freeze-depth 7
    """
    from study.errors import SpecError
    from study.study_file.edits import Edit

    known = {one.number: one for one in _result(name).trials}
    if trial not in known or known[trial].has_ended:
        going = ", ".join(
            str(number) for number, one in known.items() if not one.has_ended and one.state != "waiting"
        )
        raise SpecError(f"trial {trial} of {name} is none that goes on; those that do: {going or 'none'}")
    _append(name, Edit(kind="kill", trial=trial), yes)
    print(f"trial {trial} of {name} ends with its epoch")


def _stop_all(user: str | None, yes: bool) -> None:
    from study.cli.reports.terminal import check_all_are_meant
    from study.home import Home
    from study.results.study_result import driven_studies
    from study.study_file.edits import Edit, append_edit
    from study.user import current_user

    whose = user or current_user()
    found = driven_studies(Home.current(), whose)
    for result in found:
        print(f"{result.spec.study}  {result.state}, {result.progress}")
    if not found:
        print(f"no study of {whose} runs or waits")
        return
    if not yes:
        check_all_are_meant("study stop --all", "stop", f"these {len(found)} studies of {whose}")
    for result in found:
        append_edit(result.folder, Edit(kind="stop"))
    print(f"{len(found)} stop once their running trials have ended their epochs; study resume NAME goes on")


def _append(name: str, edit: "Edit", yes: bool) -> "StudyResult":
    from study.study_file.edits import append_edit
    from study.user import check_owner

    result = _result(name)
    check_owner(name, result.user, is_meant=yes)
    result.check_goes_on()
    append_edit(result.folder, edit)
    return result


def _result(name: str) -> "StudyResult":
    from study.home import Home
    from study.results.study_result import find_study

    return find_study(Home.current(), name)


def _space_of(name: str) -> "SearchSpace":
    from study.planning.plan import study_space

    return study_space(_result(name).spec)


def _values(settings: list[str]) -> "dict[str, Value]":
    """Each `batch_size=64` as a study file has it."""
    from study.errors import SpecError
    from study.yaml_file import read_value

    values: dict[str, Value] = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        value = read_value(text) if equals else None
        if not name or not isinstance(value, str | int | float | bool):
            raise SpecError(f"a setting is written DIMENSION=VALUE, such as batch_size=64, got {setting!r}")
        values[name] = value
    return values
