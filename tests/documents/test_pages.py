"""What the pages say works: commands and options exist, study files and code can be read, links lead
somewhere.
"""

import ast
import importlib
import importlib.util
import inspect
import json
import random
import re
import shlex
import subprocess
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from pages import LONGEST_README, ROOT, Command, Page, commands, pages
from test_import_direction import LAYERS, LAYERS_OF_TRAINABLES
from typer.testing import CliRunner

from cluster.queue_policy import QueuePolicy
from search_spaces.dimensions import Choice
from search_spaces.space import SearchSpace
from study.cli.main import app
from study.recipes.phases import build_phases
from study.results.study_result import StudyResult, trial_row
from study.study_file.study_spec import StudySpec
from study.yaml_file import read_value

README = Page(ROOT / "README.md")
OURS = ("cluster", "search_spaces", "study", "trainables")
CHEAP = ("study --help", "study recipes", "study recipes fer-r50-hybrid", "study list", "study data list")
"""Commands that are run; they need no study, and take a second at most."""
WHOLE_COMMANDS = sorted(
    {
        line
        for page in pages()
        for block in page.blocks("sh")
        for line in block.splitlines()
        if line.startswith("study ")
    }
)


def test_every_page_is_found() -> None:
    found = {str(page) for page in pages()}
    assert {
        "README.md",
        "CHANGELOG.md",
        ".github/CONTRIBUTING.md",
        "tests/README.md",
        "tests/benchmarks/README.md",
    } <= found
    assert {
        "study/README.md",
        "study/REFERENCE.md",
        "trainables/README.md",
        "search_spaces/README.md",
        "cluster/OPERATIONS.md",
    } <= found


def test_the_first_page_is_short_and_begins_with_a_command() -> None:
    lines = README.text.splitlines()
    assert len(lines) <= LONGEST_README
    assert lines.index("pip install uv && uv run study quickstart") < 15
    assert "pip install uv && uv run pytest" in lines  # .ci/run looks for it


def test_the_first_page_leads_to_every_other() -> None:
    linked = {(ROOT / link).resolve() for link in README.links}
    linked |= {
        (page.file.parent / link.partition("#")[0]).resolve() for page in pages() for link in page.links
    }
    assert [
        str(page) for page in pages() if page.file.resolve() not in linked | {README.file.resolve()}
    ] == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_links_lead_somewhere(page: Page) -> None:
    broken = []
    for link in page.links:
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.file.parent / path).resolve() if path else page.file
        if not target.exists() or (anchor and anchor not in Page(target).anchors):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", pages(), ids=str)
def test_files_that_a_page_names_exist(page: Page) -> None:
    named = {
        span
        for span in page.spans
        if re.fullmatch(rf"(?:{'|'.join((*OURS, 'tests'))})(?:/[\w.-]+)+/?|\.ci/run|[\w/]+\.py", span)
    }
    places = (ROOT, page.file.parent, ROOT / "tests")
    assert [
        name
        for name in named
        if not any((place / name).exists() for place in places) and "path/to" not in name
    ] == []


@pytest.mark.parametrize("command", commands("study"), ids=str)
def test_commands_and_their_options_exist(command: Command) -> None:
    known: Any = typer.main.get_command(app)
    words = list(command.words[1:])
    while words and hasattr(known, "commands") and words[0].islower() and not words[0].startswith("-"):
        assert words[0] in known.commands, f"study has no command {words[0]!r}"
        known = known.commands[words.pop(0)]
    options = {name for parameter in known.params for name in parameter.opts} | {"--help"}
    if not hasattr(known, "commands") or words:
        assert [
            word for word in words if re.match(r"^--?[a-z]", word) and word.partition("=")[0] not in options
        ] == []


@pytest.mark.parametrize("line", WHOLE_COMMANDS)
def test_whole_commands_can_be_parsed(line: str) -> None:
    known: Any = typer.main.get_command(app)
    words = shlex.split(line, comments=True)[1:]
    while hasattr(known, "commands"):
        known = known.commands[words.pop(0)]
    assert known.make_context("study", words).params is not None


