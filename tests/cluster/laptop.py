"""A person's machine beside a real cluster: what the command line says there."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from real_cluster import RealCluster

from study.home import Home

PATIENCE_SECONDS = 400.0


@dataclass(frozen=True, kw_only=True)
class Laptop:
    """A person's machine, and the cluster that it reaches."""

    cluster: RealCluster
    home: Home
    """STUDY_HOME on the cluster."""
    mlflow: str
    folder: Path
    """Where the person's files are."""

    def start(self, *arguments: str, user: str = "ada", **environment: str) -> subprocess.Popen[str]:
        """The command line, in a process of its own."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("RAY_", "AWS_", "MLFLOW_", "STUDY_"))
        }
        own = {
            **self.cluster.client_environment,
            "RAY_API_SERVER_ADDRESS": self.cluster.address,
            "MLFLOW_TRACKING_URI": self.mlflow,
        }
        command = [sys.executable, "-c", "from study.cli.main import main; main()", *arguments]
        return subprocess.Popen(
            command,
            env={**kept, **own, "STUDY_USER": user, "STUDY_HOME": str(self.folder / "laptop"), **environment},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def study(
        self, *arguments: str, user: str = "ada", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """The same, once it has ended."""
        process = self.start(*arguments, user=user, **environment)
        out, err = process.communicate(timeout=PATIENCE_SECONDS)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)
