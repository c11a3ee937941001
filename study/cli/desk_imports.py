"""What commands that read import, all at once: the desk's processes begin with it."""

import gc
from importlib import import_module

MODULES = (
    "mlflow",
    "study.cli.main",
    "study.cli.reports.comparison_of_studies",
    "study.cli.reports.terminal",
    "study.live.reading",
    "study.live.showing",
    "study.cli.reports.dataset_tables",
    "study.cli.reports.importance_tables",
    "study.cli.reports.replay_tables",
    "study.cli.reports.study_list",
    "study.cli.reports.study_tables",
    "study.cli.reports.version_tables",
    "study.registry.decision_log",
    "study.registry.versions",
    "study.remote.preflight",
    "study.results.replay",
    "study.results.study_result",
)

for module in MODULES:
    import_module(module)
gc.freeze()  # so that collections in the processes that begin with it do not copy its pages
