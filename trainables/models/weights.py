"""Reading a state dict from a file and fitting it into a network: other classes and gray images are allowed
for.
"""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from trainables.devices.tensor_files import load_plain
from trainables.errors import WeightsError
from trainables.models.network import BACKBONE_PREFIX, GRAY_ADAPTER_PREFIX, Network

_NUM_KEYS_SHOWN = 3


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors in `path` (torch.save or safetensors), on the CPU, half precision widened to float32.

    A dict that holds them under `state_dict` and keys that begin with `module.` are unwrapped.
    Raises WeightsError for a file that holds no tensors by name; code in it is never run.
    """
    return {key.removeprefix("module."): _widened(tensor) for key, tensor in read_tensors(path).items()}


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors in `path`, as they are, on the CPU, possibly under `state_dict`.

    Raises WeightsError for a file that holds no tensors by name; code in it is never run.
    """
    stored = _read(path)
    if isinstance(stored, Mapping) and isinstance(stored.get("state_dict"), Mapping):
        stored = stored["state_dict"]
    if not isinstance(stored, Mapping) or not all(isinstance(tensor, Tensor) for tensor in stored.values()):
        raise WeightsError(
            f"{path} must hold tensors by name, or those under 'state_dict', and does not; save "
            "model.state_dict()"
        )
    return {str(key): tensor for key, tensor in stored.items()}


def load_weights(network: Network, path: Path) -> None:
    """Gives the network the weights in `path`, whatever head they were trained under.

    A head of another kind or shape keeps its initial values, and so does a classifier of another number of
    classes; a gray adapter's fixed scales always do. The stem of a gray network takes the sum over a colour
    stem's channels, which is exact for gray images shown as RGB. Raises WeightsError if anything else is
    missing, left over, or of another shape.
    """
    state = network.module.state_dict()
    # A backbone's keys are those of its library, whether or not it stands within something else, here or in
    # the file.
    own = {key.removeprefix(BACKBONE_PREFIX): tensor for key, tensor in state.items()}
    theirs = {key.removeprefix(BACKBONE_PREFIX): tensor for key, tensor in read_state_dict(path).items()}
    theirs = _with_own_heads(theirs, own, network)
    theirs = {key: _summed_over_channels(tensor, own.get(key)) for key, tensor in theirs.items()}
    _check_fit(theirs, own, path)
    network.module.load_state_dict(
        {key: theirs.get(key.removeprefix(BACKBONE_PREFIX), tensor) for key, tensor in state.items()}
    )


def _read(path: Path) -> object:
    if path.suffix == ".safetensors":
        import safetensors.torch

        try:
            return safetensors.torch.load_file(path)
        except (safetensors.SafetensorError, OSError) as error:
            raise WeightsError(f"{path} must be a file of safetensors, and is not: {error}") from error
    try:
        return load_plain(path)
    except FileNotFoundError as error:
        raise WeightsError(f"weights must be a file, and {path} is none") from error


def _widened(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _with_own_heads(theirs: dict[str, Tensor], own: dict[str, Tensor], network: Network) -> dict[str, Tensor]:
    """`theirs` without the heads and adapters that do not fit, for which the network's own values stand
    in.
    """
    classifier = {key.removeprefix(BACKBONE_PREFIX) for key in network.classifier_keys}
    for prefix in network.head_prefixes:
        ours = {key: tensor for key, tensor in own.items() if key.startswith(prefix)}
        if not all(_fits(key, theirs, own) for key in ours.keys() - classifier):
            theirs |= ours
        theirs = {key: tensor for key, tensor in theirs.items() if key in ours or not key.startswith(prefix)}
    if not all(_fits(key, theirs, own) for key in classifier):
        theirs |= {key: own[key] for key in classifier}
    fixed = {key for key, _ in network.module.named_buffers() if key.startswith(GRAY_ADAPTER_PREFIX)}
    return theirs | {key: own[key] for key in fixed}


def _fits(key: str, theirs: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> bool:
    return key in theirs and theirs[key].shape == own[key].shape


def _summed_over_channels(theirs: Tensor, own: Tensor | None) -> Tensor:
    is_colour_stem_for_gray = (
        own is not None and own.ndim == theirs.ndim == 4 and own.shape[1] == 1 and theirs.shape[1] == 3
    )
    return theirs.sum(dim=1, keepdim=True) if is_colour_stem_for_gray else theirs


def _check_fit(theirs: Mapping[str, Tensor], own: Mapping[str, Tensor], path: Path) -> None:
    # Old checkpoints lack the counters of BatchNorm, which only matter to layers without momentum.
    missing = [key for key in own if key not in theirs and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in theirs if key not in own]
    misshapen = [
        f"{key} {tuple(theirs[key].shape)} in place of {tuple(own[key].shape)}"
        for key in own
        if key in theirs and theirs[key].shape != own[key].shape
    ]
    faults = [
        _fault(*fault)
        for fault in (("missing", missing), ("unexpected", unexpected), ("of another shape", misshapen))
        if fault[1]
    ]
    if faults:
        raise WeightsError(
            f"{path} must hold the weights of this architecture at this image size: {'; '.join(faults)}; "
            "change architecture or weights"
        )


def _fault(kind: str, keys: list[str]) -> str:
    shown = ", ".join(keys[:_NUM_KEYS_SHOWN])
    return f"{len(keys)} {kind} ({shown}{', ...' if len(keys) > _NUM_KEYS_SHOWN else ''})"
