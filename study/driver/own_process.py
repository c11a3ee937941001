"""Work in a process of its own: what it imports and maps is gone when it has ended.

On a cluster the drivers of all studies live on the head, for hours, so none of them keeps torch for the
minute in which it measures and registers.
"""

import multiprocessing
import os
import threading
from collections.abc import Callable
from importlib import import_module
from multiprocessing.connection import Connection
from typing import Any

from study.errors import StudyError


def in_own_process(work: str, *arguments: Any, say: Callable[[str], object]) -> Any:
    """What the function that `work` names, such as `study.driver.finalising:finalise_study`, returns.

    It gets the arguments, which can be pickled, and `say`. What it raises is raised here. The process ends
    with this one, however this one ends. Raises StudyError if it dies.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there, work, arguments), daemon=True)
    process.start()
    there.close()
    try:
        return _outcome(here, say)
    except EOFError:
        process.join()
        raise StudyError(
            f"the process that does the last steps of the study died (exit code {process.exitcode}); nothing "
            "measured is lost; look whether the head ran out of memory, and go on with `study resume NAME`"
        ) from None
    finally:
        process.terminate()
        process.join()
        here.close()


def function_of(work: str) -> Callable[..., Any]:
    """The function that a text such as `package.module:function` names."""
    module, _, name = work.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def _outcome(here: "Connection[Any, Any]", say: Callable[[str], object]) -> Any:
    while True:
        kind, content = here.recv()
        if kind == "said":
            say(content)
        elif kind == "raised":
            raise content
        else:
            return content


def _run(there: "Connection[Any, Any]", work: str, arguments: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        returned = function_of(work)(*arguments, say=lambda text: there.send(("said", text)))
    except Exception as error:  # noqa: BLE001  it is raised again in the driver
        there.send(("raised", error))
    else:
        there.send(("returned", returned))


def _end_with_parent() -> None:
    """Two drivers that finalise one study would register its model twice."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "this is a child"
    parent.join()
    os._exit(1)
