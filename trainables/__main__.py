"""Trains one recipe on one dataset in a terminal; needs neither ray nor mlflow."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from trainables.errors import RecipeError, TrainableError
from trainables.models.catalogue import check_recipe
from trainables.printable import message_text
from trainables.recipe.tree import Recipe

if TYPE_CHECKING:
    from trainables.datasets.dataset import Dataset
    from trainables.training.epoch import Epoch
    from trainables.training.loop import Training

HISTORY_FILE = "epochs.jsonl"
EXAMPLE = """
example:
  python -m trainables --dataset datasets/digits --recipe recipe.json --output trained

A recipe.json to begin with:
  {"data": {"image_size": 8}, "model": {"architecture": "cnn2-32x64"},
   "phases": [{"epochs": 5, "learning_rate": 0.002}]}
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code: 0 done, 2 for a mistake of the user's, told in one
    line, 130 if interrupted.
    """
    options = _parser().parse_args(arguments)
    try:
        _train(options)
    except (TrainableError, OSError) as error:
        print(f"error: {message_text(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"stopped; {_how_to_resume(options)}", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m trainables",
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dataset", type=Path, required=True, metavar="FOLDER", help="a dataset written by `study data add`"
    )
    parser.add_argument("--recipe", type=Path, required=True, metavar="FILE", help="a recipe as JSON")
    parser.add_argument(
        "--device",
        help=(
            "cpu, cuda or cuda:1, or several with commas, which share every batch; the first GPU, if there "
            "is one, when left out"
        ),
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FOLDER",
        help=(
            "where the classifier of the best epoch by macro-F1 goes, and the training's state: the same "
            "command continues it"
        ),
    )
    return parser


def _train(options: argparse.Namespace) -> None:
    recipe = _read_recipe(options.recipe)
    check_recipe(recipe)
    # torch takes seconds to import: only once the command line and the recipe are known to be right.
    from trainables.datasets.dataset import Dataset
    from trainables.devices.device import find_device
    from trainables.training.loop import Training

    dataset = Dataset.open(options.dataset)
    device, *others = (
        [find_device(name) for name in options.device.split(",")] if options.device else [find_device()]
    )
    training = Training(recipe, dataset, device=device, others=others)
    history = [] if options.output is None else _continued(training, options.output)
    print(
        f"{recipe.model.architecture} on {training.manifest.name}, {training.device}, {recipe.num_epochs} "
        "epochs",
        flush=True,
    )
    told = None
    for epoch in training:
        use = training.feature_use
        if use is not None and epoch.phase != told:
            told = epoch.phase
            print(f"phase {epoch.phase}: {use.sentence}", flush=True)
        print(_line(epoch, recipe.num_epochs), flush=True)
        if options.output is not None:
            _keep(training, dataset, epoch, history, options.output)
    if options.output is not None:
        print(f"the classifier of the best epoch by macro-F1 is in {options.output}")


def _read_recipe(path: Path) -> Recipe:
    if path.exists() and not path.is_file():
        raise RecipeError(f"--recipe must be a file, and {path} is a folder, a pipe or a device")
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"--recipe must be a file that can be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise RecipeError(f"{path} must hold a recipe as JSON: {error}") from error
    return Recipe.from_dict(tree)


def _line(epoch: "Epoch", num_epochs: int) -> str:
    metrics, seconds = epoch.metrics, epoch.train_seconds + epoch.validation_seconds
    return (
        f"epoch {epoch.number}/{num_epochs}  loss {epoch.train_loss:.4f}  validation loss "
        f"{metrics.log_loss:.4f}  "
        f"accuracy {metrics.accuracy:.4f}  macro-F1 {metrics.macro_f1:.4f}  "
        f"{epoch.num_train_images / epoch.train_seconds:.0f} images/s  "
        f"about {(num_epochs - epoch.number) * seconds:.0f} s left"
    )


def _continued(training: "Training", folder: Path) -> list[float]:
    """Continues the training in `folder` if there is one, and returns the macro-F1 of its epochs so far."""
    from trainables.training.training_state import STATE_FILE

    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / STATE_FILE).exists():
        (folder / HISTORY_FILE).unlink(missing_ok=True)
        return []
    training.load(folder)
    lines = (folder / HISTORY_FILE).read_text(encoding="utf-8").splitlines()[: training.num_epochs_done]
    # Drops what was written of an epoch whose state was not saved any more.
    (folder / HISTORY_FILE).write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return [json.loads(line)["metrics"]["macro_f1"] for line in lines]


def _keep(
    training: "Training", dataset: "Dataset", epoch: "Epoch", history: list[float], folder: Path
) -> None:
    """Writes the classifier if it is the best so far, a line about the epoch, and the state to continue
    from.
    """
    from trainables.inference.classifier import Classifier, ClassifierConfig

    if epoch.metrics.macro_f1 > max(history, default=-1.0):
        classifier = Classifier(
            ClassifierConfig.of(training.recipe, training.manifest),
            training.weights(),
            device=training.device,
        )
        is_calibrated = training.recipe.evaluation.calibration == "temperature"
        (classifier.calibrated(dataset.validation) if is_calibrated else classifier).save(folder)
    history.append(epoch.metrics.macro_f1)
    with (folder / HISTORY_FILE).open("a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(epoch)) + "\n")
    training.save(folder)


def _how_to_resume(options: argparse.Namespace) -> str:
    if options.output is None:
        return "give --output FOLDER to be able to continue"
    return f"the same command continues after the last epoch kept in {options.output}"


if __name__ == "__main__":
    sys.exit(main())
