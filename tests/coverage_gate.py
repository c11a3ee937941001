"""Prints the coverage of lines and of branches, and ends with code 1 below the least that may be.

    uv run python tests/coverage_gate.py

It reads what `coverage combine` left.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

LEAST_LINES = 96.5
LEAST_BRANCHES = 90.4


def main() -> None:
    """Reads the measurement, prints both shares in percent, and judges them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "json", "--quiet", "--fail-under=0", "-o", str(file)]
        subprocess.run(command, check=True)
        totals = json.loads(file.read_text(encoding="utf-8"))["totals"]
    lines = 100 * totals["covered_lines"] / totals["num_statements"]
    branches = 100 * totals["covered_branches"] / totals["num_branches"]
    print(
        f"lines {lines:.1f} % (at least {LEAST_LINES}), branches {branches:.1f} % (at least {LEAST_BRANCHES})"
    )
    sys.exit(lines < LEAST_LINES or branches < LEAST_BRANCHES)


if __name__ == "__main__":
    main()
