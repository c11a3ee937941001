"""The reference page as a whole."""

from study.reference.commands import commands_section
from study.reference.dimensions import dimensions_section
from study.reference.markdown import code, table
from study.reference.study_file import study_file_section
from study.reference.variables import environment_section
from study.study_file.measures import MEASURES
from trainables.metrics.classification import METRICS

_PAGE = """# Reference

This page is generated from the code by `uv run python -m study.reference > study/REFERENCE.md`; do not edit
it by hand.

- [Study file](#study-file): every key
- [Metrics and measures](#metrics-and-measures): the names that `objective` and `constraints` take
- [Dimensions](#dimensions): the names that `fix`, `narrow` and `extend` take
- [Environment variables](#environment-variables)
- [Commands](#commands): every command with its options
- [Exit codes](#exit-codes)

## Study file

A study file is YAML. `study` and `dataset` are required; every other key has a default, and an empty cell
there means that nothing holds. An unknown key is an error. `value` means text, a number, `true` or `false`.

{study_file}
## Metrics and measures

Metrics are measured on the validation split after every epoch. Measures belong to the trial, and less of a
measure is better. The first objective is a metric.

{metrics}
## Dimensions

A dimension is one hyperparameter. A trial has the default of each dimension that its configuration does not
name; a dimension without a default is then absent. The ranges are those of the largest named space; each
space has ranges of its own.

{dimensions}
## Environment variables

{environment}
## Commands

`study --version` prints the version, and `study --install-completion` installs completion for the shell.
`study COMMAND --help` prints the same as this section in the terminal. With `--json`, a command prints JSON
on standard output, and nothing else there.

{commands}
## Exit codes

{exit_codes}"""


_EXIT_CODES = (
    ("0", "The command is done."),
    ("1", "`predict` met an image that it cannot read."),
    ("1", "`drift` found that images are not like those trained on."),
    ("1", "`reproduce-model` came to another result than the one recorded."),
    ("1", "`doctor` found something that is wrong, and it still is."),
    ("1", "The study that `submit --wait` or `logs -f` follows has failed."),
    ("1", "There is a defect in this program: the command ends with a traceback."),
    (
        "2",
        "The command was refused. One message says which rule, which value, and the way out. Nothing is "
        "half-written.",
    ),
    ("2", "`promote` measured that the version breaks the rules of its study file."),
    ("130", "The command was interrupted."),
)


def reference_page() -> str:
    """The page in Markdown."""
    return _PAGE.format(
        study_file=study_file_section(),
        metrics=_metrics(),
        dimensions=dimensions_section(),
        environment=environment_section(),
        commands=commands_section(),
        exit_codes=table(("code", "meaning"), _EXIT_CODES),
    )


def _metrics() -> str:
    metrics = [
        (code(name), "metric", "more" if way == "maximise" else "less") for name, way in METRICS.items()
    ]
    measures = [(code(name), f"measure: {meaning}", "less") for name, meaning in MEASURES.items()]
    return table(("name", "kind", "better"), [*metrics, *measures])
