"""Checks of datasets and of registered models."""

from collections.abc import Iterator
from functools import partial

from study.connections.model_registry import has_whole_database
from study.doctor.finding import Finding, Scope, counted
from study.registry.lagging_aliases import follow_decisions, has_lagging_aliases, model_names
from study.registry.promotion import alias_remarks
from trainables.datasets.listing import dataset_names
from trainables.datasets.staging import clear_left_behind, left_behind
from trainables.datasets.verifying import check_files
from trainables.errors import DatasetError


def staged_datasets(scope: Scope) -> Iterator[Finding]:
    """What a killed `study data add` left."""
    found = left_behind(scope.home.datasets)
    if found and scope.name is None:
        yield Finding(
            where="this home",
            what=f"{counted(len(found), 'folder')} of datasets that a killed process was adding, such as "
            f"{found[0].name}",
            mending="removes them, and puts a dataset back that was about to be replaced; without it, the "
            "same study data add goes on where the killed one was",
            mend=partial(clear_left_behind, scope.home.datasets),
        )


def damaged_datasets(scope: Scope) -> Iterator[Finding]:
    """Datasets whose files do not fit their digest."""
    for name in dataset_names(scope.home.datasets):
        if not scope.covers(name):
            continue
        try:
            check_files(scope.home.datasets / name)
        except DatasetError as error:
            yield Finding(
                where=f"dataset {name}",
                what=str(error).partition("; ")[0].removeprefix("damaged dataset: "),
                mending=f"add it again: study data add {name} --from SOURCE --replace; its studies can go "
                "on if its digest comes out the same",
            )


def moved_aliases(scope: Scope) -> Iterator[Finding]:
    """Champions that somebody moved in MLflow's own pages, and aliases that lag behind the decisions."""
    if not has_whole_database(scope.home):
        return
    for model in filter(scope.covers, model_names(scope.home)):
        for sentence in alias_remarks(scope.home, model):
            is_lagging = has_lagging_aliases(scope.home, model)
            what, _, way_out = sentence.partition(". ")
            yield Finding(
                where=f"model {model}",
                what=what,
                mending="sets them as study history has it" if is_lagging else way_out,
                mend=partial(follow_decisions, scope.home, model) if is_lagging else None,
            )
