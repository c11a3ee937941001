"""A training on several devices: this process and one more for each further device, which compute parts of every batch.

    python -m trainables.team FOLDER RANK

is what the further processes run, started by the first one.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from trainables.datasets.dataset import Dataset
from trainables.errors import DivergedError, MemoryExhaustedError
from trainables.member import Member
from trainables.memory import told_apart
from trainables.recipe.tree import Recipe
from trainables.threads import use_threads

TEAM_FILE = "team.json"
START_SECONDS = 300.0
"""A process imports torch and puts the dataset on its device first."""
LAST_WORDS_SECONDS = 5.0
POLL_SECONDS = 0.1


class Team:
    """The further processes of one training. They are started with its first epoch, and again after it was loaded."""

    def __init__(self, devices: Sequence[torch.device]) -> None:
        """`devices`, one for each process: this one's first."""
        self._devices = tuple(devices)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._others: list[subprocess.Popen[bytes]] = []
        self._member: Member | None = None
        self._has_disbanded = threading.Event()

    def gathered(self, recipe: Recipe, dataset: Dataset, micro_batch: int, save: Callable[[Path], None]) -> Member:
        """This process's place, once all others are ready to go on from the state that `save` writes into a folder."""
        if self._member is None:
            with self.explained():
                self._member = self._gather(recipe, dataset, micro_batch, save)
        return self._member

    def disband(self) -> None:
        """Ends the other processes, whatever they do."""
        self._has_disbanded.set()
        for process in self._others:
            process.kill()
        for process in self._others:
            process.wait()
        self._others = []
        if self._member is not None:
            self._member.leave()
            self._member = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Disbands after any error inside. One that the end of another process caused is told as what that one ended with.

        Raises MemoryExhaustedError if it ran out of memory, RuntimeError if it ended otherwise.
        """
        try:
            yield
        except RuntimeError as error:
            reason = None if isinstance(error, MemoryExhaustedError) else self._reason()
            self.disband()
            if reason is None:
                raise
            kind, text = reason
            raise (MemoryExhaustedError(text) if kind == MemoryExhaustedError.__name__ else RuntimeError(text)) from error
        except BaseException:
            self.disband()
            raise

    def _gather(self, recipe: Recipe, dataset: Dataset, micro_batch: int, save: Callable[[Path], None]) -> Member:
        assert dataset.folder is not None, "the others open the dataset where it lies"
        self._folder = tempfile.TemporaryDirectory(prefix="team-")
        folder = Path(self._folder.name)
        save(folder)
        told = {
            "recipe": recipe.to_dict(),
            "dataset": str(dataset.folder.resolve()),
            "devices": [str(device) for device in self._devices],
            "micro_batch": micro_batch,
            "threads": torch.get_num_threads(),
        }
        (folder / TEAM_FILE).write_text(json.dumps(told), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        for rank in range(1, len(self._devices)):
            command = [sys.executable, "-m", "trainables.team", str(folder), str(rank)]
            with (folder / f"said-{rank}").open("wb") as said:
                self._others.append(subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said))
        self._await(lambda rank: (folder / f"ready-{rank}").exists())
        if self._devices[0].type == "cuda":
            self._has_disbanded = threading.Event()
            threading.Thread(target=_end_with, args=(tuple(self._others), self._has_disbanded), daemon=True).start()
        return Member(0, len(self._devices), self._devices[0], folder)

    def _await(self, is_ready: Callable[[int], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not all(is_ready(rank) for rank in range(1, len(self._devices))):
            if any(process.poll() is not None for process in self._others):
                raise RuntimeError("a further process of the training ended before it began")
            if time.monotonic() > deadline:
                raise RuntimeError(f"a further process of the training did not begin within {START_SECONDS:.0f} s")
            time.sleep(POLL_SECONDS)

    def _reason(self) -> tuple[str, str] | None:
        """Of the first further process that ended with an error: the error's kind, and what it said."""
        deadline = time.monotonic() + LAST_WORDS_SECONDS
        while self._folder is not None and time.monotonic() < deadline:
            for rank, process in enumerate(self._others, start=1):
                if process.poll():
                    return _last_words(Path(self._folder.name), rank, f"{self._devices[rank]} ({_how(process.returncode)})")
            time.sleep(POLL_SECONDS)
        return None


def main(folder: Path, rank: int) -> int:
    """Trains as member `rank` of the team that meets in `folder`, until the training or its first process ends."""
    from trainables.training import Training

    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    told = json.loads((folder / TEAM_FILE).read_text(encoding="utf-8"))
    devices = [torch.device(name) for name in told["devices"]]
    use_threads(told["threads"])
    try:
        with told_apart(devices[rank]):
            dataset = Dataset.open(Path(told["dataset"]))
            training = Training(Recipe.from_dict(told["recipe"]), dataset, device=devices[rank], micro_batch=told["micro_batch"])
            training.load(folder)
            (folder / f"ready-{rank}").touch()
            training.follow(Member(rank, len(devices), devices[rank], folder))
    except DivergedError:
        return 0  # the first one says it
    except Exception as error:
        (folder / f"failure-{rank}").write_text(json.dumps([type(error).__name__, str(error)]), encoding="utf-8")
        raise
    return 0


def _last_words(folder: Path, rank: int, where: str) -> tuple[str, str]:
    with suppress(FileNotFoundError):
        kind, text = json.loads((folder / f"failure-{rank}").read_text(encoding="utf-8"))
        return kind, text
    said = (folder / f"said-{rank}").read_text(encoding="utf-8", errors="replace").strip()
    return "", f"the training's process on {where} is gone" + (f": {said.splitlines()[-1]}" if said else "")


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _end_with(others: Sequence[subprocess.Popen[bytes]], has_disbanded: threading.Event) -> None:
    """Ends this process when another dies: GPUs that wait for each other cannot be interrupted."""
    while not has_disbanded.wait(POLL_SECONDS):
        if any(process.poll() for process in others) and not has_disbanded.wait(2 * LAST_WORDS_SECONDS):
            print("a further process of the training is gone", file=sys.stderr)
            os._exit(1)


def _end_with_parent(parent: int) -> None:
    """Ends this process when the first one is gone."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
