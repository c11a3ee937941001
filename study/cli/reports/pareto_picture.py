"""The Pareto front as a small picture of text."""

from collections.abc import Sequence

from rich.text import Text

from study.number_text import number_text
from study.search.record.trial import Trial
from study.study_file.objective import Objective

WIDTH = 60
HEIGHT = 15
_FRONT, _OTHER = "●", "·"


def front_picture(trials: Sequence[Trial], front: Sequence[Trial], objectives: Sequence[Objective]) -> Text:
    """The first objective over the second: feasible complete trials, those of the front filled."""
    across, up = objectives[1], objectives[0]
    shown = [trial for trial in trials if trial.state == "complete" and trial.is_feasible]
    points = [(_value(trial, across), _value(trial, up), trial in front) for trial in shown]
    columns, rows = _ends([x for x, _, _ in points]), _ends([y for _, y, _ in points])
    cells = [[" "] * WIDTH for _ in range(HEIGHT)]
    for x, y, is_front in sorted(points, key=lambda point: point[2]):  # the front on top
        cells[HEIGHT - 1 - _cell(y, rows, HEIGHT)][_cell(x, columns, WIDTH)] = _FRONT if is_front else _OTHER
    labels = {0: number_text(rows[1]), HEIGHT - 1: number_text(rows[0])}
    margin = max(map(len, labels.values()))
    picture = Text(f"{'':>{margin}}  {up.metric} ({_wanted(up)})\n")
    for index, row in enumerate(cells):
        picture.append(f"{labels.get(index, ''):>{margin}} ┤")
        for cell in row:
            picture.append(cell, style="bold green" if cell == _FRONT else None)
        picture.append("\n")
    low, high = number_text(columns[0]), number_text(columns[1])
    picture.append(f"{'':>{margin}} └{'─' * WIDTH}\n{'':>{margin}}  {low}{high:>{WIDTH - len(low)}}\n")
    picture.append(f"{'':>{margin}}  {f'{across.metric} ({_wanted(across)})':>{WIDTH}}\n{'':>{margin}}  ")
    picture.append(_FRONT, style="bold green")
    picture.append(
        f" no other trial is better in all of {', '.join(objective.metric for objective in objectives)}   "
        f"{_OTHER} the others"
    )
    return picture


def _value(trial: Trial, objective: Objective) -> float:
    return float(trial.objectives[objective.metric] or 0.0)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _cell(value: float, ends: tuple[float, float], num_cells: int) -> int:
    low, high = ends
    return round((value - low) / (high - low) * (num_cells - 1)) if high > low else 0


def _wanted(objective: Objective) -> str:
    return "more is better" if objective.maximise else "less is better"
