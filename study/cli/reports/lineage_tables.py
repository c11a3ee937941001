"""What is printed of a trial that went on from another one's checkpoint: no single configuration made it."""

from rich.console import Console
from rich.table import Table

from study.names import trial_name
from study.number_text import number_text
from study.search.record.lineage import changed_values, lineage
from study.search.record.trial import Trial


def print_lineage(out: Console, trial: Trial) -> None:
    """The trials that its weights went through, with the values that changed on the way; nothing of a trial that began by itself."""
    if trial.continues is None:
        return
    stretches = lineage(trial)
    changed = changed_values(stretches)
    out.print(f"\n{trial_name(trial.number)} went on from others' checkpoints; its values alone do not train it again:")
    table = Table("epochs", "as", *(name.replace("_", " ") for name in changed), box=None, pad_edge=False)
    for index, stretch in enumerate(stretches):
        values = (number_text(column[index]) for column in changed.values())
        table.add_row(f"{stretch.first_epoch} to {stretch.last_epoch}", trial_name(stretch.trial), *values)
    out.print(table)
