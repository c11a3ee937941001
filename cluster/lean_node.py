"""The local Ray of one program: the processes that run its tasks, none for those who look at a cluster."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray._private import node
from ray._private.parameter import RayParams

from cluster.fork_client import SERVER_VARIABLE

WORKER_COMMAND = Path(__file__).with_name("forked_worker.py")


class LeanNode(node.Node):
    """A head without dashboard, autoscaler and reader of logs.

    `ray.init(include_dashboard=False)` still starts a process for each, and waits until that of the dashboard
    has imported its libraries. Nobody asks them anything: nothing is scaled, and no log goes to the driver.
    Inside `worker_forks` its workers are forked.
    """

    def __init__(self, ray_params: RayParams, **options: Any) -> None:
        if SERVER_VARIABLE in os.environ:
            ray_params.setup_worker_path = str(WORKER_COMMAND)
        super().__init__(ray_params, **options)

    def start_api_server(self, *, include_dashboard: bool | None, raise_on_failure: bool) -> None:
        """Starts nothing; there is no address."""
        self._webui_url = ""

    def start_monitor(self) -> None:
        """Starts nothing."""

    def start_log_monitor(self) -> None:
        """Starts nothing."""


@contextmanager
def lean_node() -> Iterator[None]:
    """Inside, `ray.init` makes its head a `LeanNode`."""
    whole = node.Node
    node.Node = LeanNode  # type: ignore[misc, assignment]
    try:
        yield
    finally:
        node.Node = whole  # type: ignore[misc]
