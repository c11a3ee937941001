"""What the README says works: its commands exist, its study files can be read, its code runs, its pictures are there."""

import random
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
import typer
import yaml

from search_spaces.dimensions import Choice
from search_spaces.space import SearchSpace
from study.cli.main import app
from study.recipes.phases import build_phases
from study.study_file.study_spec import StudySpec

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, flags=re.DOTALL)


def test_the_first_two_blocks_set_everything_up() -> None:
    assert [block.strip() for block in blocks("sh")[:2]] == ["pip install uv && uv run study quickstart", "pip install uv && uv run pytest"]
    assert TEXT.splitlines().index("pip install uv && uv run study quickstart") < 15


COMMANDS = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("study ")]


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_and_their_options_exist(line: str) -> None:
    command: click.Command = typer.main.get_command(app)
    words = shlex.split(line)[1:]
    while isinstance(command, click.Group) or hasattr(command, "commands"):
        command = command.commands[words.pop(0)]  # type: ignore[attr-defined]
    # Parsing alone: what the words mean is tested elsewhere.
    context = command.make_context("study", words, resilient_parsing=False)
    assert context.params


@pytest.mark.parametrize("text", blocks("yaml"))
def test_study_files_can_be_read(text: str, tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(text)
    spec = StudySpec.read(file)
    assert set(yaml.safe_load(text)) <= set(spec.to_dict())
    for name, dimension in spec.extend.items():
        assert dimension.dimension(name).name == name


@pytest.mark.parametrize("code", blocks("python"))
def test_code_compiles_and_imports_what_exists(code: str) -> None:
    compile(code, "README.md", "exec")
    imports = "\n".join(line for line in code.splitlines() if line.startswith(("import ", "from ")))
    subprocess.run([sys.executable, "-c", imports], check=True)


def test_the_search_space_of_the_readme_is_one() -> None:
    (code,) = [block for block in blocks("python") if "SPACE =" in block]
    made: dict[str, object] = {}
    exec(code, made)
    space = made["SPACE"]
    assert isinstance(space, SearchSpace)
    assert space.names == ("architecture", "weights", "fine_tuning", "learning_rate", "probe_fraction")
    for seed in range(20):
        draw = random.Random(seed)
        point = space.build_point(lambda d: draw.choice(d.options) if isinstance(d, Choice) else d.low)  # noqa: B023  called at once
        assert build_phases(point, epochs=10, num_stages=4)


def test_pictures_and_files_that_it_names_exist() -> None:
    named = re.findall(r"\]\(([^)#:]+)\)", TEXT) + re.findall(r"`((?:search_spaces|trainables|study|cluster|tests)/[\w/.]*)`", TEXT)
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_nothing_is_left_to_be_filled_in() -> None:
    assert not re.search(r"^([A-Z]+_[A-Z0-9]+)$", TEXT, flags=re.MULTILINE)