@pytest.mark.parametrize("line", CHEAP)
def test_cheap_commands_run(line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STUDY_HOME", str(tmp_path))
    done = CliRunner().invoke(app, line.split()[1:])
    assert done.exit_code == 0, done.output
    assert done.output


@pytest.mark.parametrize("command", commands("python"), ids=str)
def test_modules_and_scripts_have_the_options_that_pages_give_them(command: Command) -> None:
    first, *rest = command.words[1:]
    if first == "-c":
        assert not rest or ast.parse(rest[0])
        return
    name = rest.pop(0) if first == "-m" else first
    file = ROOT / (f"{name.replace('.', '/')}.py" if first == "-m" else name)
    source = (file if file.exists() else ROOT / name.replace(".", "/") / "__main__.py").read_text(
        encoding="utf-8"
    )
    assert [word for word in rest if word.startswith("--") and f'"{word}"' not in source] == []


@pytest.mark.parametrize("command", commands("pytest"), ids=str)
def test_tests_that_pages_name_exist(command: Command) -> None:
    assert [
        word for word in command.words[1:] if word.startswith("tests") and not (ROOT / word).exists()
    ] == []


@pytest.mark.parametrize(
    ("page", "block"), [(page, block) for page in pages() for block in page.blocks("sh")], ids=str
)
def test_lines_for_a_terminal_are_shell(page: Page, block: str) -> None:
    done = subprocess.run(["bash", "-n", "-c", block], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("page", "text"), [(page, block) for page in pages() for block in page.blocks("yaml")], ids=str
)
def test_study_files_and_policies_can_be_read(page: Page, text: str) -> None:
    tree = read_value(text)
    if tree.keys() & QueuePolicy.model_fields.keys():
        QueuePolicy.model_validate(tree)
        return
    spec = StudySpec.parse({"study": "s", "dataset": "d", **tree})
    assert set(tree) <= set(spec.to_dict())
    for name, dimension in spec.extend.items():
        assert dimension.dimension(name).name == name


@pytest.mark.parametrize(
    ("page", "text"), [(page, block) for page in pages() for block in page.blocks("json")], ids=str
)
def test_json_can_be_read(page: Page, text: str) -> None:
    assert json.loads(text)


@pytest.mark.parametrize(
    ("page", "code"), [(page, block) for page in pages() for block in page.blocks("python")], ids=str
)
def test_code_imports_what_exists(page: Page, code: str) -> None:
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.split(".")[0] in OURS:
            module = importlib.import_module(node.module)
            assert [alias.name for alias in node.names if not hasattr(module, alias.name)] == []
        elif isinstance(node, ast.Import):
            assert [
                alias.name
                for alias in node.names
                if importlib.util.find_spec(alias.name.split(".")[0]) is None
            ] == []


def test_the_search_space_of_a_page_is_one() -> None:
    (code,) = [block for page in pages() for block in page.blocks("python") if "SPACE =" in block]
    made: dict[str, object] = {}
    exec(code, made)
    space = made["SPACE"]
    assert isinstance(space, SearchSpace)
    for seed in range(20):
        draw = random.Random(seed)
        point = space.build_point(lambda d: draw.choice(d.options) if isinstance(d, Choice) else d.low)  # noqa: B023  called right here
        assert build_phases(point, epochs=10, num_stages=4)


@pytest.mark.parametrize(("package", "layers"), [("study", LAYERS), ("trainables", LAYERS_OF_TRAINABLES)])
def test_the_table_of_layers_has_the_order_that_a_test_holds(package: str, layers: tuple[str, ...]) -> None:
    page = (ROOT / package / "README.md").read_text(encoding="utf-8")
    table = page[page.index(f"| folder of `{package}/` |") :].partition("\n\n")[0]
    named = re.findall(r"^\| (?:`([\w/]+)/`|its loose files) \|", table, re.MULTILINE)
    assert [f"{package}.{name.replace('/', '.')}" if name else package for name in named] == list(layers)


def test_the_keys_of_json_are_those_that_programs_get() -> None:
    page = (ROOT / "study" / "README.md").read_text(encoding="utf-8")
    section = page[page.index("### JSON") :].partition("\n## ")[0]
    tables, _, rest = section.partition("A trial of the leaderboard")
    whole = {
        key
        for cell in re.findall(r"^\| (`.*?) \|", tables, re.MULTILINE)
        for key in re.findall(r"`(\w+)`", cell)
    }
    assert whole == _keys_of(StudyResult.to_dict)
    assert set(re.findall(r"`(\w+)`", rest.partition(". The other")[0])) == _keys_of(trial_row)


def _keys_of(function: Callable[..., dict[str, Any]]) -> set[str]:
    """The keys of the mapping that a function returns."""
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    returned = next(node.value for node in ast.walk(body) if isinstance(node, ast.Return))
    assert isinstance(returned, ast.Dict)
    return {str(key.value) for key in returned.keys if isinstance(key, ast.Constant)}


@pytest.mark.parametrize("page", pages(), ids=str)
def test_nothing_is_left_to_be_filled_in(page: Page) -> None:
    assert not re.search(r"^([A-Z]{4,}|.*\b(?:TODO|TBD|FIXME)\b.*)$", page.prose, flags=re.MULTILINE)
