"""Whether the servers of a container answer: `python -m cluster.deployment.healthy` ends with 0, else with 1.

A container that runs a head of Ray has a dashboard, one that runs MLflow has its pages; any other is healthy
as long as it runs.
"""

import sys
import urllib.request
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import psutil

SERVERS: Mapping[str, str] = MappingProxyType(
    {
        "gcs_server": "http://127.0.0.1:8265/api/gcs_healthz",
        "mlflow server": "http://127.0.0.1:5000/health",
    }
)
"""What answers, by words in the command of the server's process."""
ANSWER_SECONDS = 10.0


def main() -> None:
    """Looks at the processes of this container, and asks their servers."""
    problems = ailing(_commands(), SERVERS)
    if problems:
        print("; ".join(problems), file=sys.stderr)
        sys.exit(1)


def ailing(commands: Sequence[str], servers: Mapping[str, str]) -> list[str]:
    """A clause for each of the servers that runs by these commands and does not answer."""
    running = {words: url for words, url in servers.items() if any(words in one for one in commands)}
    return [f"{url} {why}" for url in running.values() if (why := _why_not(url)) is not None]


def _why_not(url: str) -> str | None:
    try:
        urllib.request.urlopen(url, timeout=ANSWER_SECONDS).close()
    except OSError as error:
        return f"does not answer: {error}"
    return None


def _commands() -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            # What `mlflow` runs as has the path of an interpreter before it, and of a script.
            found.append(" ".join(word.rpartition("/")[2] for word in process.cmdline()))
        except psutil.Error:
            continue
    return found


if __name__ == "__main__":
    main()
