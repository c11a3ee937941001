"""Reading what torch.save wrote, without running code that somebody may have put there."""

import pickle
from pathlib import Path
from typing import Any

import torch

from trainables.devices.memory import is_for_want_of_memory
from trainables.errors import WeightsError


def load_plain(path: Path, device: torch.device | str = "cpu") -> Any:
    """The tensors and plain values in `path`. Code in it is never run.

    Raises FileNotFoundError, or WeightsError where it holds anything else; what is raised for want of memory
    stays what it is.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except FileNotFoundError:
        raise
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path} must hold tensors and plain values alone, and holds {_other(error)}; nothing of it was "
            "run"
        ) from error
    except (RuntimeError, EOFError, OSError, KeyError, ValueError) as error:
        if is_for_want_of_memory(error):
            raise
        reason = str(error).strip().split("\n")[0] or type(error).__name__
        raise WeightsError(f"{path} must be a file that torch.save wrote, and is not: {reason}") from error


def _other(error: pickle.UnpicklingError) -> str:
    """What torch met, out of a page of advice to load it all the same."""
    met = str(error).partition("GLOBAL ")[2].split()
    return f"{met[0]}, which is code" if met else "something else, or is damaged"
