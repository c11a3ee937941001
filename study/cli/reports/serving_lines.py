"""What `study serve` prints: which version answers, where, and how to ask it."""

import json
import textwrap
from pathlib import Path

from cluster.replicas import Replicas
from study.cli.reports.prediction_tables import which_version
from study.registry.versions import Version
from study.serving.composition import Composed, is_one_version
from study.serving.model_at_work import ServedModel
from trainables.devices.device import device_name
from trainables.inference.ensemble import members_of
from trainables.printable import printable

WIDTH = 79
CHANGE_SECONDS = 5
"""In which a promotion takes effect."""


def print_serving(
    composed: Composed, address: str, token_file: Path | None, *, as_json: bool = False
) -> None:
    """What answers from now on."""
    loaded = composed.server.current
    version = loaded.version
    if as_json:
        tree = {
            "address": address,
            "model": version.model,
            "version": version.number,
            "aliases": version.aliases,
            "record": None if composed.serving.record is None else str(composed.serving.record),
            "finds_faces": composed.serving.finds_faces,
            "shadow": None if composed.shadow is None else composed.shadow.candidate.version.name,
        }
        print(json.dumps(tree), flush=True)
        return
    pixels = loaded.config.preprocessing
    colour = "gray" if pixels.channels == 1 else "RGB"
    network = members_of(loaded.classifier)[0].module
    lines = {
        "classes": f"{len(loaded.config.classes)}: {', '.join(loaded.config.classes)}",
        "images": f"{pixels.width}x{pixels.height} {colour}; others are scaled and cropped to that",
        "device": device_name(next(network.parameters()).device),
        "changes": _changes(composed),
    }
    if composed.shadow is not None:
        lines["shadow"] = f"{composed.shadow.candidate.version.name} sees all images, and is not heard"
    if composed.serving.record is not None:
        lines["records"] = f"a sample of the images that come, in {composed.serving.record}"
    if composed.serving.finds_faces:
        lines["faces"] = "the largest face is labelled where a request says find=face"
    lines["page"] = f"{address}/ in a browser: pictures, the camera, the model's card"
    print(printable(f"{which_version(version)}, answers at {address}"))
    for name, text in lines.items():
        print(_line(name, printable(text)))
    print(f"\n{_question(address, token_file)}\n\nCtrl-C ends it; requests in hand are answered.", flush=True)


def print_replicas(
    version: Version, replicas: Replicas, address: str, token_file: Path | None, *, as_json: bool = False
) -> None:
    """What answers from now on, on a cluster."""
    if as_json:
        tree = {
            "address": address,
            "model": version.model,
            "version": version.number,
            "aliases": version.aliases,
            "replicas": [replicas.least, replicas.most],
        }
        print(json.dumps(tree), flush=True)
        return
    number = (
        f"{replicas.least}" if replicas.least == replicas.most else f"{replicas.least} to {replicas.most}"
    )
    each = f"{replicas.cpus:g} CPU" + (f", {replicas.gpus:g} GPU" if replicas.gpus else "")
    print(printable(f"{which_version(version)}, answers at {address}"))
    print(_line("replicas", f"{number}, each with {each}; each follows promotions within {CHANGE_SECONDS} s"))
    print(f"\n{_question(address, token_file)}\n\nCtrl-C ends it and its replicas.", flush=True)


def print_ended(server: ServedModel, *, as_json: bool = False) -> None:
    """How many requests were answered."""
    if not as_json:
        print(f"ended; {server.num_answered:,} requests answered", flush=True)


def _changes(composed: Composed) -> str:
    wanted = composed.serving.model
    if is_one_version(wanted):
        return "none: one version is named"
    return f"a promotion or a rollback takes effect within {CHANGE_SECONDS} s"


def _line(name: str, text: str) -> str:
    wrapped = textwrap.wrap(text, WIDTH - 11, max_lines=3, placeholder=" …") or [""]
    return textwrap.indent("\n".join(wrapped), " " * 11).replace(" " * 11, f"  {name:<9}", 1)


def _question(address: str, token_file: Path | None) -> str:
    if token_file is None:
        return f"curl -F image=@picture.jpg {address}/predict"
    return (
        f'curl -H "Authorization: Bearer $(cat {printable(str(token_file))})" \\\n'
        f"     -F image=@picture.jpg {address}/predict"
    )
