"""Where pretrained weights lie: a path, torch's cache, Hugging Face's cache, or the network, asked once and
briefly.
"""

import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from trainables.errors import RecipeError, WeightsError
from trainables.models.catalogue import TIMM_PREFIX, check_weights, find_architecture, timm_name
from trainables.printable import quoted
from trainables.recipe.model import Model

PATIENCE_SECONDS = 5.0
_TORCH_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
"""What a file of `torch.save` begins with: an archive, or, before torch 1.6, a pickle."""

TORCHVISION_URL = "https://download.pytorch.org/models/"


def ensure_weights(model: Model) -> None:
    """Makes sure that the weights a recipe names are on this machine; downloads them where they are
    published.

    Raises WeightsError where they cannot be had, RecipeError where there are none.
    """
    find_checkpoint(model)


def find_checkpoint(model: Model) -> Path | None:
    """The file that holds the model's first weights; None for `weights: none`.

    Raises as `ensure_weights` does.
    """
    architecture = find_architecture(model.architecture)
    check_weights(architecture, model)
    if model.weights == "none":
        return None
    if model.weights != "imagenet":
        return _given_file(model.weights)
    if architecture.name.startswith(TIMM_PREFIX):
        return _timm_file(timm_name(architecture.name))
    name = architecture.imagenet_file
    assert name is not None, "its weights were checked to exist"
    return _cached_or_downloaded(
        _Published(url=TORCHVISION_URL + name, file=checkpoint_folder() / name, sha256_start=name[-12:-4])
    )


def checkpoint_folder() -> Path:
    """Where torch keeps downloaded weights: `$TORCH_HOME/hub/checkpoints`; the rule of `torch.hub.get_dir`,
    without importing torch.
    """
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    home = os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))
    return Path(home).expanduser() / "hub" / "checkpoints"


@dataclass(frozen=True, kw_only=True)
class _Published:
    """A file of weights, on the network and on this machine."""

    url: str
    file: Path
    sha256_start: str | None
    """None where the publisher does not tell."""


def _given_file(written: str) -> Path:
    try:
        path = Path(written).expanduser()
        is_file = path.is_file()
        start = _start(path) if is_file else b""
    except (OSError, RuntimeError) as error:  # a name that is too long; the home of nobody
        reason = getattr(error, "strerror", None) or error
        raise WeightsError(f"weights {quoted(written)} cannot be read: {reason}") from None
    if not is_file:
        raise WeightsError(
            "weights must be 'none', 'imagenet' or the path of a file, got "
            f"{quoted(written)}, which is no file"
        )
    is_safetensors = path.suffix == ".safetensors"
    if not (start[8:9] == b"{" if is_safetensors else start.startswith(_TORCH_STARTS)):
        raise WeightsError(
            f"weights {quoted(written)} must be a file of torch.save, or of safetensors with that suffix, "
            "and it is neither; save model.state_dict()"
        )
    return path


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(16)


def _cached_or_downloaded(published: _Published) -> Path:
    if not published.file.is_file():
        _check_reachable(published)
        _download(published)
    return published.file


def _check_reachable(published: _Published) -> None:
    try:
        request = urllib.request.Request(published.url, method="HEAD")
        urllib.request.urlopen(request, timeout=PATIENCE_SECONDS).close()
    except (urllib.error.URLError, TimeoutError, OSError) as error:
        raise WeightsError(_unreachable(published, error)) from error


def _download(published: _Published) -> None:
    import torch.hub

    published.file.parent.mkdir(parents=True, exist_ok=True)
    try:
        # It writes to a temporary file, checks the hash, and renames: two processes may download at once.
        torch.hub.download_url_to_file(published.url, str(published.file), published.sha256_start)
    except (urllib.error.URLError, TimeoutError, OSError, RuntimeError) as error:
        raise WeightsError(_unreachable(published, error)) from error


def _unreachable(published: _Published, error: Exception) -> str:
    reason = getattr(error, "reason", None) or error
    return (
        f"pretrained weights are neither on this machine nor can be downloaded ({reason}); "
        f"fetch {published.url} elsewhere and put it at {published.file}, or set weights to the path of a "
        "state dict, or to 'none'"
    )


def _timm_file(name: str) -> Path:
    """The safetensors file of a timm model: from Hugging Face's cache if it is there, otherwise kept beside
    torch's files.
    """
    import huggingface_hub
    from timm.models import get_pretrained_cfg

    try:
        config = get_pretrained_cfg(name)
    except RuntimeError as error:
        raise RecipeError(f"timm knows no weights {name!r}: {error}") from error
    if config is None or not (config.hf_hub_id or config.url):
        raise RecipeError(f"timm/{name} has no weights 'imagenet'; use 'none' or the path of a state dict")
    if not config.hf_hub_id:
        url = config.url if isinstance(config.url, str) else (config.url or ("",))[0]
        return _cached_or_downloaded(
            _Published(url=url, file=checkpoint_folder() / Path(url).name, sha256_start=None)
        )
    cached = huggingface_hub.try_to_load_from_cache(config.hf_hub_id, "model.safetensors")
    if isinstance(cached, str):
        return Path(cached)
    # Not hf_hub_download: without a network it retries for 40 s, and a file of its cache cannot be put there
    # by hand.
    url = huggingface_hub.hf_hub_url(config.hf_hub_id, "model.safetensors")
    file = checkpoint_folder() / f"{config.hf_hub_id.replace('/', '--')}.safetensors"
    return _cached_or_downloaded(_Published(url=url, file=file, sha256_start=None))
