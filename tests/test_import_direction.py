"""Imports go one way: leaves know nothing of the composition, and Ray, MLflow and Optuna stay in their
files.
"""

import ast
import subprocess
import sys
from collections.abc import Iterable
from graphlib import TopologicalSorter
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
    "plotly": ("study/report/", "study/results/pictures.py"),
    "cv2": ("study/serving/",),
    "ray": ("cluster/", "study/execution/"),
    "mlflow": (
        "study/connections/",
        "study/planning/earlier_trials.py",
        "study/tracking/",
        "study/registry/",
    ),
    "optuna": ("study/search/", "study/analysis/importance.py"),
}
LAYERS_OF_TRAINABLES = (
    "trainables",  # its loose files, which are leaves; `__main__` stands above all
    "trainables.recipe",
    "trainables.datasets",
    "trainables.devices",
    "trainables.models.architectures",
    "trainables.models",
    "trainables.feature_cache",
    "trainables.transforms",
    "trainables.metrics",
    "trainables.inference",
    "trainables.training",
)
"""Folders of `trainables`, the lowest first; a folder that is not named belongs to the one it lies in."""
LAYERS = (
    "study",  # its loose files, which are leaves
    "study.connections",
    "study.recipes",
    "study.stopping",
    "study.study_file",
    "study.search.sampling",
    "study.search.record",
    "study.search.pbt",
    "study.search",
    "study.planning",
    "study.evaluation",
    "study.results",
    "study.live",
    "study.registry",
    "study.serving",
    "study.field",
    "study.tracking",
    "study.analysis",
    "study.report.figures",
    "study.report",
    "study.execution",
    "study.quote",
    "study.remote",
    "study.driver",
    "study.doctor",
    "study.garbage",
    "study.cli.reports",
    "study.cli.commands",
    "study.cli",
    "study.reference",
)
"""Folders of `study`, the lowest first. The files of a folder stand above the folders in it, but for the
leaves of `study` itself."""
CLUSTER = (
    "cluster.errors",
    "cluster.auth_token",
    "cluster.ray_settings",
    "cluster.scoped_environment",
    "cluster.fork_server",
    "cluster.fork_client",
    "cluster.forked_job",
    "cluster.forked_worker",
    "cluster.worker_forks",
    "cluster.leftovers",
    "cluster.lifeline",
    "cluster.termination",
    "cluster.nodes",
    "cluster.packing",
    "cluster.working_dir",
    "cluster.fair_share",
    "cluster.slot_pauses",
    "cluster.ageing",
    "cluster.queue_policy",
    "cluster.claims",
    "cluster.gpu_hours",
    "cluster.autoscaler",
    "cluster.gauges",
    "cluster.slot_gauges",
    "cluster.lean_node",
    "cluster.connection",
    "cluster.replicas",
    "cluster.slot_queue",
    "cluster.dashboard",
    "cluster.mailbox",
    "cluster.jobs",
    "cluster.deployment.prepare",
    "cluster.deployment.healthy",
    "cluster.deployment.pin_images",
)
"""Modules of `cluster`, the lowest first."""


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


def _modules(package: str) -> dict[str, Path]:
    return {
        ".".join(file.relative_to(ROOT).with_suffix("").parts): file
        for file in _files(package)
        if file.name != "__init__.py"
    }


def _imported_modules(file: Path, known: Iterable[str]) -> set[str]:
    """Modules of `known` that a file imports anywhere: at its top, inside functions, or for types alone."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & set(known)


def _folder(module: str) -> str:
    return module.rpartition(".")[0]


def test_every_folder_of_study_is_a_layer() -> None:
    assert {_folder(module) for module in _modules("study")} == set(LAYERS)


def test_a_layer_imports_only_layers_below_it() -> None:
    modules = _modules("study")
    upward = [
        f"{module} imports {imported}"
        for module, file in modules.items()
        for imported in _imported_modules(file, modules)
        if LAYERS.index(_folder(imported)) > LAYERS.index(_folder(module))
    ]
    assert upward == []


def test_a_module_of_cluster_imports_only_modules_below_it() -> None:
    modules = _modules("cluster")
    assert set(modules) == set(CLUSTER)
    for number, module in enumerate(CLUSTER):
        above = _imported_modules(modules[module], CLUSTER[number:])
        assert not above, f"{module} imports {sorted(above)}"


def _layer_of_trainables(module: str) -> int:
    folder = _folder(module)
    while folder not in LAYERS_OF_TRAINABLES:
        folder = _folder(folder)
    return LAYERS_OF_TRAINABLES.index(folder)


def test_every_folder_of_trainables_is_a_layer() -> None:
    folders = {
        f"trainables.{path.name}"
        for path in (ROOT / "trainables").iterdir()
        if (path / "__init__.py").exists()
    }
    assert folders == {layer for layer in LAYERS_OF_TRAINABLES if layer.count(".") == 1}


def test_a_layer_of_trainables_imports_only_layers_below_it() -> None:
    modules = {".".join(file.relative_to(ROOT).with_suffix("").parts): file for file in _files("trainables")}
    upward = [
        f"{module} imports {imported}"
        for module, file in modules.items()
        for imported in _imported_modules(file, modules)
        if module != "trainables.__main__" and _layer_of_trainables(imported) > _layer_of_trainables(module)
    ]
    assert upward == []


@pytest.mark.parametrize("package", PACKAGES)
def test_modules_do_not_import_each_other_in_circles(package: str) -> None:
    modules = _modules(package)
    sorter = TopologicalSorter(
        {module: _imported_modules(file, modules) - {module} for module, file in modules.items()}
    )
    sorter.prepare()  # raises CycleError, which names the circle


@pytest.mark.parametrize("package", PACKAGES)
def test_no_two_modules_of_a_package_share_a_name(package: str) -> None:
    by_name: dict[str, list[str]] = {}
    for file in _files(package):
        if file.name not in ("__init__.py", "__main__.py"):
            by_name.setdefault(file.stem, []).append(str(file.relative_to(ROOT)))
    assert [files for files in by_name.values() if len(files) > 1] == []


@pytest.mark.parametrize("library", HOMES)
def test_libraries_stay_in_their_files(library: str) -> None:
    users = [
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in _files(package)
        if library in _imports(file)
    ]
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
        (
            "study.planning.plan, study.cli.reports.study_tables, study.cli.commands.datasets",
            {"torch", "ray", "mlflow", "torchvision", "timm", "sklearn"},
        ),
        (
            "study.driver.running, study.driver.further_seeds, study.execution.preparation, "
            "study.execution.gpu_sharing, study.execution.tuning, study.execution.tuned_trial, "
            "study.execution.ray_searcher, study.execution.ray_scheduler, study.registry.version_files, "
            "study.tracking.study_run",
            {"torch", "torchvision", "timm", "sklearn"},
        ),
        ("study.driver.running", {"torch", "ray", "mlflow", "torchvision", "timm", "sklearn"}),
        (
            "study.cli.main",
            {
                "torch",
                "ray",
                "mlflow",
                "torchvision",
                "timm",
                "sklearn",
                "optuna",
                "pyarrow",
                "numpy",
                "pydantic",
            },
        ),
    ],
)
def test_heavy_libraries_are_imported_where_they_are_needed(modules: str, heavy: set[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, {modules}; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sorted(heavy & set(done.stdout.split())) == []
