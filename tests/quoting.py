"""Plans to quote, and machines of which it is known how fast they are."""

from collections.abc import Sequence

from study.home import Home
from study.planning.plan import Plan, plan_study
from study.quote.case import Case
from study.quote.epoch_time import wanted_recipes
from study.quote.quote import Quote, conditions_of, quote
from study.quote.site import this_machine
from study.quote.step_times import MeasuredStep, StepTimes
from study.study_file.study_spec import StudySpec

DIGITS = {
    "study": "s",
    "dataset": "digits",
    "search_space": "digits",
    "budget": {"trials": 12, "epochs": 20},
    "resources": {"gpus_per_trial": 0},
}


def plan(home: Home, **changes: object) -> Plan:
    """The plan of a study of the digits."""
    return plan_study(StudySpec.parse({**DIGITS, **changes}), home)


def steps_of(made: Plan, seconds_an_image: float = 1e-3) -> tuple[MeasuredStep, ...]:
    """Steps of all that the study wants to know, at a speed."""
    recipes = wanted_recipes(Case.of(made).drawn)
    return tuple(
        MeasuredStep(
            architecture=recipe.model.architecture,
            image_size=recipe.data.image_size,
            batch_size=recipe.batch_size,
            num_images=recipe.batch_size,
            seconds=recipe.batch_size * seconds_an_image,
            evaluation_seconds=seconds_an_image / 3,
            memory_bytes=500_000_000,
        )
        for recipe in recipes
    )


def keep_speed(made: Plan, seconds_an_image: float = 1e-3, slowdown: float = 1.1) -> None:
    """Lets the plan's home know how fast this machine is."""
    times = StepTimes(conditions=conditions_of(made, this_machine(made)))
    times.with_steps(steps_of(made, seconds_an_image), slowdown=slowdown, tried=()).keep(made.home)


def quoted(made: Plan, said: list[str] | None = None) -> Quote:
    """The quote of a plan; what was said meanwhile goes into `said`."""
    heard: list[str] = [] if said is None else said
    return quote(Case.of(made), say=heard.append)


def texts(cautions: Sequence[object]) -> str:
    """All that they say."""
    return "\n".join(map(str, cautions))
