"""The deployment files, parsed, and the commands and settings that they carry."""

import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "cluster" / "deployment"
PAGE = (ROOT / "cluster" / "OPERATIONS.md").read_text()
MANIFESTS = sorted((FOLDER / "kubernetes").glob("*.yaml"))
RAY_UP = ("aws.yaml", "onprem.yaml")


def compose() -> dict[str, Any]:
    """The compose file with its anchors resolved; variables stay as they are written."""
    return dict(yaml.safe_load((FOLDER / "compose.yaml").read_text()))


def manifests() -> list[dict[str, Any]]:
    """Every Kubernetes object."""
    return [one for file in MANIFESTS for one in yaml.safe_load_all(file.read_text())]


def manifest(kind: str, name: str | None = None) -> dict[str, Any]:
    """The one object of this kind, and name where there are several."""
    found = [one for one in manifests() if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    assert len(found) == 1, f"{len(found)} objects {kind} {name or ''}"
    return found[0]


def ray_up(file: str) -> dict[str, Any]:
    """A file for `ray up` as it is written."""
    return dict(yaml.safe_load((FOLDER / file).read_text()))


def pod_specs(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every pod template's spec in these objects, with the name of what it belongs to."""
    for one in objects:
        for template in _templates(one.get("spec", {})):
            yield f"{one['kind']} {one['metadata']['name']}", template["spec"]


def containers(objects: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every container and init container, with the name of its owner."""
    for owner, spec in pod_specs(objects):
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            yield f"{owner}: {container['name']}", container


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    """A container's plain settings; of those from a secret `secret:KEY`."""
    return {
        one["name"]: one["value"] if "value" in one else f"secret:{one['valueFrom']['secretKeyRef']['key']}"
        for one in container["env"]
    }


def secret_names() -> list[str]:
    """What .env must hold."""
    lines = (FOLDER / ".env.example").read_text().splitlines()
    return [line.partition("=")[0] for line in lines if line and not line.startswith("#")]


def env_file(name: str) -> dict[str, str]:
    """The settings in a file of lines NAME=VALUE."""
    lines = (FOLDER / name).read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def filled(text: str, values: Mapping[str, str]) -> str:
    """The text with compose's ${NAME:?message} and ${NAME:-default} replaced."""

    def value(found: re.Match[str]) -> str:
        name, default = found["name"], found["default"]
        if name in values:
            return values[name]
        assert default is not None, f"{name} has no value"
        return default

    return re.sub(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?[^}]*)?\}", value, text)


def command(file: str, program: str, *words: str) -> list[str]:
    """The one command of a file for `ray up` that runs `program` with these words.

    From the program to the end of the line, or to the shell's next operator.
    """
    lines = [
        line
        for name in ("head_start_ray_commands", "worker_start_ray_commands")
        for line in ray_up(file)[name]
    ]
    found = []
    for line in lines:
        for part in re.split(r"&&|\|\||[{}]|>\s", line):
            parsed = shlex.split(part)
            if program in parsed and set(words) <= set(parsed):
                found.append(parsed[parsed.index(program) :])
    assert len(found) == 1, f"{len(found)} commands {program} {words} in {file}"
    return found[0]


def with_option(arguments: list[str], name: str, value: str) -> list[str]:
    """The command with the value of an option that it has, as `--name=value` or as two words, replaced."""
    changed = list(arguments)
    for place, word in enumerate(arguments):
        if word.startswith(f"{name}="):
            changed[place] = f"{name}={value}"
            return changed
        if word == name:
            changed[place + 1] = value
            return changed
    raise AssertionError(f"{arguments} lacks {name}")


def _templates(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, dict):
        if isinstance(node.get("spec"), dict) and "containers" in node["spec"]:
            yield node
        else:
            for value in node.values():
                yield from _templates(value)
    elif isinstance(node, list):
        for value in node:
            yield from _templates(value)
