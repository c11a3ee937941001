"""The further processes of a training on several devices: one for each further device, which computes parts
of every batch.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch

from trainables.errors import MemoryExhaustedError
from trainables.training.process_group import ProcessGroup

SETTINGS_FILE = "workers.json"
START_SECONDS = 300.0
"""A process imports torch and puts the dataset on its device first."""
EXIT_SECONDS = 5.0
"""How long an error waits for the process that caused it to end and to say why."""
POLL_SECONDS = 0.1


class WorkerProcesses:
    """The processes of ranks 1, 2, ...

    They are started with the training's first epoch, and again after it was loaded.

    Each runs `python -m MODULE FOLDER RANK`, creates `ready_file` once it is ready to go on, and joins the
    group that meets in FOLDER. Where it fails it leaves `failure_file`.
    """

    def __init__(self, module: str, devices: Sequence[torch.device]) -> None:
        """`module` is what each runs; `devices`, one for each process: this one's first."""
        self._module = module
        self._devices = tuple(devices)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._processes: list[subprocess.Popen[bytes]] = []
        self._group: ProcessGroup | None = None
        self._is_stopped = threading.Event()

    def group(self, settings: Mapping[str, Any], save: Callable[[Path], None]) -> ProcessGroup:
        """This process's place among them, once all are ready to go on from the state that `save` writes into
        a folder.

        They read `settings`, plain JSON values, in `SETTINGS_FILE`, with the devices and the number of
        threads.
        """
        if self._group is None:
            with self.explained():
                self._group = self._start(settings, save)
        return self._group

    def stop(self) -> None:
        """Ends the other processes, whatever they do."""
        self._is_stopped.set()
        for process in self._processes:
            process.kill()
        for process in self._processes:
            process.wait()
        self._processes = []
        if self._group is not None:
            self._group.leave()
            self._group = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Stops the others after any error inside.

        One that the end of another process caused is told as what that one ended with.

        Raises MemoryExhaustedError if it ran out of memory, RuntimeError if it ended otherwise.
        """
        try:
            yield
        except RuntimeError as error:
            reason = None if isinstance(error, MemoryExhaustedError) else self._reason()
            self.stop()
            if reason is None:
                raise
            kind, text = reason
            raise (
                MemoryExhaustedError(text) if kind == MemoryExhaustedError.__name__ else RuntimeError(text)
            ) from error
        except BaseException:
            self.stop()
            raise

    def _start(self, settings: Mapping[str, Any], save: Callable[[Path], None]) -> ProcessGroup:
        self._folder = tempfile.TemporaryDirectory(prefix="training-")
        folder = Path(self._folder.name)
        save(folder)
        devices = [str(device) for device in self._devices]
        written = json.dumps({**settings, "devices": devices, "threads": torch.get_num_threads()})
        (folder / SETTINGS_FILE).write_text(written, encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        for rank in range(1, len(self._devices)):
            command = [sys.executable, "-m", self._module, str(folder), str(rank)]
            with _output_file(folder, rank).open("wb") as output:
                self._processes.append(
                    subprocess.Popen(
                        command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                    )
                )
        self._await(lambda rank: ready_file(folder, rank).exists())
        if self._devices[0].type == "cuda":
            self._is_stopped = threading.Event()
            threading.Thread(
                target=_end_with, args=(tuple(self._processes), self._is_stopped), daemon=True
            ).start()
        return ProcessGroup(0, len(self._devices), self._devices[0], folder)

    def _await(self, is_ready: Callable[[int], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not all(is_ready(rank) for rank in range(1, len(self._devices))):
            if any(process.poll() is not None for process in self._processes):
                raise RuntimeError("a further process of the training ended before it began")
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"a further process of the training did not begin within {START_SECONDS:.0f} s"
                )
            time.sleep(POLL_SECONDS)

    def _reason(self) -> tuple[str, str] | None:
        """Of the first further process that ended with an error: the error's kind, and what it said."""
        deadline = time.monotonic() + EXIT_SECONDS
        while self._folder is not None and time.monotonic() < deadline:
            for rank, process in enumerate(self._processes, start=1):
                if process.poll():
                    return _failure(
                        Path(self._folder.name), rank, f"{self._devices[rank]} ({_how(process.returncode)})"
                    )
            time.sleep(POLL_SECONDS)
        return None


def ready_file(folder: Path, rank: int) -> Path:
    """What the process of a rank creates once it is ready."""
    return folder / f"ready-{rank}"


def failure_file(folder: Path, rank: int) -> Path:
    """Where the process of a rank puts the kind and the text of the error that ends it, as a JSON list."""
    return folder / f"failure-{rank}"


def _output_file(folder: Path, rank: int) -> Path:
    return folder / f"output-{rank}"


def _failure(folder: Path, rank: int, where: str) -> tuple[str, str]:
    with suppress(FileNotFoundError):
        kind, text = json.loads(failure_file(folder, rank).read_text(encoding="utf-8"))
        return kind, text
    output = _output_file(folder, rank).read_text(encoding="utf-8", errors="replace").strip()
    return "", f"the training's process on {where} is gone" + (
        f": {output.splitlines()[-1]}" if output else ""
    )


def _how(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def _end_with(processes: Sequence[subprocess.Popen[bytes]], is_stopped: threading.Event) -> None:
    """Ends this process when another dies: GPUs that wait for each other cannot be interrupted."""
    while not is_stopped.wait(POLL_SECONDS):
        if any(process.poll() for process in processes) and not is_stopped.wait(2 * EXIT_SECONDS):
            print("a further process of the training is gone", file=sys.stderr)
            os._exit(1)
