"""Who reads the parts of a source: the processes of one machine, or whoever else a caller hands in."""

import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from trainables.datasets.parts import Part, PartJob, read_part
from trainables.errors import CutOffError

PartRunner = Callable[[Iterator[PartJob]], Generator[Part, None, None]]
"""Takes the jobs of parts, some of them ahead, and yields what came of each, in their order: of a job that
was done earlier, what it came to then (`PartJob.done`); of another one, what `read_part` gives, by any
process that sees the source and the parts.

What is wrong with the source itself is raised as `read_part` raises it; CutOffError, where whoever reads is
gone, so that what is done stays. Closing it ends what it has begun.
"""


def by_processes(num_processes: int) -> PartRunner:
    """Reads by so many processes of this machine."""

    def run(jobs: Iterator[PartJob]) -> Generator[Part, None, None]:
        with ProcessPoolExecutor(
            num_processes,
            multiprocessing.get_context("spawn"),  # a fork would copy locks that other threads hold
            initializer=_ready_process,
            initargs=(os.getpid(),),
        ) as processes:
            under_way: deque[Part | Future[Part]] = deque()
            try:
                for job in jobs:
                    under_way.append(job.done() or processes.submit(read_part, job))
                    if len(under_way) >= 2 * num_processes:
                        yield _result(under_way.popleft())
                while under_way:
                    yield _result(under_way.popleft())
            except BrokenProcessPool as error:
                raise CutOffError(
                    "a process that read images was killed, perhaps for want of memory; what is read stays, "
                    "and the same command goes on with it"
                ) from error
            except BaseException:
                processes.shutdown(wait=True, cancel_futures=True)
                raise

    return run


def _result(part: "Part | Future[Part]") -> Part:
    return part if isinstance(part, Part) else part.result()


def _ready_process(parent: int) -> None:
    """Ctrl-C is for the first process, which ends this one; and so does its end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)
