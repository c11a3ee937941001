"""A program with 8-bit integers in place of its networks' weights and activations, by torch's own
quantisation (torchao: PyTorch 2 export quantisation, after training).
"""

import warnings
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from trainables.errors import ExportError
from trainables.inference.export import NUM_EXAMPLES
from trainables.inference.program import Member, Program

# N images, H height, W width as stored, C channels

IMAGES_AT_ONCE = 32


def check_int8() -> None:
    """Raises ExportError where torchao is not installed."""
    try:
        import torchao  # noqa: F401
    except ImportError as error:
        raise ExportError(
            f"--int8 needs torchao, and {error.name} is not installed; install it: uv sync --extra int8"
        ) from error


def quantise(program: Program, images_NHWC: NDArray[np.uint8]) -> None:
    """Replaces each network of the program by one whose convolutions and linear layers compute with 8-bit
    integers.

    The ranges of the activations are those that `images_NHWC` show, which are training images. Normalisation,
    views and the temperature stay as they are. Raises ExportError where a network cannot be quantised.
    """
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    try:
        with torch.no_grad(), warnings.catch_warnings(action="ignore"):
            members = [member for member in program.members if isinstance(member, Member)]
            for member in members:
                member.module = prepare_pt2e(_captured(member), _quantizer())
            for start in range(0, len(images_NHWC), IMAGES_AT_ONCE):
                program(torch.tensor(images_NHWC[start : start + IMAGES_AT_ONCE]))
            for member in members:
                member.module = _without_unused(convert_pt2e(member.module))
    except Exception as error:
        first_line = next(iter(str(error).strip().splitlines()), "")[:200]
        raise ExportError(
            f"this architecture cannot be quantised ({type(error).__name__}: {first_line}); leave --int8 out"
        ) from error


def _captured(member: Member) -> Any:
    batch = torch.export.Dim("batch", min=1)
    module = torch.export.export(
        member.module, (member.example_input(NUM_EXAMPLES),), dynamic_shapes=({0: batch},)
    ).module(check_guards=False)
    # torchao takes all nodes of one layer for one call of it, and refuses networks that call a layer twice,
    # as torchvision's ResNets do with each block's ReLU: here each node is of a layer of its own.
    for node in module.graph.nodes:
        if stack := node.meta.get("nn_module_stack"):
            last = next(reversed(stack))
            path, kind = stack[last]
            node.meta["nn_module_stack"] = {**stack, last: (f"{path}:{node.name}", kind)}
    return module


def _without_unused(module: Any) -> Any:
    """A traced network without the weights that integers have replaced."""
    used = {node.target for node in module.graph.nodes if node.op == "get_attr"}
    held = [name for name, _ in (*module.named_parameters(), *module.named_buffers())]
    for name in held:
        if name not in used:
            owner, _, attribute = name.rpartition(".")
            delattr(module.get_submodule(owner), attribute)
    return module


def _quantizer() -> Any:
    """Per channel for weights, per tensor for activations."""
    from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
        X86InductorQuantizer,
        get_default_x86_inductor_quantization_config,
    )

    return X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
