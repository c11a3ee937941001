"""How near the quote of a study comes to what the study then takes.

    python tests/benchmarks/quote_accuracy.py faces.yaml digits.yaml --home /data/study

For each study file: `study check` with steps measured anew, then the study itself, in the home of
`STUDY_HOME` or `--home`, whose datasets it needs; under a name of its own, so that it can be repeated. The
machine should be idle. Prints one JSON line for each study, and at the end a table in Markdown. Taken time
runs from the command to the result.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from study.home import Home
from study.results.study_result import StudyResult, find_study

STUDY = [sys.executable, "-c", "from study.cli.main import main; main()"]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """One study, as quoted and as it was."""

    study: str
    machine: str
    trials: int
    quoted_epochs: float
    taken_epochs: int
    quoted_seconds: float
    """Of search and confirmation together."""
    low_seconds: float
    high_seconds: float
    taken_seconds: float
    check_seconds: float
    """Of the first check, which measures."""
    second_check_seconds: float

    @property
    def error(self) -> float:
        """Of the quoted seconds, as a share of those taken."""
        return self.quoted_seconds / self.taken_seconds - 1

    @property
    def row(self) -> str:
        """Of a Markdown table."""
        cells = (
            self.study,
            f"{self.trials}",
            f"{self.quoted_epochs:.0f} / {self.taken_epochs}",
            f"{self.quoted_seconds:.0f} s ({self.low_seconds:.0f} to {self.high_seconds:.0f})",
            f"{self.taken_seconds:.0f} s",
            f"{self.error:+.0%}",
            f"{self.check_seconds:.0f} s, then {self.second_check_seconds:.1f} s",
        )
        return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--home", type=Path, default=Home.current().folder)
    arguments = parser.parse_args()
    home = Home(arguments.home.absolute())
    rows = []
    for file in arguments.files:
        compared = compare(file, home)
        print(json.dumps({**asdict(compared), "error": round(compared.error, 3)}), flush=True)
        rows.append(compared.row)
    print("\n| study | trials | epochs quoted / taken | quoted | taken | error | check |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    print("\n".join(rows))


def compare(file: Path, home: Home) -> Compared:
    written = yaml.safe_load(file.read_text(encoding="utf-8"))
    name = f"{written['study']}-{time.strftime('%m%d-%H%M%S')}"
    copy = home.folder / f"{name}.yaml"
    copy.write_text(yaml.safe_dump({**written, "study": name}), encoding="utf-8")
    quoted, check_seconds = checked(home, copy, "--measure")
    _, second_check_seconds = checked(home, copy)
    begun = time.monotonic()
    run(home, "run", copy)
    taken_seconds = time.monotonic() - begun
    copy.unlink()
    result = find_study(home, name)
    return Compared(
        study=str(written["study"]),
        machine=quoted["machine"],
        trials=quoted["trials"],
        quoted_epochs=quoted["epochs"]["expected"],
        taken_epochs=num_epochs(result),
        quoted_seconds=total(quoted, "expected"),
        low_seconds=total(quoted, "low"),
        high_seconds=total(quoted, "high"),
        taken_seconds=round(taken_seconds, 1),
        check_seconds=round(check_seconds, 1),
        second_check_seconds=round(second_check_seconds, 1),
    )


def checked(home: Home, file: Path, *options: str) -> tuple[dict[str, Any], float]:
    """The quote of a study file, and how long that took."""
    begun = time.monotonic()
    done = run(home, "check", file, "--json", *options)
    return json.loads(done)["quote"], time.monotonic() - begun


def run(home: Home, *arguments: str | Path) -> str:
    done = subprocess.run(
        [*STUDY, *map(str, arguments)],
        env={**os.environ, "STUDY_HOME": str(home.folder)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return done.stdout


def num_epochs(result: StudyResult) -> int:
    return sum(len(trial.values) for trial in result.trials)


def total(quoted: dict[str, Any], end: str) -> float:
    parts = (quoted["search_seconds"], quoted["confirmation_seconds"])
    return round(sum(part[end] for part in parts if part is not None), 1)


if __name__ == "__main__":
    main()
