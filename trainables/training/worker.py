"""A further process of a training on several devices; the training starts it.

python -m trainables.training.worker FOLDER RANK
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

import torch

from trainables.datasets.dataset import Dataset
from trainables.devices.memory import translate_memory_errors
from trainables.devices.threads import use_threads
from trainables.errors import DivergedError
from trainables.recipe.tree import Recipe
from trainables.training.data_parallel import SETTINGS_FILE, failure_file, ready_file
from trainables.training.loop import Training
from trainables.training.process_group import ProcessGroup


def main(folder: Path, rank: int) -> int:
    """Trains as process `rank` of the group that meets in `folder`, until the training or its first process
    ends.
    """
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()
    settings = json.loads((folder / SETTINGS_FILE).read_text(encoding="utf-8"))
    devices = [torch.device(name) for name in settings["devices"]]
    use_threads(settings["threads"])
    try:
        with translate_memory_errors(devices[rank]):
            dataset = Dataset.open(Path(settings["dataset"]))
            recipe = Recipe.from_dict(settings["recipe"])
            training = Training(
                recipe,
                dataset,
                device=devices[rank],
                micro_batch=settings["micro_batch"],
                reuses_features=False,
            )
            training.load(folder)
            ready_file(folder, rank).touch()
            training.follow(ProcessGroup(rank, len(devices), devices[rank], folder))
    except DivergedError:
        return 0  # the first process tells it
    except Exception as error:
        failure_file(folder, rank).write_text(
            json.dumps([type(error).__name__, str(error)]), encoding="utf-8"
        )
        raise
    return 0


def _end_with_parent(parent: int) -> None:
    """Ends this process when the first one is gone."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
