"""Imports go one way: leaves know nothing of the composition, and Ray, MLflow and Optuna stay in their files."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cluster", "search_spaces", "study", "trainables")
ALLOWED = {
    "search_spaces": {"search_spaces"},
    "trainables": {"trainables"},
    "cluster": {"cluster"},
    "study": set(PACKAGES),
}
HOMES = {
    "ray": ("cluster/", "study/execution/"),
    "mlflow": ("study/tracking/", "study/registry/"),
    "optuna": ("study/search/",),
}


def _files(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def _imports(file: Path) -> set[str]:
    """Top-level names of all that a file imports, inside functions too."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            found.add((node.module or "").split(".")[0])
    return found


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_import_only_what_lies_below_them(package: str) -> None:
    for file in _files(package):
        ours = _imports(file) & set(PACKAGES)
        assert ours <= ALLOWED[package], f"{file.relative_to(ROOT)} imports {sorted(ours - ALLOWED[package])}"


@pytest.mark.parametrize("library", HOMES)
def test_libraries_stay_in_their_files(library: str) -> None:
    users = [file.relative_to(ROOT).as_posix() for package in PACKAGES for file in _files(package) if library in _imports(file)]
    assert users, f"nothing imports {library}: this test watches the wrong name"
    assert [user for user in users if not user.startswith(HOMES[library])] == []


def test_search_spaces_need_the_standard_library_alone() -> None:
    for file in _files("search_spaces"):
        foreign = _imports(file) - {"search_spaces"} - set(sys.stdlib_module_names)
        assert not foreign, f"{file.relative_to(ROOT)} imports {sorted(foreign)}"


@pytest.mark.parametrize("package", PACKAGES)
def test_package_init_is_a_docstring(package: str) -> None:
    for file in _files(package):
        if file.name == "__init__.py":
            body = ast.parse(file.read_text(encoding="utf-8")).body
            assert len(body) == 1, f"{file.relative_to(ROOT)} holds more than a docstring"
            assert isinstance(body[0], ast.Expr)


@pytest.mark.parametrize(
    ("modules", "heavy"),
    [
        ("study.plan, study.reports.studies, study.commands.data", {"torch", "ray", "mlflow", "torchvision", "timm", "sklearn"}),
        ("study.running", {"torch", "ray", "mlflow", "torchvision", "timm", "sklearn"}),
        ("study.cli", {"torch", "ray", "mlflow", "torchvision", "timm", "sklearn", "optuna", "pyarrow", "numpy", "pydantic"}),
    ],
)
def test_heavy_libraries_are_imported_where_they_are_needed(modules: str, heavy: set[str]) -> None:
    done = subprocess.run([sys.executable, "-c", f"import sys, {modules}; print(*sys.modules)"], capture_output=True, text=True, check=True)
    assert sorted(heavy & set(done.stdout.split())) == []
