"""Studies whose trials come from a function with known effects, in place of training."""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from search_spaces.dimensions import Choice, Int
from search_spaces.space import Point, SearchSpace
from study.evaluation.final_result import FinalResult
from study.planning.plan import study_space
from study.results.cost import Cost, Item
from study.results.study_result import StudyResult
from study.search.record.trial import State, Trial
from study.study_file.study_spec import StudySpec


def made_study(
    worth: Callable[[Point], float],
    *,
    trials: int = 60,
    noise: float = 0.02,
    seed: int = 0,
    space: Mapping[str, Any] | None = None,
    curves: Callable[[int, float], Sequence[float]] = lambda number, value: [value],
    states: Callable[[int], State] = lambda number: "complete",
    points: Sequence[Point] | None = None,
    folder: Path = Path("home/studies/made"),
    final: FinalResult | None = None,
    **spec: Any,
) -> StudyResult:
    """A study whose trials are drawn at random from `space`, as a study file extends one, and are `worth`
    their points but for normal noise.
    """
    parsed = StudySpec.parse(
        {
            "study": folder.name,
            "dataset": "digits",
            "search_space": "given",
            "objective": {"metric": "accuracy"},
            **({} if space is None else {"extend": space}),
            **spec,
        }
    )
    draw = random.Random(seed)
    drawn = points or [_drawn(study_space(parsed), draw) for _ in range(trials)]
    made = tuple(
        _trial(number, point, curves(number, worth(point) + draw.gauss(0, noise)), states(number), parsed)
        for number, point in enumerate(drawn)
    )
    merit = parsed.objective.merit
    ranked = sorted(
        (trial for trial in made if trial.value is not None),
        key=lambda trial: (trial.state == "complete", merit(trial.value or 0.0)),
        reverse=True,
    )
    return StudyResult(
        spec=parsed,
        folder=folder,
        trials=made,
        leaderboard=tuple(ranked),
        best=ranked[0] if ranked else None,
        pareto=(),
        confirmation={},
        final=final,
        reproduction=None,
        run_id=None,
        seconds=10.0 * len(made),
        cost=Cost(
            items=tuple(
                Item(name=str(trial.number), state=trial.state, seconds=10.0, gpu_seconds=0, saved_seconds=0)
                for trial in made
            )
        ),
        driver=None,
        user="ada",
        user_source="as told",
        priority=0,
        failure=None,
        is_end_told=final is not None,
        is_extended=False,
    )


def _drawn(space: SearchSpace, draw: random.Random) -> Point:
    def value(dimension: Any) -> Any:
        if isinstance(dimension, Choice):
            return draw.choice(dimension.options)
        if isinstance(dimension, Int):
            return draw.randint(dimension.low, dimension.high)
        if dimension.log:
            return math.exp(draw.uniform(math.log(dimension.low), math.log(dimension.high)))
        return draw.uniform(dimension.low, dimension.high)

    return space.build_point(value)


def _trial(number: int, point: Point, curve: Sequence[float], state: State, spec: StudySpec) -> Trial:
    values = dict(enumerate(curve, start=1))
    objective = spec.objective
    finite = {epoch: value for epoch, value in values.items() if math.isfinite(value)}
    best = max(finite, key=lambda epoch: objective.merit(finite[epoch]), default=None)
    value = None if best is None else values[best]
    return Trial(
        number=number,
        state=state,
        point=point,
        origin=None,
        values=values,
        best_epoch=best,
        value=value,
        metrics={} if value is None else {objective.metric: value},
        measures={},
        objectives={objective.metric: value},
        violations={},
        seconds=10.0,
        run_id=None,
        reason=None,
        retries=(),
        facts={},
        ended=1.0,
    )
