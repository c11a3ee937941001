"""How long a training waits for a checkpoint, and how long the writing takes beside it.

    python tests/benchmarks/checkpoint_time.py --million-parameters 300 --folder /shared/folder

The state is that of a network of so many parameters with AdamW's two moments, in random numbers: nothing is
trained. It is written as a trial's process writes it. Prints one JSON line.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import torch

from study.execution.checkpoint_writer import CheckpointWriter
from study.search.record.checkpoints import CheckpointNotes, checkpoint_bytes
from trainables.recipe.data import Data
from trainables.recipe.model import Model
from trainables.recipe.phase import Phase
from trainables.recipe.tree import Recipe
from trainables.training.training_state import TrainingState

PARAMETERS_PER_LAYER = 5_000_000
RECIPE = Recipe(
    data=Data(image_size=224),
    model=Model(architecture="cnn2-32x64"),
    phases=(Phase(epochs=30, learning_rate=1e-3),),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--million-parameters", type=float, default=300)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()))
    arguments = parser.parse_args()
    training = Simulated(round(arguments.million_parameters * 1e6))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        writer = CheckpointWriter(Path(folder))
        begun = time.perf_counter()
        writer.write(0, cast("Any", training), CheckpointNotes())
        waited = time.perf_counter() - begun
        writer.wait()
        took = time.perf_counter() - begun
        size = checkpoint_bytes(Path(folder), 0)
    print(
        json.dumps(
            {
                "million_parameters": arguments.million_parameters,
                "gigabytes": round(size / 1e9, 2),
                "training_waits_seconds": round(waited, 2),
                "on_disk_after_seconds": round(took, 2),
                "seconds_between_checkpoints": round(max(15.0, writer.least_seconds)),
                "peak_memory_gigabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
            }
        )
    )


class Simulated:
    """What a `CheckpointWriter` wants of a training, as if it were on a GPU."""

    device = torch.device("cuda")

    def __init__(self, num_parameters: int) -> None:
        sizes = [PARAMETERS_PER_LAYER] * (num_parameters // PARAMETERS_PER_LAYER)
        layers = {f"layer{index}.weight": torch.randn(size) for index, size in enumerate(sizes)}
        moments = {
            index: {"step": torch.tensor(1.0), "exp_avg": torch.randn(size), "exp_avg_sq": torch.rand(size)}
            for index, size in enumerate(sizes)
        }
        self.state = TrainingState(
            recipe=RECIPE,
            dataset="0" * 64,
            accuracies=[0.5],
            network=layers,
            average=None,
            optimizer={"state": moments, "param_groups": []},
        )


if __name__ == "__main__":
    main()
