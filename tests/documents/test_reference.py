"""The reference page is what the code says, and names everything that a person may set."""

import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from study.recipes.point import NAMES
from study.reference.commands import commands
from study.reference.dimensions import meaning
from study.reference.page import reference_page
from study.reference.study_file import examples, nested_models
from study.reference.variables import VARIABLES
from study.study_file.study_spec import StudySpec

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "study" / "REFERENCE.md"
WITHOUT_MEANING_FOR_PEOPLE = {
    "RAY_CLUSTER_NAME": "set by KubeRay",
    "MLFLOW_REGISTRY_URI": "saved and put back around calls of MLflow",
    "STUDY_WORKER_FORKS": "set for Ray by the driver that starts it",
}
"""Variables that the code touches and nobody sets for it."""


def test_the_page_is_made_of_the_code_as_it_stands() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_page(), (
        "make it anew: uv run python -m study.reference > study/REFERENCE.md"
    )


@pytest.mark.parametrize(
    ("key", "tree"), list(examples()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_key_has_an_example_that_can_be_read(key: str, tree: dict[str, Any]) -> None:
    assert StudySpec.parse({"study": "s", "dataset": "d", **tree}), key


@pytest.mark.parametrize("model", [StudySpec, *(model for _, model in nested_models())])
def test_every_key_has_a_sentence(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def test_every_dimension_has_a_meaning() -> None:
    assert [name for name in NAMES if not meaning(name)] == []


def test_every_environment_variable_that_is_read_is_named() -> None:
    reading = re.compile(
        r"""environ(?:\.get\(|\.setdefault\(|\[)\s*"([A-Z_]+)\""""
        r"""|^[A-Z_]*VARIABLE = "([A-Z_]+)\""""
        r"""|"([A-Z_]+)" in os\.environ""",
        re.M,
    )
    read = {
        next(filter(None, found))
        for package in ("cluster", "search_spaces", "study", "trainables")
        for file in (ROOT / package).rglob("*.py")
        if "deployment" not in file.parts
        for found in reading.findall(file.read_text(encoding="utf-8"))
    }
    assert len(read) > 8
    ours_to_set = {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"}
    assert read - set(VARIABLES) - set(WITHOUT_MEANING_FOR_PEOPLE) - ours_to_set == set()


def test_every_command_has_an_example_of_itself() -> None:
    listed = list(commands())
    assert {"study run", "study data add", "study promote", "study submit"} <= {
        command.words for command in listed
    }
    for command in listed:
        assert command.sentence.endswith("."), command.words
        assert command.example.startswith(command.words), command.words


def test_the_options_of_the_page_are_those_of_the_command_line() -> None:
    import typer

    from study.cli.main import app

    page = reference_page()
    group: Any = typer.main.get_command(app)
    for command in commands():
        below = group
        for word in command.words.split()[1:]:
            below = below.commands[word]
        options = {name for parameter in below.params for name in parameter.opts if name.startswith("-")}
        section = page[page.index(f"### {command.words}\n") :].partition("\n### ")[0]
        named = {name for cell in re.findall(r"^\| `(-[^`]*)`", section, re.M) for name in cell.split(", ")}
        assert named == options - {"--help"}, command.words
