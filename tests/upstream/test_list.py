"""The page, this folder and pyproject.toml agree: rows name tests and code that exist, every test has a
row.
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
PACKAGES = ("cluster", "search_spaces", "study", "trainables")
TEXT = (HERE / "README.md").read_text(encoding="utf-8")


def rows(first_cell: str) -> list[list[str]]:
    """The cells of the lines of all tables that begin with this heading."""
    found, is_inside = [], False
    for line in TEXT.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")] if line.startswith("|") else []
        if cells and cells[0] == first_cell:
            is_inside = True
        elif not cells:
            is_inside = False
        elif is_inside and set(cells[0]) != {"-"}:
            found.append(cells)
    return found


USES = rows("Where")


def quoted(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def defined(file: Path) -> set[str]:
    """Functions, classes, methods (`Class.method`) and constants of a file."""
    return set(_names(ast.parse(file.read_text(encoding="utf-8")).body, ""))


def _names(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        match node:
            case ast.FunctionDef(name=name):
                yield prefix + name
            case ast.ClassDef(name=name, body=inner):
                yield prefix + name
                yield from _names(inner, f"{prefix}{name}.")
            case ast.Assign(targets=targets):
                yield from (
                    prefix + one.id
                    for target in targets
                    for one in ast.walk(target)
                    if isinstance(one, ast.Name)
                )
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name
            case _:
                continue


def required() -> dict[str, Requirement]:
    tree = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    texts = [
        *tree["dependencies"],
        *(text for extra in tree["optional-dependencies"].values() for text in extra),
    ]
    return {canonicalize_name(one.name): one for one in map(Requirement, texts)}


def test_every_row_names_code_that_exists() -> None:
    assert USES
    places = [place.partition(":") for cells in USES for place in quoted(cells[0])]
    assert all(len(cells) == 4 for cells in USES), "a row has four cells"
    missing = [
        f"{file}:{name}"
        for file, _, name in places
        if not (PROJECT / file).is_file() or name not in defined(PROJECT / file)
    ]
    assert not missing, f"correct the first column of {HERE / 'README.md'}: these moved or are gone"


def test_rows_and_tests_are_the_same() -> None:
    named = {test for cells in USES for test in quoted(cells[3])}
    files = [file for file in HERE.glob("test_*.py") if file.name != Path(__file__).name]
    there = {f"{file.name}::{name}" for file in files for name in defined(file) if name.startswith("test_")}
    assert not named - there, "rows that name a test which does not exist"
    assert not there - named, "tests that stand in no row"


@pytest.mark.parametrize(
    ("package", "written"), [(cells[0], quoted(cells[1])[0]) for cells in rows("Package")]
)
def test_a_range_is_the_one_that_is_installed_and_checked(package: str, written: str) -> None:
    assert set(written.split(",")) == {str(one) for one in required()[package].specifier}
    assert required()[package].specifier.contains(version(package)), (
        f"{package} {version(package)} was not checked"
    )


def test_only_the_packages_of_the_table_have_an_upper_bound() -> None:
    bounded = {
        name
        for name, one in required().items()
        if any(part.operator.startswith("<") for part in one.specifier)
    }
    assert bounded == {cells[0] for cells in rows("Package")}


def test_every_imported_package_is_required() -> None:
    distributions = packages_distributions()
    imported = {
        top for package in PACKAGES for file in (PROJECT / package).rglob("*.py") for top in _imports(file)
    }
    foreign = imported - set(sys.stdlib_module_names) - set(PACKAGES)
    known = {*required(), "botocore"}  # boto3 is botocore with a name
    missing = {
        top for top in foreign if known.isdisjoint(map(canonicalize_name, distributions.get(top, [top])))
    }
    assert not missing, "name them in pyproject.toml, whoever brings them along today"


def _imports(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=names):
                yield from (one.name.partition(".")[0] for one in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]
