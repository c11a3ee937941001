"""A classifier as a file that runs where there is none of this code: a program of `torch.export`, or ONNX."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainables.errors import ExportError
from trainables.inference.classifier import Classifier
from trainables.inference.ensemble import Ensemble
from trainables.inference.program import Program, contents, random_images

# B batch, H height, W width as stored, C channels, K classes

Format = Literal["onnx", "torch"]
Runner = Callable[[NDArray[np.uint8]], NDArray[np.float32]]
"""Gives uint8 images (B, H, W, C) class probabilities (B, K)."""

NUM_EXAMPLES = 3
"""More than one, which a program would take for a constant."""
NUM_CHECKED = 5
"""Images on which the program is compared with the classifier; another number than it was traced with."""
TOLERANCE = 1e-4
"""Of a probability."""
CLASSES_KEY = "classes"
"""Of the JSON list of class names that a file holds."""
INPUT, OUTPUT = "images", "probabilities"
"""Names in an ONNX file."""
_BATCH = torch.export.Dim("batch", min=1)


def export_program(classifier: Classifier | Ensemble, file: Path) -> str:
    """Writes the classifier as a program for CPUs with any number of images, and returns a sentence on what
    it contains.

    Where it cannot be exported, or the program gives other probabilities, no file is written and the sentence
    tells why.
    """
    program = Program(classifier)
    try:
        write_program(program, classifier, file, "torch")
    except ExportError as error:
        return f"{error}."
    images_BHWC = random_images(classifier, NUM_CHECKED)
    difference = largest_difference(runner(file, "torch")(images_BHWC), run_eagerly(program, images_BHWC))
    if not difference <= TOLERANCE:
        file.unlink()
        return (
            f"The exported program gave other probabilities (by up to {difference:.2g}), so it was left out."
        )
    return contents(classifier)


def write_program(program: Program, classifier: Classifier | Ensemble, file: Path, form: Format) -> None:
    """Writes a program of the classifier, with the names of its classes.

    Raises ExportError, and leaves no file, where its architecture cannot be written, or a package lacks.
    """
    write = _write_onnx if form == "onnx" else _write_torch
    if form == "onnx":
        check_onnx()
    example_BHWC = torch.from_numpy(random_images(classifier, NUM_EXAMPLES))
    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            program(example_BHWC)  # what is computed once and kept must be computed before it is traced
            exported = torch.export.export(program, (example_BHWC,), dynamic_shapes=({0: _BATCH},))
            write(exported, classifier.config.classes, file)
    except Exception as error:  # torch.export raises almost anything for what it cannot follow
        file.unlink(missing_ok=True)
        raise ExportError(
            f"This architecture does not export ({type(error).__name__}: {_first_line(error)})"
        ) from error


def runner(file: Path, form: Format) -> Runner:
    """What runs a written program, on the CPU."""
    if form == "torch":
        with file.open("rb") as stream:
            module = torch.export.load(stream).module()

        def run(images_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
            with torch.no_grad():
                probabilities_BK: NDArray[np.float32] = module(torch.tensor(images_BHWC)).numpy()
            return probabilities_BK

        return run
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])

    def run_session(images_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities_BK: NDArray[np.float32] = session.run(None, {INPUT: images_BHWC})[0]
        return probabilities_BK

    return run_session


def run_eagerly(program: Program, images_BHWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the program says before it is written."""
    with torch.no_grad():
        probabilities_BK: Tensor = program(torch.tensor(images_BHWC))
    return probabilities_BK.numpy()


def largest_difference(one_BK: NDArray[np.float32], other_BK: NDArray[np.float32]) -> float:
    """Of any probability."""
    return float(np.abs(one_BK - other_BK).max())


def check_onnx() -> None:
    """Raises ExportError where the packages that write and run ONNX are not installed."""
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise ExportError(
            f"ONNX needs the packages onnx, onnxruntime and onnxscript, and {error.name} is not installed; "
            "install them: uv sync --extra onnx"
        ) from error


def _write_torch(exported: torch.export.ExportedProgram, classes: tuple[str, ...], file: Path) -> None:
    with file.open("wb") as stream:  # by a name that does not end in .pt2 it would warn
        torch.export.save(exported, stream, extra_files={f"{CLASSES_KEY}.json": json.dumps(classes)})


def _write_onnx(exported: torch.export.ExportedProgram, classes: tuple[str, ...], file: Path) -> None:
    written = torch.onnx.export(
        exported, input_names=[INPUT], output_names=[OUTPUT], verbose=False, external_data=False
    )
    assert written is not None, "this exporter returns what it made"
    written.model.metadata_props[CLASSES_KEY] = json.dumps(classes)
    written.save(file, external_data=False)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "no reason is given")[:200]
